"""Pictures that somebody sent -> Pillow images. Without torch, so that a look at a file's metadata is quick.

A user's file is untrusted: only harmless formats are opened, and whatever a decoder trips over becomes one
`ImageFileError` that names the input.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from jsd.errors import ImageFileError, InvalidInputError
from jsd.i18n import _

Source = str | Path | bytes | Image.Image

# Decoders for pictures that people have; the rest of Pillow's (EPS runs Ghostscript) stays out of reach.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
WHITE_ENOUGH = 128  # of a mask's pixel that is repainted
# EXIF's orientation -> what shows such a picture upright
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What a profile's colours are called -> Pillow's mode, and the modes of pictures that may have such a profile
PROFILES = {
    "RGB": ("RGB", ("RGB", "RGBA", "P", "PA", "RGBX", "1", "L", "LA")),
    "GRAY": ("L", ("1", "L", "LA")),
    "CMYK": ("CMYK", ("CMYK",)),
}
# Of 16 bits, rounded to the nearest of 8.
EIGHT_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)
ROWS_AT_ONCE = 64  # numpy takes 8 bytes for each index


def load_image(source: Source, field: str = "image") -> Image.Image:
    """Any picture -> RGB in sRGB: upright as its EXIF says, over white where transparent, its first frame."""
    with _decoded(source, field) as image:
        if image is source and image.mode == "RGB" and not image.info:
            return image  # flat, as this function gave it
        return _flatten(image, WHITE, image.info.get("icc_profile"))


def load_mask(source: Source, field: str = "mask") -> Image.Image:
    """Any picture -> mode L, 255 where it is repainted (white), 0 where it is kept (black, transparent)."""
    with _decoded(source, field) as image:
        if image is source and image.mode == "L" and not image.info and not any(image.histogram()[1:255]):
            return image  # as this function gave it
        # Without its profile: it says what is painted, not in which colour.
        flat = _flatten(image, BLACK, profile=None)
    mask = flat.convert("L")
    lightest = max(value for value, count in enumerate(mask.histogram()) if count > 0)
    if lightest < WHITE_ENOUGH and flat.getbbox() is not None:
        raise InvalidInputError(
            "image.mask_dark",
            "{field} must be white (255) where the picture is drawn anew and black elsewhere, and the "
            "lightest pixel of {value} has {lightest}; paint that part white",
            field=field,
            value=_name(source),
            lightest=lightest,
        )
    return mask.point(lambda value: 255 if value >= WHITE_ENOUGH else 0)


def check_picture(source: Source, field: str) -> None:
    """ImageFileError where it cannot be read."""
    with _decoded(source, field):
        pass


@contextmanager
def _decoded(source: Source, field: str) -> Iterator[Image.Image]:
    if isinstance(source, Image.Image) and 0 in source.size:
        raise ImageFileError(
            "image.empty",
            "{field} must have at least one pixel, {value} has none; pass another picture",
            field=field,
            value=_name(source),
        )
    with open_image(source, field) as image:
        image.load()
        if image.mode == "F":
            raise ValueError("its pixels are floating-point numbers, whose range is unknown")
        yield image


def _flatten(image: Image.Image, background: tuple[int, int, int], profile: Any) -> Image.Image:
    """A copy in RGB without anything else, from the colours of the ICC `profile` if there is one."""
    turn = TURNS.get(exif_value(image, ExifTags.Base.Orientation))
    flat = _eight_bits(image) if image.mode.startswith("I") else image
    flat = flat if turn is None else flat.transpose(turn)
    mode = flat.mode
    if flat.has_transparency_data:
        flat = flat.convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", flat.size, (*background, 255)), flat)
    flat = (flat if profile is None else _to_srgb(flat, profile, mode)).convert("RGB")
    flat.info = {}
    return flat


def exif_value(image: Image.Image, tag: int, ifd: int | None = None) -> Any:
    """None where there is none, or where the EXIF is damaged: the picture is what it is without it."""
    try:
        exif = image.getexif()
        return (exif if ifd is None else exif.get_ifd(ifd)).get(tag)
    except Exception:  # Pillow raises nearly anything
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """16 bits a pixel, or a TIFF's 12 -> mode L, LA where one value is transparent: Pillow's own conversion would clip
    at 255, and takes no note of white that is zero."""
    values = np.asarray(image)  # (H, W)
    tags = getattr(image, "tag_v2", {})
    is_twelve = tags.get(ExifTags.Base.BitsPerSample) == (12,)
    white_is_zero = tags.get(ExifTags.Base.PhotometricInterpretation) == 0
    pixels = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        deep = values[rows].clip(0, 4095) * 65535.0 / 4095 if is_twelve else values[rows].clip(0, 65535)
        pixels[rows] = EIGHT_BITS[(65535 - deep if white_is_zero else deep).astype(np.uint16)]
    grey, transparent = Image.fromarray(pixels), image.info.get("transparency")
    if not isinstance(transparent, int):
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8))))


def _to_srgb(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    """As it is where the profile is damaged, or of other colours than those of the picture's own `mode`."""
    from PIL import ImageCms

    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        converted, modes = PROFILES[opened.profile.xcolor_space.strip()]
        if mode not in modes:
            return image
        transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), converted, "RGB")
        return ImageCms.applyTransform(image.convert(converted), transform) or image
    except (ImageCms.PyCMSError, KeyError, OSError, TypeError, ValueError):
        return image


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
            if isinstance(error, UnidentifiedImageError):  # its words are those of the value, or of a place in memory
                reason = _("it is none of these")
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
