"""A corpus of anybody's pictures on the disk: shards of parquet, in which every picture can be used as it is.

    FOLDER/corpus.json             what was imported, how many records each shard has
    FOLDER/shards/00000.parquet    key, image (bytes), captions, weights, width, height, digest, the source's columns
    FOLDER/left_out.jsonl          key, reason, detail, taken: what was left out, or changed to be usable

`datasets`, `pyarrow` and Ray Data read the shards without this package.
"""

import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from jsd.atomic import write_file, write_json, write_text
from jsd.errors import CorpusError, ImageFileError, InvalidInputError, first_line
from jsd.images.opening import load_image
from jsd.training.corpora.arrow import import_arrow
from jsd.training.corpora.readers import STATE_FILE
from jsd.training.corpora.records import Noted, Picture, Record, as_utf8, usable

RECORDS_A_SHARD, BYTES_A_SHARD = 1000, 200_000_000
FIXED = ("key", "image", "captions", "weights")
LEFT_OUT_FILE, SHARDS = "left_out.jsonl", "shards"
OURS = {STATE_FILE, LEFT_OUT_FILE, SHARDS, "latents", "sheet", "histogram.png"}  # what may be removed
LEFT_BY_DESKTOPS = {".DS_Store", "Thumbs.db", "desktop.ini", ".directory"}  # that somebody looked with
ABOUT = b"jsd"  # in a shard's own metadata: how much of the source it covers, and what was left out


@dataclass(frozen=True)
class Shards:
    folder: Path
    counts: tuple[int, ...]  # records of each shard

    @classmethod
    def load(cls, folder: Path) -> "Shards":
        state = read_state(folder)
        if state is None or "counts" not in state:
            raise CorpusError(
                "shards.absent",
                "there are no imported pictures in {folder}, or not all of them yet; run: jsd data import SOURCE "
                "--output {folder}, or again the jsd data filter that writes it",
                folder=folder,
            )
        return cls(folder, tuple(state["counts"]))

    @classmethod
    def load_filled(cls, folder: Path) -> "Shards":
        shards = cls.load(folder)
        if len(shards) == 0:
            raise CorpusError(
                "shards.empty",
                "{folder} must hold a picture, and has none: {left_out} says why each was left out; import others",
                folder=folder,
                left_out=folder / LEFT_OUT_FILE,
            )
        return shards

    def __len__(self) -> int:
        return sum(self.counts)

    @property
    def filled(self) -> list[int]:
        """The shards that hold a record: one may hold what was left out alone, and then lacks columns."""
        return [index for index, count in enumerate(self.counts) if count > 0]

    @cached_property
    def digest(self) -> str:
        """Of what was imported and how: two imports of the same files have the same."""
        return hashlib.sha256(json.dumps(read_state(self.folder), sort_keys=True).encode()).hexdigest()

    def path(self, index: int) -> Path:
        return shard_path(self.folder, index)

    def table(self, index: int, columns: Sequence[str] | None = None) -> Any:
        """A pyarrow table of one shard; CorpusError names it where it cannot be read."""
        arrow, parquet = import_arrow()
        try:
            table = parquet.read_table(self.path(index), columns=columns)
        except (OSError, arrow.ArrowException) as error:
            raise self._damaged(index, first_line(error)) from error
        return table

    def image(self, index: int, key: str, data: bytes | Path) -> Image.Image:
        """A picture of that shard; CorpusError names both where it cannot be read any more."""
        try:
            return load_image(data)
        except ImageFileError as error:
            raise self._damaged(index, f"{key}: {error.params.get('reason', error)}") from error

    def _damaged(self, index: int, reason: str) -> CorpusError:
        return CorpusError(
            "shards.damaged",
            "the shard {path} cannot be read: {reason}; remove {folder} and import the pictures again",
            path=self.path(index),
            reason=reason,
            folder=self.folder,
        )

    def columns(self, index: int) -> list[str]:
        _, parquet = import_arrow()
        names: list[str] = parquet.read_schema(self.path(index)).names
        return names

    def records(self, index: int) -> Iterator[Record]:
        for row in self.table(index).to_pylist():
            key, image, captions, weights = (row.pop(name) for name in FIXED)
            yield Record(key, image, tuple(captions), tuple(weights or ()), row)


def shard_path(folder: Path, index: int) -> Path:
    return folder / SHARDS / f"{index:05}.parquet"


def shard_bytes(records: Sequence[Record], about: dict[str, Any]) -> bytes:
    """The file of a shard. A column holds what pyarrow makes of its values, or their JSON where they are mixed or no
    parquet can hold them."""
    arrow, parquet = import_arrow()
    columns: dict[str, Any] = {
        "key": arrow.array([one.key for one in records], arrow.string()),
        "image": arrow.array([one.image for one in records], arrow.binary()),
        "captions": arrow.array([list(one.captions) for one in records], arrow.list_(arrow.string())),
        "weights": arrow.array([list(one.weights) for one in records], arrow.list_(arrow.float64())),
    }
    for name in dict.fromkeys(name for one in records for name in one.columns if name not in FIXED):
        values = [one.columns.get(name) for one in records]
        try:
            columns[name] = arrow.array(values)
            # An object without fields is an array, and no column of a file: seen by writing none of its rows.
            parquet.write_table(arrow.table({name: columns[name].slice(0, 0)}), io.BytesIO())
        except (arrow.ArrowException, TypeError, ValueError, OverflowError):
            texts = [json.dumps(value, ensure_ascii=False, default=str) for value in values]
            columns[name] = arrow.array([as_utf8(text) for text in texts])
    table = arrow.table(columns).replace_schema_metadata({ABOUT: json.dumps(about, ensure_ascii=False)})
    file = io.BytesIO()
    parquet.write_table(table, file, row_group_size=100)
    return file.getvalue()


