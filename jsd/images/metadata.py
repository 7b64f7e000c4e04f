"""A picture's file and what made it: written into PNG, JPEG and WebP, read back from any tool's.

| | PNG | JPEG, WebP |
| --- | --- | --- |
| the A1111 text | iTXt `parameters` | EXIF UserComment, UTF-16 |
| our JSON | iTXt `jsd` | XMP `jsd:record` |
| made by a model | XMP `DigitalSourceType` (iTXt) | the same (XMP) |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo, iTXt

import jsd
from jsd.errors import Note
from jsd.images.opening import exif_value, open_image
from jsd.images.parameters import from_parameters, has_settings, to_parameters
from jsd.images.xmp import from_xmp, to_json, to_xmp

PARAMETERS_KEY, RECORD_KEY, XMP_KEY = "parameters", "jsd", "XML:com.adobe.xmp"
UNICODE_PREFIX = b"UNICODE\0"
ENCODINGS = {b"ASCII\0\0\0": "utf-8", b"JIS\0\0\0\0\0": "iso2022_jp", bytes(8): "utf-8"}
# A JPEG segment has 65,535 bytes with its own length (2); XMP's begins with a name (29), EXIF's with (6).
MAX_JPEG_BYTES = {"xmp": 65_533 - 29, "exif": 65_533 - 6}
BYTES_OF_DIGESTS = 500  # of the picture and of what it was drawn from, with their names


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """What a file says of itself; `record` is our JSON, `parameters` the A1111 text of any tool."""

    format: str
    size: tuple[int, int]  # width, height, px
    record: dict[str, Any] | None
    parameters: str | None
    digital_source_type: str | None

    @property
    def values(self) -> dict[str, Any]:
        """The record, else as much as the A1111 text gives, else nothing."""
        if self.record is not None:
            return self.record
        return {} if self.parameters is None else from_parameters(self.parameters)


def save_arguments(format: str, metadata: Mapping[str, object]) -> dict[str, Any]:
    """What `Image.save` needs to write `metadata` into a file of `format` ("png", "jpg", "webp").

    What a JPEG cannot hold is left out: see `left_out`.
    """
    parameters = to_parameters(metadata, jsd.__version__)
    if format == "png":
        pnginfo = PngInfo()
        if parameters is not None:
            pnginfo.add_itxt(PARAMETERS_KEY, parameters)
        pnginfo.add_itxt(RECORD_KEY, to_json(metadata))
        pnginfo.add_itxt(XMP_KEY, to_xmp(metadata, jsd.__version__, with_record=False).decode())
        return {"pnginfo": pnginfo}
    packets = (
        to_xmp(metadata, jsd.__version__, with_record=True),
        to_xmp(metadata, jsd.__version__, with_record=False),
        to_xmp({}, jsd.__version__, with_record=False),
    )
    arguments = {"xmp": next(packet for packet in packets if format == "webp" or len(packet) <= MAX_JPEG_BYTES["xmp"])}
    if parameters is not None:
        exif = Image.Exif()
        # Big-endian throughout: the web UI's readers take the text for that whatever the EXIF block says.
        exif.endian = ">"
        comment = UNICODE_PREFIX + parameters.encode("utf-16-be")
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
        data = exif.tobytes()
        if format == "webp" or len(data) <= MAX_JPEG_BYTES["exif"]:
            arguments["exif"] = data
    return arguments


def left_out(format: str, metadata: Mapping[str, object]) -> Note | None:
    """That a file of `format` will not say all of `metadata`, which may still lack the digests of pictures."""
    if format not in ("jpg", "jpeg"):
        return None
    size = len(to_xmp(metadata, jsd.__version__, with_record=True)) + BYTES_OF_DIGESTS
    size = max(size, 2 * len(to_parameters(metadata, jsd.__version__) or ""))
    if size <= MAX_JPEG_BYTES["xmp"]:
        return None
    return Note(
        "metadata.left_out",
        "{field} {value} holds at most {limit} bytes of what made a picture, and this one's takes {size}: its "
        "file will not say all of it; take png or webp",
        field="output_format",
        value=format,
        limit=MAX_JPEG_BYTES["xmp"],
        size=size,
    )


def read_picture_file(path: Path) -> PictureFile:
    """ImageFileError where `path` is no whole picture; empty fields where it says nothing."""
    with open_image(path, "FILE") as image:
        image.load()  # all of it: a PNG may keep its texts at the end
        texts = {key: _as_utf_8(value) for key, value in image.info.items() if isinstance(value, str)}
        packet = image.info.get("xmp", b"")
        comment = exif_value(image, ExifTags.Base.UserComment, ExifTags.IFD.Exif)
        format, size = str(image.format), image.size
    packet = packet.encode("utf-8", "replace") if isinstance(packet, str) else packet
    xmp = from_xmp(packet if isinstance(packet, bytes) else b"")  # a TIFF's tag may hold numbers
    text = texts.get(PARAMETERS_KEY)
    if text is None and isinstance(comment, bytes | str):
        # Other programs write what they like there: "Screenshot", a serial number.
        text = decode_comment(comment)
        text = text if has_settings(text) else None
    return PictureFile(
        format=format,
        size=size,
        record=_record(texts.get(RECORD_KEY, xmp.get("record"))),
        # JSON is that of other programs.
        parameters=None if text is None or text.strip() == "" or _record(text) is not None else text,
        digital_source_type=xmp.get("digital_source_type"),
    )


def _as_utf_8(text: str) -> str:
    """What a PNG's tEXt holds is Latin-1 by the standard, and UTF-8 from most of the tools that draw."""
    if isinstance(text, iTXt):
        return text
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


def decode_comment(comment: bytes | str) -> str:
    """An EXIF UserComment of any tool: eight bytes name its encoding, not its byte order."""
    if isinstance(comment, str):
        return comment.strip("\0 ")
    prefix, body = comment[:8], comment[8:]
    if prefix == UNICODE_PREFIX:
        if body[:2] == b"\xff\xfe" or (body[:2] != b"\xfe\xff" and _looks_little_endian(body)):
            text = body.decode("utf-16-le", "replace")
        else:
            text = body.decode("utf-16-be", "replace")
        return text.strip("\ufeff\0 ")
    encoding = ENCODINGS.get(prefix)
    return (comment if encoding is None else body).decode(encoding or "utf-8", "replace").strip("\0 ")


def _looks_little_endian(body: bytes) -> bool:
    """Every such text holds ASCII (`Steps: `): its high bytes are zero, and stand first in big-endian."""
    return body[1::2].count(0) > body[0::2].count(0)


def _record(text: str | None) -> dict[str, Any] | None:
    """`text` if it is a JSON object; Python reads NaN and 1e400 too, which are none."""
    try:
        value = None if text is None else json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
