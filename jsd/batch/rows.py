"""A file of requests: JSON lines, CSV, or one prompt a line. Whatever is wrong with one row stays in that row."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.models.record import file_digest
from jsd.options import OPTIONS, SamplingOptions, not_an_object
from jsd.rules import split_weight

# The csv module's own limit, 128 KiB, would stop the file where a row is too long.
MAX_CELL_CHARACTERS = 2**20

# What gives a row's options by name; InvalidInputError where it cannot be read.
ReadValues = Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """`number` is the line (of a CSV file: the row, its header is 1); `key` is what it asks for, not where."""

    number: int
    key: str
    options: SamplingOptions


def read_rows(
    path: Path, defaults: Mapping[str, object] | None = None, output: Mapping[str, object] | None = None
) -> tuple[list[Row], dict[int, InvalidInputError]]:
    """The rows in order, and by number what is wrong with the others; InvalidInputError where the file as a whole
    cannot be read.

    `defaults`: options of the rows that do not name them; `output`: what all rows ask for beside options, and is no
    default. Pictures are looked for beside the file.
    """
    readers: dict[str, Callable[[str], Iterator[tuple[int, ReadValues]]]] = {
        ".jsonl": partial(_lines, read=_json_object),
        ".csv": partial(_csv_rows, path=path),
        ".txt": partial(_lines, read=lambda line: {"prompt": line.strip()}),
    }
    if path.suffix.lower() not in readers:
        raise InvalidInputError(
            "batch.suffix",
            "{field} must end in one of {choices}, got {value}; rename it to say what it holds",
            field="FILE",
            value=path,
            choices=", ".join(readers),
        )
    rows: list[Row] = []
    wrong: dict[int, InvalidInputError] = {}
    seen: Counter[str] = Counter()
    digest = cache(_digest)
    for number, read in readers[path.suffix.lower()](read_text(path)):
        try:
            options = SamplingOptions(**{"prompt": None, **(defaults or {}), **read()})
        except InvalidInputError as error:
            wrong[number] = error
            continue
        pictures = {name: getattr(options, name) for name in ("image", "mask")}
        beside = {name: path.parent / picture for name, picture in pictures.items() if picture is not None}
        files = [*beside.values(), *(Path(split_weight(one)[0]) for one in options.loras)]
        # Another file of that name asks for another picture.
        digests = {"files": list(map(digest, files))} if files else {}
        asked = json.dumps({**_non_defaults(options), **digests, **(output or {})})
        seen[asked] += 1  # rows that ask for the same get different keys, so that each is drawn
        key = hashlib.sha256(f"{seen[asked]} {asked}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        rows.append(Row(number=number, key=key, options=replace(options, **beside)))
    if not rows and not wrong:
        raise InvalidInputError(
            "batch.no_rows",
            "{field} must hold at least one row, and {value} holds none; write one prompt a line",
            field="FILE",
            value=path,
        )
    return rows, wrong


def _digest(path: Path) -> str | None:
    """None where it cannot be read, which is told when the row is drawn."""
    try:
        return file_digest(path) if path.is_file() else None
    except (OSError, ValueError):  # a name may hold a NUL
        return None


def read_text(path: Path, field: str = "FILE") -> str:
    """Of a file that somebody wrote: UTF-8, or UTF-16 that says so."""
    try:
        if path.exists() and not path.is_file():
            raise OSError(0, _("it is not a file"))  # a pipe would be waited for
        data = path.read_bytes()
        # Notepad and Excel begin a file with a byte order mark.
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise InvalidInputError(
            "batch.unreadable",
            "{field} must be a file that can be read, and {value} cannot: {reason}; check the path",
            field=field,
            value=path,
            reason=error.strerror,
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            "batch.not_utf8",
            "{field} must be UTF-8 text, and {value} is not at byte {position}; save it as UTF-8 (in Excel: CSV UTF-8)",
            field=field,
            value=path,
            position=error.start + 1,
        ) from error


def _lines(text: str, read: Callable[[str], dict[str, Any]]) -> Iterator[tuple[int, ReadValues]]:
    # Not splitlines(): JSON strings may hold U+2028 and its like.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() != "":
            yield number, partial(read, line)


def _json_object(line: str) -> dict[str, Any]:
    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _check_once([name for name, _value in pairs])
        return dict(pairs)

    try:
        values = json.loads(line, object_pairs_hook=no_duplicates)
    except InvalidInputError:  # a ValueError too
        raise
    except (ValueError, RecursionError) as error:
        raise not_an_object(error) from error
    if not isinstance(values, dict):
        raise not_an_object(type(values).__name__)
    return values


def _csv_rows(text: str, path: Path) -> Iterator[tuple[int, ReadValues]]:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    number, header = 0, None
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True), start=1):
            if header is None:
                header = _header(cells)
            elif any(cell.strip() != "" for cell in cells):
                yield number, partial(_values_of_cells, header, cells)
    except csv.Error as error:
        raise InvalidInputError(
            "batch.csv",
            "{field} must be CSV, and row {row} of {value} is not: {reason}; close its quotes "
            "and double those inside a cell",
            field="FILE",
            value=path,
            row=number + 1,
            reason=error,
        ) from error


def _header(cells: list[str]) -> list[str]:
    header = [name.strip() for name in cells]
    wrong = [repr(name) for name in header if name not in OPTIONS]
    if "prompt" not in header:
        wrong.append("prompt")
    if wrong:
        raise InvalidInputError(
            "batch.column",
            "the columns must be sampling options, prompt among them, and {field} is missing or is not one; the "
            "options are {choices}",
            field=wrong[0],
            choices=", ".join(OPTIONS),
        )
    _check_once(header)
    return header


def _values_of_cells(header: list[str], cells: list[str]) -> dict[str, Any]:
    if len(cells) > len(header):
        raise InvalidInputError(
            "batch.cells",
            "a {field} must have at most as many cells as the header ({limit}), and this has "
            "{value}; put cells with commas in quotes",
            field="row",
            value=len(cells),
            limit=len(header),
        )
    # An empty cell is unset; only the prompt may be meant to be empty.
    named = zip(header, cells, strict=False)
    return {name: OPTIONS[name].parse(cell) for name, cell in named if cell != "" or name == "prompt"}


def _check_once(names: list[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise InvalidInputError(
                "batch.twice", "each name may stand once, and {field} stands twice; remove one", field=name
            )


def _non_defaults(options: SamplingOptions) -> dict[str, object]:
    """Of these alone, so that an option of a later version leaves old keys as they are."""
    values: dict[str, object] = json.loads(options.to_json())
    return {name: value for name, value in values.items() if value != OPTIONS[name].default}
