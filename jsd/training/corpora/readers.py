"""The forms in which people have pictures with captions, read by the libraries that made them so."""

import codecs
import glob
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from jsd.errors import CorpusError, MissingExtraError, first_line
from jsd.i18n import _
from jsd.training.corpora.arrow import import_arrow
from jsd.training.corpora.lines import numbered, rows_of, typed
from jsd.training.corpora.records import DAMAGED, DUPLICATE, NO_NAME, NOT_READ, OUTSIDE, UNNAMED, Noted, Record

PICTURES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff")
SHARDS = (".parquet", ".tar")
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
BESIDE = (".txt", ".TXT", ".caption")  # a picture
UNREAD = (".heic", ".heif", ".jxl")  # pictures that Pillow alone does not open
CAPTIONS = ("captions", "text", "caption", "txt", "prompt")  # columns, the first that is there
IMAGES = ("image", "jpg", "png", "webp", "image_path", "path", "file_name")
KEYS = ("key", "__key__", "file_name", "path", "image_path")
REPEATS = re.compile(r"(\d{1,3})_(.+)")  # with more digits it is a date
ROWS_AT_ONCE = 64
STATE_FILE = "corpus.json"  # of a folder that `jsd data import` wrote


def read_source(source: Path, image: str | None = None, caption: str | None = None) -> Iterator[Record | Noted]:
    """Every picture of a source in an order that stays, unopened; `image` and `caption` name columns."""
    if not source.exists():
        raise CorpusError(
            "source.absent", "there are no pictures at {source}: no such file or folder; check the path", source=source
        )
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    # Links of folders are not followed; those of other files are looked at where a record names the file.
    holders = [one for one in files if one.is_symlink() and (one.is_dir() or _holds_records(one))]
    outside = {one for one in holders if one != source and _inside(source, one.relative_to(source)) is None}
    noted = [Noted(one.relative_to(source).as_posix(), OUTSIDE, os.path.realpath(one)) for one in sorted(outside)]
    unread = [one for one in files if one.suffix.lower() in UNREAD]
    noted += [Noted(one.relative_to(source.parent if one == source else source).as_posix(), NOT_READ) for one in unread]
    return chain(noted, _read(source, [one for one in files if one not in outside], image, caption, bool(noted)))


def _read(
    source: Path, files: list[Path], image: str | None, caption: str | None, is_part: bool
) -> Iterator[Record | Noted]:
    """`is_part`: there is more, which lies outside or is not read."""
    found = {suffix: [one for one in files if one.suffix == suffix and one.name not in METADATA] for suffix in SHARDS}
    drawn = [one for one in files if one.suffix.lower() in PICTURES and not one.is_dir()]
    if metadata := [one for one in files if one.name in METADATA]:
        folder = source if source.is_dir() else source.parent
        return _with_others(source, drawn, _imagefolder(folder, metadata, caption))
    if found[".tar"]:  # before the parquet that img2dataset writes beside them
        return _with_others(source, drawn, _webdataset(source, found[".tar"], caption))
    if found[".parquet"] and (not drawn or _has_pictures(found[".parquet"][0], image)):
        return _with_others(source, drawn, _parquet(source, found[".parquet"], image, caption))
    if not is_part and (not drawn or not source.is_dir()):
        raise CorpusError(
            "source.unknown",
            "{source} holds no pictures that are known: give a folder of pictures with a .txt beside each, one with "
            "metadata.jsonl, WebDataset .tar files, or parquet",
            source=source,
        )
    return _folder(source, drawn)


def _with_others(source: Path, drawn: list[Path], read: Iterator[Record | Noted]) -> Iterator[Record | Noted]:
    """What is `read` of captions that lie apart from their pictures; then the pictures that they do not name."""
    named: set[str] = set()
    for item in read:
        if isinstance(item, Noted):
            named.add(_same(source / item.key))
        elif isinstance(item.image, Path):
            named.add(_same(item.image))
        yield item
    for path in drawn:
        key = path.relative_to(source)
        if _same(path) not in named and _inside(source, key) is not None:
            yield Noted(key.as_posix(), UNNAMED)


def _same(path: Path) -> str:
    """One for all spellings by which some file system finds a file."""
    return unicodedata.normalize("NFC", str(path)).casefold()


def _holds_records(path: Path) -> bool:
    return path.name in METADATA or path.suffix in SHARDS


def _inside(source: Path, name: str | Path) -> str | None:
    """The path within the source of what is called so there; None where it leads out, as it is written or by links."""
    place = Path(os.path.normpath(name))
    for root in (source.absolute(), source.resolve()):
        if place.is_relative_to(root):
            place = place.relative_to(root)
    if place.is_absolute() or ".." in place.parts:
        return None
    path = source / place
    leads_out = os.path.lexists(path) and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(source))
    return None if leads_out else place.as_posix()


