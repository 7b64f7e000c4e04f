"""Styles: the three picture sets as they are, and image filters over Fluent's 3D set. All work at 128 px."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps

SIZE_PX = 128


@dataclass(frozen=True)
class Style:
    """`picture_set` is where the drawing comes from; `render` turns it (RGBA, 128 px) into the picture (RGB)."""

    name: str
    names_ja: tuple[str, ...]
    names_en: tuple[str, ...]
    picture_set: str  # "3d", "flat" or "noto"
    render: Callable[[Image.Image], Image.Image]
    takes_background: bool = False  # also drawn on the coloured backgrounds of BACKGROUNDS


def over(drawing: Image.Image, background: Image.Image | tuple[int, int, int]) -> Image.Image:
    """`drawing` (RGBA) on a picture or a plain colour, as RGB."""
    base = Image.new("RGB", drawing.size, background) if isinstance(background, tuple) else background.copy()
    base.paste(drawing, mask=drawing.getchannel("A"))
    return base


def on_white(drawing: Image.Image) -> Image.Image:
    return over(drawing, (255, 255, 255))


def _texture(seed: int, scale: int, low: float, high: float) -> np.ndarray:
    """(128, 128, 1) smooth noise of `scale` px, the same at every call: paper, canvas, brush strokes."""
    noise = np.random.default_rng(seed).random((SIZE_PX // scale, SIZE_PX // scale), dtype=np.float32)
    image = Image.fromarray(noise).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    texture: np.ndarray = low + (high - low) * np.clip(np.asarray(image), 0, 1)[..., None]
    return texture


def _tinted(colour: tuple[int, int, int], texture: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.array(colour, dtype=np.float32) * texture, 0, 255).astype(np.uint8))


def oil(drawing: Image.Image) -> Image.Image:
    """Oil paint: a dark umber ground with broad strokes, and the most frequent colour of each neighbourhood."""
    ground = _tinted((128, 92, 58), _texture(1, 16, 0.65, 1.25))
    painted = ImageOps.posterize(over(drawing, ground), 4).filter(ImageFilter.ModeFilter(7))
    return ImageEnhance.Color(painted.filter(ImageFilter.SMOOTH)).enhance(1.25)


def watercolour(drawing: Image.Image) -> Image.Image:
    """Watercolour: pale washes on cream paper, darker where the wash dries at its edge."""
    paper = _tinted((250, 244, 228), _texture(2, 8, 0.93, 1.03))
    wash = over(drawing, paper).filter(ImageFilter.MedianFilter(7)).filter(ImageFilter.GaussianBlur(1.5))
    wash = ImageChops.multiply(Image.blend(wash, Image.new("RGB", wash.size, (255, 255, 255)), 0.35), paper)
    alpha = drawing.getchannel("A").filter(ImageFilter.GaussianBlur(1.5))
    rim = ImageChops.difference(alpha, alpha.filter(ImageFilter.MinFilter(5)))
    return Image.composite(ImageEnhance.Brightness(wash).enhance(0.8), wash, rim.point(lambda value: value // 2))


def line_drawing(drawing: Image.Image) -> Image.Image:
    """Ink lines on white where brightness, hue or the outline changes."""
    edges = on_white(drawing).filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.FIND_EDGES)
    strongest = ImageChops.lighter(ImageChops.lighter(*edges.split()[:2]), edges.split()[2])
    strongest = strongest.point(lambda value: min(255, max(0, value - 10) * 6)).filter(ImageFilter.MaxFilter(3))
    return ImageOps.expand(ImageOps.invert(strongest).crop((2, 2, 126, 126)), 2, 255).convert("RGB")


def pixel_art(drawing: Image.Image) -> Image.Image:
    """A 16 x 16 sprite of few colours, each pixel 8 px wide, on pale grey."""
    sprite = over(drawing, (222, 226, 232)).resize((16, 16), Image.Resampling.BOX)
    sprite = ImageOps.posterize(ImageEnhance.Contrast(sprite).enhance(1.3), 3)
    return sprite.resize((SIZE_PX, SIZE_PX), Image.Resampling.NEAREST)


def monochrome(drawing: Image.Image) -> Image.Image:
    """A black-and-white photograph before a grey backdrop."""
    return ImageEnhance.Contrast(ImageOps.grayscale(over(drawing, (168, 168, 168)))).enhance(1.25).convert("RGB")


# What a caption without a style names. Never held out: a bare name must have a picture.
DEFAULT_STYLE = "3d"

CORPUS_STYLES = {
    style.name: style
    for style in (
        Style("3d", ("立体", "3D"), ("3D render",), "3d", on_white, takes_background=True),
        Style("flat", ("フラット", "フラットデザイン"), ("flat design",), "flat", on_white, takes_background=True),
        Style("noto", ("絵文字",), ("emoji",), "noto", on_white, takes_background=True),
        Style("oil", ("油絵",), ("oil painting",), "3d", oil),
        Style("watercolour", ("水彩画", "水彩"), ("watercolour",), "3d", watercolour),
        Style("line", ("線画",), ("line drawing",), "3d", line_drawing),
        Style("pixel", ("ドット絵",), ("pixel art",), "3d", pixel_art),
        Style("mono", ("白黒", "モノクロ"), ("black and white",), "3d", monochrome),
    )
}

# name -> (Japanese, English, colour)
BACKGROUNDS: dict[str, tuple[str, str, tuple[int, int, int]]] = {
    "red": ("赤い背景", "red background", (214, 60, 52)),
    "blue": ("青い背景", "blue background", (58, 110, 208)),
    "green": ("緑の背景", "green background", (84, 164, 88)),
    "yellow": ("黄色い背景", "yellow background", (246, 212, 84)),
    "pink": ("ピンクの背景", "pink background", (244, 164, 190)),
    "black": ("黒い背景", "black background", (28, 28, 32)),
}
