"""Which of the everyday colour words fit a picture, counted in its pixels."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# name -> (hues in degrees from, to; saturation from, to; value from, to), of HSV; neighbours overlap as words do
COLOURS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "赤": ((345, 15), (0.5, 1), (0.4, 1)),
    "オレンジ": ((12, 42), (0.6, 1), (0.65, 1)),
    "黄": ((38, 65), (0.4, 1), (0.6, 1)),
    "緑": ((62, 170), (0.2, 1), (0.2, 1)),
    "水色": ((165, 205), (0.15, 1), (0.55, 1)),
    "青": ((180, 255), (0.3, 1), (0.25, 1)),
    "紫": ((250, 318), (0.15, 1), (0.2, 1)),
    "ピンク": ((305, 10), (0.12, 0.72), (0.65, 1)),
    "茶": ((5, 45), (0.25, 1), (0.15, 0.75)),
    "黒": ((0, 360), (0, 0.45), (0, 0.36)),
    "灰": ((0, 360), (0, 0.18), (0.3, 0.85)),
    "白": ((0, 360), (0, 0.14), (0.82, 1)),
}
ENOUGH = 0.3  # of the ink: eyes, wheels and leaves keep their own colours
GROUND = 24  # a pixel that differs less from the ground is ground


def shares(picture: NDArray[np.uint8]) -> dict[str, float]:
    """(H, W, 3) -> the share of the ink that each word fits; ink is what differs from the colour of the corners."""
    ink = picture[ink_mask(picture)]
    if len(ink) == 0:
        return dict.fromkeys(COLOURS, 0.0)
    hue, saturation, value = (np.asarray(Image.fromarray(ink[None]).convert("HSV"))[0] / 255).T
    degrees = hue * 360
    found = {}
    for name, ((low, high), (s0, s1), (v0, v1)) in COLOURS.items():
        in_hue = (degrees >= low) & (degrees <= high) if low < high else (degrees >= low) | (degrees <= high)
        fits = in_hue & (saturation >= s0) & (saturation <= s1) & (value >= v0) & (value <= v1)
        found[name] = float(fits.mean())
    return found


def ink_mask(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W, 3) -> (H, W): where the picture is not its ground."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    ground = np.median(border, axis=0)
    mask: NDArray[np.bool_] = np.abs(picture.astype(np.int16) - ground).max(axis=-1) > GROUND
    return mask


def has_colour(picture: NDArray[np.uint8], name: str) -> bool:
    """A white thing on a white ground has no white ink: half of the picture's middle stands in."""
    if name == "白":
        middle = picture[len(picture) // 4 : -len(picture) // 4, picture.shape[1] // 4 : -picture.shape[1] // 4]
        pixels = middle.reshape(-1, 3).astype(np.float32)
        return float(((pixels.min(axis=1) > 205) & (np.ptp(pixels, axis=1) < 36)).mean()) >= ENOUGH
    return shares(picture)[name] >= ENOUGH
