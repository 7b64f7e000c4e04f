"""Anybody's pictures as records: what a source holds, read one by one, and what makes a picture usable.

A source is a folder of pictures with a .txt beside each (kohya's layout too), a Hugging Face imagefolder, WebDataset
tar shards, parquet, or what `jsd data import` wrote: parquet again.
"""

import random
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from jsd.errors import ImageFileError, Note
from jsd.i18n import N_, _
from jsd.images.opening import exif_value, load_image, open_image
from jsd.models.record import pixel_digest

MIN_SIDE_PX = 64
MAX_REPEATS = 999.0
MAX_NAMED = 6  # of the pictures that are left out
HELD_OUT = ("validation", "test", "unseen")  # splits that are not trained on
# Kept byte for byte where nothing has to be changed. MPO: a camera's JPEG with a preview behind it.
FAITHFUL = ("PNG", "JPEG", "MPO", "WEBP")
# Reasons that leave a picture out, and changes that make one usable.
MISSING, DAMAGED, TINY, LARGE = N_("missing"), N_("damaged"), N_("tiny"), N_("too many pixels")
REASONS = {"image.missing": MISSING, "image.bomb": LARGE}  # of errors of jsd.images.opening
NO_CAPTION, DUPLICATE, NOT_READ = N_("no caption"), N_("duplicate name"), N_("a format that is not read")
NO_NAME, OUTSIDE = N_("no file_name"), N_("outside the folder")  # of a metadata file's line
KEPT = N_("kept for a test")  # by the source
UNNAMED = N_("not among the captions")  # of a picture that no line or shard of such a source names
ANIMATED, CMYK, ROTATED, DEEP = N_("animated"), N_("CMYK"), N_("rotated"), N_("16 bit")


@dataclass(frozen=True)
class Record:
    """One picture. `key` is its file's path in the source."""

    key: str
    image: bytes | Path
    captions: tuple[str, ...]
    weights: tuple[float, ...] = ()  # of the captions, in proportion; none: all alike
    columns: dict[str, Any] = field(default_factory=dict)  # whatever else the source says
    line: str = ""  # of a metadata file that names it, for who looks for what is wrong

    @property
    def repeats(self) -> float:
        """How often it is shown, against another picture: kohya's NN_name."""
        return times(self.columns.get("repeats"))

    def caption(self, rng: random.Random) -> str:
        return rng.choices(self.captions, self.weights or None)[0]


def times(repeats: object) -> float:
    """What a column of that name says, up to kohya's 999; 1 where it says nothing that can be counted."""
    try:
        number = float(repeats)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return 1.0
    return min(number, MAX_REPEATS) if number > 0 else 1.0


@dataclass(frozen=True)
class Noted:
    """A picture that is left out, or (`taken`) changed to be usable."""

    key: str
    reason: str
    detail: str = ""
    taken: bool = False


@dataclass(frozen=True)
class Picture:
    """A usable record: decoded (RGB, upright), and `record.image` the bytes of just that picture."""

    record: Record
    image: Image.Image


def usable(source: Iterable[Record | Noted], seen: set[int] | None = None) -> Iterator[list[Picture | Noted]]:
    """What became of each item of a source: a picture, notes, or both. Nothing of a picture's file raises.

    `seen`: the hashes of the keys that came before.
    """
    seen = set() if seen is None else seen
    for item in source:
        item = replace(item, key=as_utf8(item.key))
        if isinstance(item, Noted):
            yield [replace(item, detail=as_utf8(item.detail))]
            continue
        columns = {as_utf8(name): value for name, value in item.columns.items()}
        item = replace(item, line=as_utf8(item.line), columns=columns)
        name = hash(item.key)
        said = [" ".join(as_utf8(one).split()) for one in item.captions]
        weights = item.weights if len(item.weights) == len(said) else (0.0,) * len(said)
        kept = [(text, weight) for text, weight in zip(said, weights, strict=True) if text]
        if name in seen:
            yield [Noted(item.key, DUPLICATE, item.line)]
            continue
        seen.add(name)
        if not kept:
            yield [Noted(item.key, NO_CAPTION, item.line)]
            continue
        captions, weights = zip(*kept, strict=True)
        yield list(_decoded(replace(item, captions=captions, weights=weights if any(weights) else ())))


def pictures(source: Iterable[Record | Noted], noted: list[Noted]) -> Iterator[Picture]:
    """The usable pictures of a source; what there is to say of the others is appended to `noted`."""
    for found in usable(source):
        noted += [one for one in found if isinstance(one, Noted)]
        yield from (one for one in found if isinstance(one, Picture))


def warn_left_out(noted: Sequence[Noted], num_taken: int) -> None:
    """Of what no command prints; those that were made plain are taken."""
    left_out = [one for one in noted if not one.taken]
    if left_out:
        reasons = [f"{one.key} ({_(one.reason)})" for one in left_out]
        warnings.warn(
            Note(
                "lora.left_out",
                "{count} of {total} pictures are left out: {reasons}",
                count=len(left_out),
                total=num_taken + len(left_out),
                reasons=", ".join(reasons[:MAX_NAMED]) + (" …" if len(reasons) > MAX_NAMED else ""),
            ),
            stacklevel=3,
        )


def as_utf8(text: str) -> str:
    """A file's name may be bytes that are no text, and JSON may hold half a character: what cannot be written is spelt
    out, as \\udc83."""
    return text.encode("utf-8", "backslashreplace").decode()


def _decoded(record: Record) -> Iterator[Picture | Noted]:
    try:
        with open_image(record.image, "image") as opened:
            changes = list(_changes(opened))
            faithful = (
                opened.format in FAITHFUL and not changes and opened.mode == "RGB" and "icc_profile" not in opened.info
            )
        image = load_image(record.image, "image")
    except ImageFileError as error:
        reason = REASONS.get(error.code, DAMAGED)
        yield Noted(record.key, reason, str(error.params.get("reason", record.line)))
        return
    if min(image.size) < MIN_SIDE_PX:
        yield Noted(record.key, TINY, f"{image.width}x{image.height}")
        return
    yield from (Noted(record.key, change, taken=True) for change in changes)
    data = (
        (record.image if isinstance(record.image, bytes) else record.image.read_bytes()) if faithful else encoded(image)
    )
    known = {"width": image.width, "height": image.height, "digest": pixel_digest(image)[:16]}
    yield Picture(replace(record, image=data, columns={**record.columns, **known}), image)


def _changes(opened: Image.Image) -> Iterator[str]:
    if getattr(opened, "is_animated", False) and opened.format != "MPO":
        yield ANIMATED  # its first frame is taken
    if opened.mode == "CMYK":
        yield CMYK
    # Pillow opens 16 bits a channel as 8: only what it will decode says so.
    if opened.mode.startswith("I") or any(";16" in str(tile.args) for tile in getattr(opened, "tile", ())):
        yield DEEP
    if exif_value(opened, ExifTags.Base.Orientation) not in (None, 1):
        yield ROTATED


def encoded(image: Image.Image) -> bytes:
    """Without loss."""
    file = BytesIO()
    image.save(file, "PNG", compress_level=4)
    return file.getvalue()
