"""A server's pictures: those that a request brings, and those that wait to be sent."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from PIL import Image

from jsd.atomic import write_file
from jsd.errors import InvalidInputError, ServingError
from jsd.images import encode_image
from jsd.prompting.tokenizer import printable
from jsd.serving.fetching import fetch_picture

PREFIX = "jsd-"
# Where Cog's server makes three folders for each prediction, and leaves them.
COG_FOLDERS = Path("/tmp/coglet/predictions")
LEFT_SECONDS = 3600
MAX_SHOWN = 80  # of an address: it may be a picture in base64


def read_picture(value: str, field: str) -> bytes:
    """A picture that a client sent or named: it may have no file of this machine read."""
    check_address(value, field)
    if not value.startswith("data:"):
        return fetch_picture(value, field)
    with suppress(ValueError), urlopen(value) as response:
        return bytes(response.read())
    raise _no_address(value, field)


def check_address(value: object, field: str) -> None:
    if not isinstance(value, str) or not value.startswith(("https://", "http://", "data:")):
        raise _no_address(value, field)


def _no_address(value: object, field: str) -> InvalidInputError:
    text = printable(value[: MAX_SHOWN + 1]) if isinstance(value, str) else repr(value)
    return InvalidInputError(
        "image.address",
        "{field} must be an https:// or http:// address or a data: URI, got {value}; send "
        "the picture itself as a data: URI",
        field=field,
        value=text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…",
    )


def check_cog_folders() -> None:
    """ServingError where Cog's server cannot make its folders: another user's stay when that one's server has ended."""
    try:
        COG_FOLDERS.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=COG_FOLDERS):
            pass
    except OSError as error:
        raise ServingError(
            "serve.cog_folders",
            "Cog's server needs a place in {folder}, which cannot be written to: {reason}; remove it, or let this user "
            "write there",
            folder=COG_FOLDERS,
            reason=error.strerror,
        ) from error


def picture_folder() -> "TemporaryDirectory[str]":
    with writable():
        return TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-")


def sweep() -> None:
    """Remove what ended workers, and Cog's server after its predictions, have left for an hour."""
    pictures = [path for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*") if not _is_alive(path)]
    for path in [*pictures, *COG_FOLDERS.glob("*")]:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(path)


def _is_alive(folder: Path) -> bool:
    """Whether the process runs that `picture_folder` made it in."""
    number = folder.name.removeprefix(PREFIX).partition("-")[0]
    return not number.isdecimal() or Path(f"/proc/{number}").exists()


def save_picture(
    image: Image.Image, path: Path, *, quality: int = 80, metadata: Mapping[str, object] | None = None
) -> None:
    """`jsd.images.save_image` for a caller who did not choose the place."""
    write_picture(path, encode_image(image, path, quality=quality, metadata=metadata))


def write_picture(path: Path, data: bytes) -> None:
    with writable():
        path.parent.mkdir(exist_ok=True)
        write_file(path, data)


@contextmanager
def writable() -> Iterator[None]:
    """ServingError where what is done within cannot write."""
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
