"""The judge: which corpus picture does a drawing look like? A plain image space, not the model's own latents.

A picture is a 12x12 thumbnail in CIELAB and an 8x8 grid of gradient orientations (HOG: Dalal & Triggs, CVPR
2005), each scaled to unit variance over the corpus; the nearest picture is the one at the smallest
Euclidean distance.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from jsd.training.evaluation.colours import ink_mask

THUMBNAIL_PX = 12
GRID = 8
NUM_ORIENTATIONS = 8


def lab_thumbnails(pictures: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 -> (N, 12 * 12 * 3) CIELAB (D65), from sRGB averaged over each cell."""
    small = np.stack(
        [np.asarray(Image.fromarray(p).resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)) for p in pictures]
    )
    rgb = small.astype(np.float32) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    # sRGB to XYZ (IEC 61966-2-1), divided by the D65 white point.
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], dtype=np.float32
    ) / np.array([[0.9505], [1.0], [1.089]], dtype=np.float32)
    xyz = linear @ to_xyz.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    lab = np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)
    flat: np.ndarray = lab.reshape(len(pictures), -1)
    return flat


def orientation_grids(pictures: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 -> (N, 8 * 8 * 8): gradient magnitude by cell and unsigned orientation, square-rooted."""
    grey = np.stack(
        [np.asarray(Image.fromarray(p).convert("L").resize((64, 64), Image.Resampling.BOX)) for p in pictures]
    )
    dy, dx = np.gradient(grey.astype(np.float32), axis=(1, 2))
    magnitude = np.hypot(dx, dy)
    orientation = ((np.arctan2(dy, dx) % np.pi) / np.pi * NUM_ORIENTATIONS).astype(np.int64) % NUM_ORIENTATIONS
    cells = np.stack([np.where(orientation == k, magnitude, 0) for k in range(NUM_ORIENTATIONS)], axis=-1)
    side = 64 // GRID
    grid = cells.reshape(len(pictures), GRID, side, GRID, side, NUM_ORIENTATIONS).mean(axis=(2, 4))
    flat: np.ndarray = np.sqrt(grid).reshape(len(pictures), -1)
    return flat


MARGIN = 4 / 128  # of a side: as the things of the gallery stand in their pictures
MIDDLE = (0.3, 0.7)  # where a picture of two things may be cut


def cut_in_two(picture: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(H, W, 3) -> its two halves, side by side and one over the other, cut where the least ink is; each thing alone
    in a square on its ground, as large as those of the gallery."""
    ink = ink_mask(picture)
    for axis in (1, 0):
        profile = ink.sum(axis=1 - axis)
        low, high = (round(share * len(profile)) for share in MIDDLE)
        # The middle of the emptiest run, not its first line.
        lines = np.flatnonzero(profile[low:high] == profile[low:high].min()) + low
        cut = int(lines[len(lines) // 2])
        parts = np.split(picture, [cut], axis=axis), np.split(ink, [cut], axis=axis)
        yield tuple(_alone(part, mask) for part, mask in zip(*parts, strict=True))  # type: ignore[misc]


def _alone(part: np.ndarray, mask: np.ndarray, size: int = 128) -> np.ndarray:
    """What `mask` marks of `part`, specks of a pixel or two aside, in the middle of a square on the ground's colour."""
    solid = _opened(mask)
    rows, columns = (np.flatnonzero(solid.any(axis=axis)) for axis in (1, 0))
    ground = (
        tuple(int(value) for value in np.median(part[~mask].reshape(-1, 3), axis=0)) if (~mask).any() else (255,) * 3
    )
    square = Image.new("RGB", (size, size), ground)
    if len(rows):
        thing = Image.fromarray(part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        scale = size * (1 - 2 * MARGIN) / max(thing.size)
        width, height = (max(1, round(side * scale)) for side in thing.size)
        thing = thing.resize((width, height), Image.Resampling.LANCZOS)
        square.paste(thing, ((size - width) // 2, (size - height) // 2))
    return np.asarray(square)


def _opened(mask: np.ndarray) -> np.ndarray:
    """Without what is thinner than three pixels (morphological opening)."""
    image = Image.fromarray(np.pad(mask, 1)).convert("L")  # the filters leave an image's border as it is
    return np.asarray(image.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(3)))[1:-1, 1:-1] > 0


def _joined(lab: np.ndarray, grid: np.ndarray, scales: tuple[float, float]) -> np.ndarray:
    """float64: in float32 a picture is a thousandth away from itself."""
    return np.concatenate([lab / scales[0], grid / scales[1]], axis=1, dtype=np.float64)


@dataclass(frozen=True)
class Judge:
    """The gallery: the features of every corpus picture."""

    gallery: np.ndarray  # (G, D)
    scales: tuple[float, float]

    @classmethod
    def fit(cls, pictures: np.ndarray) -> "Judge":
        """`pictures` (G, H, W, 3) uint8."""
        lab, grid = lab_thumbnails(pictures), orientation_grids(pictures)
        scales = (
            float(lab.std(axis=0).mean() * lab.shape[1] ** 0.5),
            float(grid.std(axis=0).mean() * grid.shape[1] ** 0.5),
        )
        return cls(_joined(lab, grid, scales), scales)

    def beside(self, pictures: np.ndarray) -> "Judge":
        """With `pictures` (N, H, W, 3) behind its gallery, on the same scales."""
        added = _joined(lab_thumbnails(pictures), orientation_grids(pictures), self.scales)
        return Judge(np.concatenate([self.gallery, added]), self.scales)

    def distances(self, pictures: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 -> (N, G) distances to the gallery."""
        lab, grid = lab_thumbnails(pictures), orientation_grids(pictures)
        features = _joined(lab, grid, self.scales)  # (N, D)
        squared = (features**2).sum(1)[:, None] + (self.gallery**2).sum(1)[None] - 2 * features @ self.gallery.T
        distances: np.ndarray = np.sqrt(np.maximum(squared, 0))
        return distances
