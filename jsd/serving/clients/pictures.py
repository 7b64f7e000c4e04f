"""Pictures on their way from and to clients."""

import base64
from io import BytesIO

from PIL import Image

from jsd.errors import ImageFileError, InvalidInputError
from jsd.images.opening import open_image


def from_base64(text: object, field: str) -> bytes:
    """Plain base64, or a data: URI of it."""
    try:
        if not isinstance(text, str):
            raise ValueError(type(text).__name__)
        content = text.partition(",")[2] if text.startswith("data:") else text
        return base64.b64decode("".join(content.split()), validate=True)
    except ValueError as error:
        raise InvalidInputError(
            "clients.base64",
            "{field} must be a picture in base64 or a data: URI, got {value}; send the file's bytes in this way",
            field=field,
            value=repr(text),
        ) from error


def to_base64(picture: Image.Image) -> str:
    """As a PNG."""
    file = BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()


def transparent_parts(source: bytes, field: str) -> Image.Image:
    """OpenAI's masks say by transparency where a picture is drawn anew -> ours, white there."""
    with open_image(source, field) as mask:
        alpha = mask.convert("RGBA").getchannel("A") if mask.has_transparency_data else None
    if alpha is None:
        raise ImageFileError(
            "clients.opaque_mask",
            "{field} must be transparent where the picture is drawn anew, and has no transparency; erase these parts, "
            "and save it as a PNG",
            field=field,
        )
    return alpha.point(lambda value: 255 if value < 128 else 0)


def middle(size: tuple[int, int], shape: float) -> tuple[int, int, int, int]:
    """The largest box of the `shape`, width / height, in the middle of a picture."""
    width, height = min(size[0], round(size[1] * shape)), min(size[1], round(size[0] / shape))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + max(1, width), top + max(1, height)
