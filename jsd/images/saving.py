"""Images -> files, whole or not at all."""

from collections.abc import Mapping
from io import BytesIO
from itertools import count
from os.path import lexists
from pathlib import Path

from PIL import Image

from jsd.atomic import write_file, write_new_file
from jsd.errors import InvalidInputError
from jsd.images.metadata import save_arguments

# A file's ending -> Pillow's name of its format; no other holds what made the picture.
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def save_image(
    image: Image.Image, path: Path, *, quality: int = 80, metadata: Mapping[str, object] | None = None
) -> None:
    """Write a .png, .jpg or .webp, whole or not at all."""
    data = encode_image(image, path, quality=quality, metadata=metadata)
    try:
        write_file(path, data)
    except OSError as error:
        raise _unwritable(path, error) from error


def encode_image(
    image: Image.Image, path: Path, *, quality: int = 80, metadata: Mapping[str, object] | None = None
) -> bytes:
    """The bytes of the file `path`, whose suffix names the format; nothing is written.

    `metadata` is `GeneratedImage.metadata`: see `jsd.images.metadata` for its place in each format.
    """
    suffix = path.suffix.lower()
    arguments = {} if metadata is None else save_arguments(suffix.removeprefix("."), metadata)
    file = BytesIO()
    try:
        if suffix not in FORMATS:
            raise ValueError(f"unknown file extension: {suffix}")
        # PNG has no quality, and ignores it.
        image.save(file, format=FORMATS[suffix], quality=quality, **arguments)
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error
    return file.getvalue()


def save_unused(data: bytes, folder: Path, stem: str, suffix: str) -> Path:
    """Write `data` as `stem` in `folder`, or as `stem-2`, `stem-3`, ... where that name is taken."""
    for number in count(1):
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
        if lexists(path):
            continue
        try:
            write_new_file(path, data)
        except FileExistsError:  # another process took it meanwhile
            continue
        except OSError as error:
            raise _unwritable(path, error) from error
        return path
    raise AssertionError("there is always another number")


def _unwritable(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        "image.unwritable",
        "{field} must be a place where a .png, .jpg or .webp can be written, and {value} is "
        "not: {reason}; choose another",
        field="output",
        value=path,
        reason=error,
    )