def read_about(path: Path) -> dict[str, Any] | None:
    """What a shard says of itself; None where it cannot be read."""
    arrow, parquet = import_arrow()
    try:
        about: dict[str, Any] = json.loads(parquet.read_schema(path).metadata[ABOUT])
    except (OSError, KeyError, TypeError, ValueError, arrow.ArrowException):
        return None
    return about


def read_state(folder: Path) -> dict[str, Any] | None:
    try:
        state = json.loads((folder / STATE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def open_output(folder: Path, description: dict[str, Any]) -> None:
    """A folder that is new, or one that the same work was begun in; what another import left in it goes."""
    state = read_state(folder)
    found = {path.name for path in folder.iterdir()} - LEFT_BY_DESKTOPS if folder.is_dir() else set()
    half = {name for name in found if name.startswith(tuple(f".{own}{mark}" for own in OURS for mark in ".-"))}
    found -= half  # which a killed command was writing
    strange = (folder.exists() and not folder.is_dir()) or found - OURS
    if strange or (found and (state is None or "description" not in state)):
        raise InvalidInputError(
            "shards.occupied",
            "{field} must be a new folder or one made by jsd data, and {value} holds something else; name another",
            field="output",
            value=folder,
        )
    is_other = state is None or state.get("description") != description
    there = sorted(folder.iterdir(), key=lambda path: path.name == STATE_FILE) if folder.is_dir() else []
    for path in there:  # what says whose they are goes last; the folder itself may be a link
        if not is_other and path.name not in half:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    if is_other:
        write_json(folder / STATE_FILE, {"description": description})
    (folder / SHARDS).mkdir(parents=True, exist_ok=True)


def close_output(folder: Path, description: dict[str, Any], counts: Sequence[int]) -> Shards:
    write_json(folder / STATE_FILE, {"description": description, "records": sum(counts), "counts": list(counts)})
    return Shards.load(folder)


def check_apart(source: Path, output: Path) -> None:
    """What is written into a source would be read as pictures the next time, or take their place."""
    written, read = output.resolve(), source.resolve()
    if written.is_relative_to(read) or read.is_relative_to(written):
        raise InvalidInputError(
            "shards.inside",
            "{field} must lie apart from the pictures that are read, and {value} is in or around {source}; name "
            "another folder",
            field="output",
            value=output,
            source=source,
        )


def fingerprint(source: Path) -> str:
    """Of the names, sizes and times of a source's files, wherever it lies."""
    whole = hashlib.sha256()
    for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
        if path.name in LEFT_BY_DESKTOPS or path.is_dir():  # whose time is that of what was left
            continue
        name = str(path.relative_to(source))
        stat = path.stat() if path.exists() else None
        whole.update(repr((name, stat and stat.st_size, stat and stat.st_mtime_ns)).encode("utf-8", "replace"))
    return whole.hexdigest()[:16]


def import_pictures(
    items: Iterable[Record | Noted],
    description: dict[str, Any],
    folder: Path,
    tell: Callable[[int], None],
    records_a_shard: int = RECORDS_A_SHARD,
) -> tuple[Shards, list[Noted]]:
    """Write the usable pictures of a source, or go on with that; `tell` hears how many items were read."""
    import_arrow()
    open_output(folder, description)
    counts, noted, seen, num_read = _finished(folder)
    records: list[Record] = []
    new: list[Noted] = []
    before = num_read

    def flush() -> None:
        if not records and not new:
            return
        about = {"read": num_read - before, "records": len(records), "noted": [asdict(one) for one in new]}
        write_file(shard_path(folder, len(counts)), shard_bytes(records, about), sync=True)
        counts.append(len(records))
        noted.extend(new)

    for found in usable(islice(items, num_read, None), seen):
        num_read += 1
        tell(num_read)
        records += [one.record for one in found if isinstance(one, Picture)]
        new += [one for one in found if isinstance(one, Noted)]
        size_bytes = sum(len(one.image) for one in records if isinstance(one.image, bytes))
        if len(records) >= records_a_shard or len(new) >= records_a_shard or size_bytes > BYTES_A_SHARD:
            flush()
            records, new, before = [], [], num_read
    flush()
    write_left_out(folder, noted)
    return close_output(folder, description, counts), noted


def write_left_out(folder: Path, noted: Sequence[Noted]) -> None:
    lines = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in noted)
    write_text(folder / LEFT_OUT_FILE, lines.encode("utf-8", "replace").decode())


def _finished(folder: Path) -> tuple[list[int], list[Noted], set[int], int]:
    """Of the shards that are there: records of each, what was left out, keys seen, how much of the source was read."""
    counts: list[int] = []
    noted: list[Noted] = []
    seen: set[int] = set()
    num_read = 0
    shards = Shards(folder, ())
    while (about := read_about(shards.path(len(counts)))) is not None:
        seen.update(map(hash, shards.table(len(counts), ["key"])["key"].to_pylist()))
        new = [Noted(**one) for one in about["noted"]]
        seen.update(hash(one.key) for one in new)
        noted += new
        counts.append(about["records"])
        num_read += about["read"]
    return counts, noted, seen, num_read


def summed(noted: Iterable[Noted]) -> list[tuple[str, bool, int, list[str]]]:
    """(reason, taken, how many, the first names), the most frequent first."""
    noted = list(noted)
    counted = Counter((one.reason, one.taken) for one in noted)
    return [
        (reason, taken, count, [one.key for one in noted if (one.reason, one.taken) == (reason, taken)][:3])
        for (reason, taken), count in counted.most_common()
    ]
