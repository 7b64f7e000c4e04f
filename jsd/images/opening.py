"""Pictures that somebody sent -> Pillow images. Without torch, so that a look at a file's metadata is quick.

A user's file is untrusted: only harmless formats are opened, and whatever a decoder trips over becomes one
`ImageFileError` that names the input.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jsd.errors import ImageFileError

Source = str | Path | bytes | Image.Image

# Decoders for pictures that people have; the rest of Pillow's (EPS runs Ghostscript) stays out of reach.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def load_image(source: Source, field: str = "image") -> Image.Image:
    """Any picture -> RGB: upright as its EXIF says, over white where transparent, its first frame."""
    return _to_rgb(source, field, background=WHITE)


def load_mask(source: Source, field: str = "mask") -> Image.Image:
    """Any picture -> mode L, 255 where it is repainted (white), 0 where it is kept (black, transparent)."""
    mask = _to_rgb(source, field, background=BLACK).convert("L")
    return mask.point(lambda value: 255 if value >= 128 else 0)


def _to_rgb(source: Source, field: str, background: tuple[int, int, int]) -> Image.Image:
    if isinstance(source, Image.Image) and 0 in source.size:
        raise ImageFileError(
            "image.empty",
            "{field} must have at least one pixel, {value} has none; pass another picture",
            field=field,
            value=f"a {source.mode} image",
        )
    with open_image(source, field) as image:
        return _flatten(image, background)


def _flatten(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # 16 bits a pixel: Pillow's own conversion would clip at 255.
        values = np.asarray(image).astype(np.float64).clip(0, 65535)
        return Image.fromarray((values / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers, whose range is unknown")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image).convert("RGB")
    return image.convert("RGB")


@contextmanager
def open_image(source: Source, field: str) -> Iterator[Image.Image]:
    """The picture, not yet decoded; whatever is wrong with it, here or in the block, is one `ImageFileError`."""
    name = _name(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            if isinstance(source, Image.Image):
                yield source
                return
            if not isinstance(source, bytes) and Path(source).exists() and not Path(source).is_file():
                raise FileNotFoundError(source)  # a pipe would be waited for
            with Image.open(BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
                yield image
        except FileNotFoundError as error:
            raise ImageFileError(
                "image.missing",
                "{field} must be a picture file, and there is none at {value}; check the path",
                field=field,
                value=name,
            ) from error
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            limit = Image.MAX_IMAGE_PIXELS
            raise ImageFileError(
                "image.bomb",
                "{field} must have at most {limit} pixels, {value} has more; make it smaller first",
                field=field,
                value=name,
                limit=limit,
            ) from error
        except Exception as error:
            # Damaged files make the decoders raise nearly anything: OSError, SyntaxError, struct.error, ...
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageFileError(
                "image.unreadable",
                "{field} must be a picture ({formats}), and {value} cannot be read: {reason}; save or upload it again",
                field=field,
                value=name,
                formats=", ".join(FORMATS),
                reason=reason[:200],
            ) from error


def _name(source: Source) -> str:
    if isinstance(source, Image.Image):
        return f"a {source.mode} image"
    text = f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
    return text if len(text) <= 200 else text[:200] + "…"
