"""A file of requests: JSON lines, CSV, or one prompt a line. Whatever is wrong with one row stays in that row."""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, get_args, get_type_hints

from jsd.errors import InvalidInputError
from jsd.options import SamplingOptions

# The csv module's own limit, 128 KiB, would stop the file where a row is too long.
MAX_CELL_CHARACTERS = 2**20

# What a row asks for, or what is wrong with it; and with its number.
Asked = SamplingOptions | InvalidInputError
Numbered = tuple[int, Asked]


@dataclass(frozen=True, kw_only=True)
class Row:
    """`number` is the line (of a CSV file: the row, its header is 1); `key` is what it asks for, not where."""

    number: int
    key: str
    options: SamplingOptions


@dataclass(frozen=True, kw_only=True)
class BadRow:
    number: int
    error: InvalidInputError


def read_rows(
    path: Path, restyle: Callable[[str], str] | None = None, output: Mapping[str, object] | None = None
) -> list[Row | BadRow]:
    """The rows in order, each prompt through `restyle`; InvalidInputError where the file as a whole cannot be read.

    Pictures are looked for beside the file. `output`: what all rows ask for beside their options, and is no default.
    """
    readers: dict[str, Callable[[str], Iterator[Numbered]]] = {
        ".jsonl": partial(_lines, make=_options_of_json),
        ".csv": partial(_csv_rows, path=path),
        ".txt": partial(_lines, make=lambda line: SamplingOptions(prompt=line.strip())),
    }
    if path.suffix.lower() not in readers:
        raise InvalidInputError(
            "batch.suffix",
            "{field} must end in one of {choices}, got {value}; rename it to say what it holds",
            field="FILE",
            value=path,
            choices=", ".join(readers),
        )
    found = list(readers[path.suffix.lower()](_text(path)))
    if not found:
        raise InvalidInputError(
            "batch.no_rows",
            "{field} must hold at least one row, and {value} holds none; write one prompt a line",
            field="FILE",
            value=path,
        )
    if restyle is not None:
        found = [(number, _restyled(asked, restyle)) for number, asked in found]
    return _with_keys(found, path.parent, {} if output is None else output)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
        # Notepad and Excel begin a file with a byte order mark.
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except OSError as error:
        raise InvalidInputError(
            "batch.unreadable",
            "{field} must be a file that can be read, and {value} cannot: {reason}; check the path",
            field="FILE",
            value=path,
            reason=error.strerror,
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            "batch.not_utf8",
            "{field} must be UTF-8 text, and {value} is not at byte {position}; save it as UTF-8 (in Excel: CSV UTF-8)",
            field="FILE",
            value=path,
            position=error.start + 1,
        ) from error


def _lines(text: str, make: Callable[[str], SamplingOptions]) -> Iterator[Numbered]:
    # Not splitlines(): JSON strings may hold U+2028 and its like.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip() != "":
            yield number, _caught(partial(make, line))


def _options_of_json(line: str) -> SamplingOptions:
    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, times in Counter(name for name, _ in pairs).items():
            if times > 1:
                raise InvalidInputError(
                    "batch.twice", "each name may stand once, and {field} stands twice; remove one", field=name
                )
        return dict(pairs)

    try:
        json.loads(line, object_pairs_hook=no_duplicates)
    except InvalidInputError:  # a ValueError too
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            "options.json",
            '{field} must be one JSON object of sampling options, got {value}; write it like {{"prompt": "桜"}}',
            field="options",
            value=str(error),
        ) from error
    return SamplingOptions.from_json(line)


def _csv_rows(text: str, path: Path) -> Iterator[Numbered]:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    reader = _cells(text, path)
    header = [name.strip() for name in next(reader, [])]
    names = [field.name for field in fields(SamplingOptions)]
    for name in header:
        if name not in names:
            raise InvalidInputError(
                "batch.column",
                "the columns must be sampling options, prompt among them, and {field} is missing or "
                "is not one; the options are {choices}",
                field=repr(name),
                choices=", ".join(names),
            )
        if header.count(name) > 1:
            raise InvalidInputError(
                "batch.twice", "each name may stand once, and {field} stands twice; remove one", field=name
            )
    if header and "prompt" not in header:
        raise InvalidInputError(
            "batch.column",
            "the columns must be sampling options, prompt among them, and {field} is missing or "
            "is not one; the options are {choices}",
            field="prompt",
            choices=", ".join(names),
        )
    for number, cells in enumerate(reader, start=2):
        if any(cell.strip() != "" for cell in cells):
            yield number, _caught(partial(_options_of_cells, header, cells))


def _cells(text: str, path: Path) -> Iterator[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    for number in count(1):
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidInputError(
                "batch.csv",
                "{field} must be CSV, and row {row} of {value} is not: {reason}; close its quotes "
                "and double those inside a cell",
                field="FILE",
                value=path,
                row=number,
                reason=error,
            ) from error


def _options_of_cells(header: list[str], cells: list[str]) -> SamplingOptions:
    if len(cells) > len(header):
        raise InvalidInputError(
            "batch.cells",
            "a {field} must have at most as many cells as the header ({limit}), and this has "
            "{value}; put cells with commas in quotes",
            field="row",
            value=len(cells),
            limit=len(header),
        )
    hints = get_type_hints(SamplingOptions)
    # An empty cell is unset; only the prompt may be meant to be empty.
    values: dict[str, Any] = {
        name: _value(cell, get_args(hints[name]) or (hints[name],))
        for name, cell in zip(header, cells, strict=False)
        if cell != "" or name == "prompt"
    }
    return SamplingOptions(**values)


def _value(cell: str, types: tuple[type, ...]) -> object:
    """`cell` as the first of `types` that can hold it; else as it stands, for SamplingOptions to refuse."""
    if str in types:
        return cell
    if bool in types:
        return {"true": True, "false": False}.get(cell.strip().lower(), cell)
    for number in (int, float):
        if number in types:
            with suppress(ValueError):
                return number(cell)
    return cell


def _restyled(asked: Asked, restyle: Callable[[str], str]) -> Asked:
    if isinstance(asked, InvalidInputError):
        return asked
    return _caught(lambda: replace(asked, prompt=restyle(asked.prompt)))


def _caught(make: Callable[[], SamplingOptions]) -> Asked:
    try:
        return make()
    except InvalidInputError as error:
        return error


def _with_keys(found: Iterable[Numbered], folder: Path, output: Mapping[str, object]) -> list[Row | BadRow]:
    """Rows that ask for the same get different keys, so that each is drawn."""
    rows: list[Row | BadRow] = []
    seen: Counter[str] = Counter()
    for number, options in found:
        if isinstance(options, InvalidInputError):
            rows.append(BadRow(number=number, error=options))
            continue
        text = json.dumps({**_non_defaults(options), **output})
        seen[text] += 1
        key = hashlib.sha256(f"{seen[text]} {text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
        paths = {name: getattr(options, name) for name in ("image", "mask")}
        beside = {name: folder / path for name, path in paths.items() if path is not None}
        rows.append(Row(number=number, key=key, options=replace(options, **beside)))
    return rows


def _non_defaults(options: SamplingOptions) -> dict[str, object]:
    """Of these alone, so that an option of a later version leaves old keys as they are."""
    values: dict[str, object] = json.loads(options.to_json())
    defaults = {field.name: field.default for field in fields(SamplingOptions) if field.default is not MISSING}
    return {name: value for name, value in values.items() if value != defaults.get(name, MISSING)}
