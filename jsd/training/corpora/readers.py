"""The forms in which people have pictures with captions, read by the libraries that made them so."""

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from jsd.errors import CorpusError, MissingExtraError
from jsd.i18n import _
from jsd.training.corpora.lines import numbered, typed
from jsd.training.corpora.records import DAMAGED, DUPLICATE, NO_NAME, OUTSIDE, Noted, Record

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff")
METADATA = ("metadata.jsonl", "metadata.csv", "metadata.parquet")
CAPTIONS = ("captions", "text", "caption", "txt", "prompt")  # columns, the first that is there
IMAGES = ("image", "jpg", "png", "webp", "image_path", "path", "file_name")
KEYS = ("key", "__key__", "file_name", "path", "image_path")
REPEATS = re.compile(r"(\d+)_(.+)")
ROWS_AT_ONCE = 64
STATE_FILE = "corpus.json"  # of a folder that `jsd data import` wrote


def read_source(source: Path, image: str | None = None, caption: str | None = None) -> Iterator[Record | Noted]:
    """Every picture of a source in an order that stays, unopened; `image` and `caption` name columns."""
    if not source.exists():
        raise CorpusError(
            "source.absent", "there are no pictures at {source}: no such file or folder; check the path", source=source
        )
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    found = {
        suffix: [one for one in files if one.suffix == suffix and one.name not in METADATA]
        for suffix in (".parquet", ".tar")
    }
    if metadata := [one for one in files if one.name in METADATA]:
        return _imagefolder(source if source.is_dir() else source.parent, metadata, caption)
    if found[".tar"]:  # before the parquet that img2dataset writes beside them
        return _webdataset(source, found[".tar"], caption)
    drawn = [one for one in files if one.suffix.lower() in PICTURES and one.is_file()]
    if found[".parquet"] and (not drawn or _has_pictures(found[".parquet"][0], image)):
        return _parquet(source, found[".parquet"], image, caption)
    if not drawn or not source.is_dir():
        raise CorpusError(
            "source.unknown",
            "{source} holds no pictures that are known: give a folder of pictures with a .txt beside each, one with "
            "metadata.jsonl, WebDataset .tar files, or parquet",
            source=source,
        )
    return _folder(source, drawn)


def _folder(source: Path, drawn: list[Path]) -> Iterator[Record]:
    """A caption a line of the .txt; kohya's NN_name counts for NN pictures and is called `name` where no .txt says."""
    for path in drawn:
        repeats = REPEATS.fullmatch(path.parent.name)
        columns: dict[str, Any] = {} if repeats is None else {"repeats": int(repeats[1])}
        beside = next((one for one in (path.with_suffix(".txt"), path.with_suffix(".caption")) if one.is_file()), None)
        if beside is not None:
            captions = tuple(_text(beside.read_bytes()).splitlines())
        else:
            captions = () if repeats is None else (repeats[2],)
        yield Record(path.relative_to(source).as_posix(), path, captions, columns=columns)


def _text(data: bytes) -> str:
    """UTF-8, else what Windows writes in Japan."""
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace")


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
    place = PurePosixPath(posixpath.normpath(name.replace("\\", "/")))
    if place.is_absolute() or ".." in place.parts or PureWindowsPath(place).drive:
        return Noted(line, OUTSIDE, name)
    key = (folder / place).as_posix()
    try:
        return replace(_record(key, source / key, row, caption), line=line)
    except (TypeError, ValueError) as error:  # weights that are no numbers
        return Noted(line, DAMAGED, str(error))


def _splits(source: Path) -> dict[str, str]:
    """Of each file, as `datasets` tells by the names of folders and files: train, validation or test."""
    try:
        import datasets
    except ImportError:
        raise MissingExtraError("datasets", "train") from None
    try:
        files = datasets.load_dataset_builder("imagefolder", data_dir=str(source)).config.data_files
    except (datasets.exceptions.DatasetsError, ValueError, OSError) as error:
        raise _unreadable(source, str(error)) from error
    root = source.resolve()
    return {Path(path).relative_to(root).as_posix(): str(split) for split, paths in files.items() for path in paths}