def _folder(source: Path, drawn: list[Path]) -> Iterator[Record | Noted]:
    """A caption a line of the .txt; kohya's NN_name counts for NN pictures and is called `name` where no .txt says."""
    for path in drawn:
        key = path.relative_to(source).as_posix()
        # Path.is_file raises where the name beside is too long for the disk.
        beside = next((one for suffix in BESIDE if os.path.isfile(one := path.with_suffix(suffix))), None)  # noqa: PTH113
        read = [path] if beside is None else [path, beside]
        if outside := [one for one in read if _inside(source, one.relative_to(source)) is None]:
            yield Noted(key, OUTSIDE, os.path.realpath(outside[0]))
            continue
        repeats = REPEATS.fullmatch(path.parent.name)
        columns: dict[str, Any] = {} if repeats is None else {"repeats": int(repeats[1])}
        captions: tuple[str, ...] = () if repeats is None else (repeats[2],)
        try:
            captions = captions if beside is None else tuple(_text(beside.read_bytes()).splitlines())
        except (OSError, UnicodeDecodeError) as error:
            yield Noted(key, DAMAGED, f"{path.name if beside is None else beside.name}: {error}")
            continue
        yield Record(key, path, captions, columns=columns)


def _text(data: bytes) -> str:
    """UTF-16 that says so, UTF-8, else what Windows writes in Japan; UnicodeDecodeError where it is none of them."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp932")


def _imagefolder(source: Path, files: list[Path], caption: str | None) -> Iterator[Record | Noted]:
    """Line by line: one that is damaged is left out, and none names a picture outside the folder of its file."""
    split_of = _splits(source)
    for path in files:
        name = path.relative_to(source)
        first: Record | Noted | None = None  # a record where there is any
        for number, row in numbered(path):
            item = _of_line(f"{name.as_posix()}:{number}", row, source, name.parent, caption)
            if isinstance(item, Record):
                own = item.columns
                if path.suffix == ".csv":
                    own = {column: typed(value) for column, value in own.items()}
                item = replace(item, columns={"split": split_of.get(item.key, "train"), **own})
            if first is None or isinstance(item, Record):
                first = item
            yield item
        if not isinstance(first, Record):
            reason = _("it is empty") if first is None else f"{first.key}: {first.detail or _(first.reason)}"
            raise _unreadable(path, reason)


def _of_line(line: str, row: dict[str, Any] | str, source: Path, folder: Path, caption: str | None) -> Record | Noted:
    """`folder`: that of the metadata file, within the source."""
    if isinstance(row, str):
        return Noted(line, DAMAGED, row)
    name = row.pop("file_name", None) or row.pop("image_file_name", None)
    if not isinstance(name, str) or not name:
        return Noted(line, NO_NAME)
    key = _inside(source, folder / name.replace("\\", "/"))
    if key is None:
        return Noted(line, OUTSIDE, name)
    item = _record(key, source / key, row, caption)
    return replace(item, line=line) if isinstance(item, Record) else replace(item, detail=f"{line}: {item.detail}")


def _splits(source: Path) -> dict[str, str]:
    """Of each file, as `datasets` tells by the names of folders and files: train, validation or test."""
    try:
        import datasets
        from datasets.data_files import DataFilesDict, get_data_patterns
    except ImportError:
        raise MissingExtraError("datasets", "train") from None
    root = source.resolve()
    base = glob.escape(str(root))  # what load_dataset takes for a pattern, though it is a folder's name
    try:
        files = DataFilesDict.from_patterns(get_data_patterns(base), base_path=base)
    except (datasets.exceptions.DatasetsError, ValueError, OSError) as error:
        raise _unreadable(source, str(error)) from error
    return {Path(path).relative_to(root).as_posix(): str(split) for split, paths in files.items() for path in paths}


def _webdataset(source: Path, shards: list[Path], caption: str | None) -> Iterator[Record | Noted]:
    """Of files that are opened here: to webdataset a name would be a URL, of which pipe: is a command."""
    try:
        from webdataset import tariterators
    except ImportError:
        raise MissingExtraError("webdataset", "train") from None
    for shard in shards:
        name = shard.name if shard == source else shard.relative_to(source).as_posix()
        faults: list[Exception] = []
        keep = {"handler": lambda error, kept=faults: not kept.append(error)}
        try:
            with shard.open("rb") as file:
                members = tariterators.tar_file_expander([{"url": name, "stream": file}], **keep)
                for sample in tariterators.group_by_keys(members, **keep):
                    found = next((suffix for suffix in sample if f".{suffix.lower()}" in PICTURES), None)
                    if found is None:
                        # A key ends at the first dot: photo.1.jpg is the file "1.jpg" of photo.
                        others = [one for one in sample if f".{one.lower().rpartition('.')[2]}" in (*PICTURES, *UNREAD)]
                        yield from (Noted(f"{name}/{sample['__key__']}.{one}", NOT_READ) for one in others)
                    else:
                        columns = _json(sample.get("json", b"{}"))
                        key = f"{name}/{sample['__key__']}.{found}"
                        more = [one for one in sample if f".{one.lower()}" in PICTURES and one != found]
                        yield from (Noted(f"{name}/{sample['__key__']}.{one}", DUPLICATE) for one in more)
                        try:
                            columns |= {"txt": _text(sample["txt"])} if "txt" in sample else {}
                        except UnicodeDecodeError as error:
                            yield Noted(key, DAMAGED, str(error))
                            continue
                        yield _record(key, sample[found], columns, caption, ("txt",))
        except OSError as error:
            yield Noted(name, DAMAGED, error.strerror or str(error))
        for fault in faults:
            duplicate = re.match(r"(.+?): duplicate file name", str(fault.args[0]))
            if duplicate is None:
                yield Noted(name, DAMAGED, str(fault.args[0]))
            elif f".{duplicate[1].rpartition('.')[2].lower()}" in PICTURES:
                yield Noted(f"{name}/{duplicate[1]}", DUPLICATE)


def _json(data: bytes) -> dict[str, Any]:
    try:
        columns = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return columns if isinstance(columns, dict) else {}


def _parquet(source: Path, files: list[Path], image: str | None, caption: str | None) -> Iterator[Record | Noted]:
    arrow, parquet = import_arrow()
    folder = source if source.is_dir() else source.parent
    choices = IMAGES if image is None else (image,)
    without: list[Path] = []
    for path in files:
        name = path.name if path == source else path.relative_to(source).as_posix()
        try:
            opened = parquet.ParquetFile(path)
            names = opened.schema_arrow.names
        except (OSError, arrow.ArrowException) as error:
            yield Noted(name, DAMAGED, first_line(error))
            continue
        pictures = next((one for one in choices if one in names), None)
        if pictures is None:
            without.append(path)
            yield Noted(name, NOT_READ, ", ".join(names))
            continue
        key = next((one for one in KEYS if one in names and one != pictures), None)
        number = 0
        try:
            for batch in opened.iter_batches(ROWS_AT_ONCE):
                for row in rows_of(batch):
                    if isinstance(row, Exception):
                        yield Noted(f"{name}/{number}", DAMAGED, first_line(row))
                        number += 1
                        continue
                    file = _file(row.pop(pictures))
                    said = None if key is None else row.pop(key) if key == "key" else row[key]
                    own = f"{name}/{number}" if said is None else str(said)
                    number += 1
                    if isinstance(file, bytes):
                        yield _record(own, file, row, caption)
                    elif (place := _inside(folder, file)) is None:
                        yield Noted(own, OUTSIDE, file)
                    else:
                        yield _record(own, folder / place, row, caption)
        except (OSError, arrow.ArrowException) as error:
            yield Noted(f"{name}/{number}", DAMAGED, first_line(error))
    if len(without) == len(files):
        raise CorpusError(
            "source.column",
            "{path} must have a column of pictures, called one of {choices}, and has {value}; name it: --image-column "
            "NAME",
            path=without[0],
            choices=", ".join(choices),
            value=", ".join(parquet.read_schema(without[0]).names),
        )


def _has_pictures(path: Path, image: str | None) -> bool:
    arrow, parquet = import_arrow()
    try:
        names = parquet.read_schema(path).names
    except (OSError, arrow.ArrowException):
        return False
    return any(one in names for one in (IMAGES if image is None else (image,)))


def _file(data: Any) -> bytes | str:
    """What a picture's column holds: bytes, a path, or both as `datasets` has it."""
    if isinstance(data, Mapping):
        data = data.get("bytes") or data.get("path")
    return data if isinstance(data, bytes) else str(data)


