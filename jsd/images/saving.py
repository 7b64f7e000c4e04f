"""Images -> files, whole or not at all."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image

from jsd.atomic import write_file
from jsd.errors import InvalidInputError
from jsd.images.metadata import save_arguments


def save_image(
    image: Image.Image, path: Path, *, quality: int = 80, metadata: Mapping[str, object] | None = None
) -> None:
    """Write a .png, .jpg or .webp, whole or not at all."""
    data = encode_image(image, path, quality=quality, metadata=metadata)
    try:
        write_file(path, data)
    except OSError as error:
        raise InvalidInputError(
            "image.unwritable",
            "{field} must be a place where a .png, .jpg or .webp can be written, and {value} is "
            "not: {reason}; choose another",
            field="output",
            value=path,
            reason=error,
        ) from error


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
        if suffix not in Image.registered_extensions():
            raise ValueError(f"unknown file extension: {suffix}")
        # PNG has no quality, and ignores it.
        image.save(file, format=Image.registered_extensions()[suffix], quality=quality, **arguments)
    except (OSError, ValueError) as error:
        raise InvalidInputError(
            "image.unwritable",
            "{field} must be a place where a .png, .jpg or .webp can be written, and {value} is "
            "not: {reason}; choose another",
            field="output",
            value=path,
            reason=error,
        ) from error
    return file.getvalue()


def unused_path(folder: Path, stem: str, suffix: str) -> Path:
    """`stem` in `folder`, or `stem-2`, `stem-3`, ... where that name is taken."""
    path, number = folder / f"{stem}{suffix}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path