def _webdataset(source: Path, shards: list[Path], caption: str | None) -> Iterator[Record | Noted]:
    try:
        import webdataset
    except ImportError:
        raise MissingExtraError("webdataset", "train") from None
    for shard in shards:
        name = shard.name if shard == source else shard.relative_to(source).as_posix()
        faults: list[Exception] = []
        samples = webdataset.WebDataset(
            str(shard), shardshuffle=False, empty_check=False, handler=lambda error, kept=faults: not kept.append(error)
        )
        for sample in samples:
            found = next((suffix for suffix in sample if f".{suffix.lower()}" in PICTURES), None)
            if found is not None:
                columns = _json(sample.get("json", b"{}"))
                if "txt" in sample:
                    columns["txt"] = _text(sample["txt"])
                yield _record(f"{name}/{sample['__key__']}.{found}", sample[found], columns, caption, ("txt",))
        for error in faults:
            duplicate = re.match(r"(.+?): duplicate file name", str(error.args[0]))
            if duplicate is None:
                yield Noted(name, DAMAGED, str(error.args[0]))
            elif f".{duplicate[1].rpartition('.')[2].lower()}" in PICTURES:
                yield Noted(f"{name}/{duplicate[1]}", DUPLICATE)


def _json(data: bytes) -> dict[str, Any]:
    try:
        columns = json.loads(data)
    except ValueError:
        return {}
    return columns if isinstance(columns, dict) else {}


def _parquet(source: Path, files: list[Path], image: str | None, caption: str | None) -> Iterator[Record | Noted]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "train") from None
    for path in files:
        name = path.name if path == source else path.relative_to(source).as_posix()
        try:
            opened = parquet.ParquetFile(path)
            names = opened.schema_arrow.names
        except (OSError, pyarrow.ArrowException) as error:
            yield Noted(name, DAMAGED, str(error).partition("\n")[0])
            continue
        pictures = _column(path, names, image, IMAGES)
        key = next((one for one in KEYS if one in names and one != pictures), None)
        number = 0
        try:
            for batch in opened.iter_batches(ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    data = row.pop(pictures)
                    own = f"{name}/{number}" if key is None else str(row.pop(key) if key == "key" else row[key])
                    number += 1
                    yield _record(own, _file(data, source if source.is_dir() else source.parent), row, caption)
        except (OSError, pyarrow.ArrowException) as error:
            yield Noted(f"{name}/{number}", DAMAGED, str(error).partition("\n")[0])


def _has_pictures(path: Path, image: str | None) -> bool:
    from jsd.training.corpora.shards import import_arrow

    arrow, parquet = import_arrow()
    try:
        names = parquet.read_schema(path).names
    except (OSError, arrow.ArrowException):
        return False
    return any(one in names for one in (IMAGES if image is None else (image,)))


def _file(data: Any, folder: Path) -> bytes | Path:
    """What a picture's column holds: bytes, a path, or both as `datasets` has it."""
    if isinstance(data, Mapping):
        data = data.get("bytes") or data.get("path")
    return data if isinstance(data, bytes) else folder / str(data)


def _column(path: Path, names: list[str], asked: str | None, known: tuple[str, ...]) -> str:
    choices = known if asked is None else (asked,)
    found = next((one for one in choices if one in names), None)
    if found is None:
        raise CorpusError(
            "source.column",
            "{path} must have a column of pictures, called one of {choices}, and has {value}; name it: --image-column "
            "NAME",
            path=path,
            choices=", ".join(choices),
            value=", ".join(names),
        )
    return found


def _record(
    key: str, image: bytes | Path, columns: dict[str, Any], caption: str | None, first: tuple[str, ...] = ()
) -> Record:
    choices = (*first, *CAPTIONS) if caption is None else (caption,)
    name = next((one for one in choices if columns.get(one)), None)
    said = None if name is None else columns.pop(name)
    captions = tuple(map(str, said)) if isinstance(said, list) else () if said is None else (str(said),)
    weights = columns.pop("weights", None)
    given = tuple(map(float, weights)) if isinstance(weights, list) else ()
    return Record(key, image, captions, given, columns)


def _unreadable(source: Path, reason: str) -> CorpusError:
    return CorpusError(
        "source.unreadable",
        "the pictures of {source} cannot be read: {reason}; correct its metadata file, one line for each picture with "
        "file_name and text",
        source=source,
        reason=" ".join(reason.split())[:300],
    )
