"""Where a server's pictures stand until they are sent, and what is said where nothing can be written there."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from jsd.atomic import write_file
from jsd.errors import InvalidInputError, ServingError
from jsd.images import encode_image


def received(path: Path | str, field: str) -> Path:
    """`path`, if Cog wrote it for this request: a client must not have this machine's files read.

    What is no address and no data: URI reaches a predictor as it was sent, a str, whatever the annotation says.
    """
    name, folder = tempfile.gettempprefix(), Path(tempfile.gettempdir())
    if isinstance(path, Path) and path.parent == folder and path.name.startswith(name):
        return path
    raise InvalidInputError(
        "image.address",
        "{field} must be an https:// or http:// address or a data: URI, got {value}; send "
        "the picture itself as a data: URI",
        field=field,
        value=path,
    )


def picture_folder() -> "TemporaryDirectory[str]":
    with _writable():
        return TemporaryDirectory(prefix="jsd-")


def save_picture(
    image: Image.Image, path: Path, *, quality: int = 80, metadata: Mapping[str, object] | None = None
) -> None:
    """`jsd.images.save_image` for a caller who did not choose the place."""
    data = encode_image(image, path, quality=quality, metadata=metadata)
    with _writable():
        write_file(path, data)


@contextmanager
def _writable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir()
        raise ServingError(
            "serve.not_writable",
            "the server's pictures need a place in {folder}, which cannot be written to: "
            "{reason}; make room there, or name another folder in TMPDIR when the server starts, "
            "then try again",
            folder=folder,
            reason=error.strerror,
        ) from error