def _record(
    key: str, image: bytes | Path, columns: dict[str, Any], caption: str | None, first: tuple[str, ...] = ()
) -> Record | Noted:
    choices = (*first, *CAPTIONS) if caption is None else (caption,)
    name = next((one for one in choices if columns.get(one)), None)
    said = None if name is None else columns.pop(name)
    texts = said if isinstance(said, list) else [said]
    try:
        captions = tuple("" if one is None else _text(one) if isinstance(one, bytes) else str(one) for one in texts)
    except UnicodeDecodeError as error:
        return Noted(key, DAMAGED, str(error))
    weights = columns.pop("weights", None)
    try:
        given = tuple(map(float, weights)) if isinstance(weights, list) else ()
    except (TypeError, ValueError, OverflowError) as error:
        return Noted(key, DAMAGED, str(error))
    if given and not (min(given) >= 0 and 0 < sum(given) < math.inf):
        return Noted(key, DAMAGED, f"weights {weights}")
    return Record(key, image, captions, given, columns)


def _unreadable(source: Path, reason: str) -> CorpusError:
    return CorpusError(
        "source.unreadable",
        "the pictures of {source} cannot be read: {reason}; correct its metadata file, one line for each picture with "
        "file_name and text",
        source=source,
        reason=" ".join(reason.split())[:300],
    )
