"""The lines of an imagefolder's metadata file, each alone: of a damaged one it is said why, and the next is read."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsd.errors import first_line
from jsd.i18n import _
from jsd.training.corpora.arrow import import_arrow

NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?")
ROWS_AT_ONCE = 1000

Numbered = tuple[int, dict[str, Any] | str]


def numbered(path: Path) -> Iterator[Numbered]:
    """(its number in the file, what it says or why it cannot be read); the values of CSV are texts."""
    read = {".jsonl": _json_lines, ".csv": _csv_lines, ".parquet": _rows}[path.suffix]
    number = 0
    try:
        for number, row in read(path):
            yield number, row if isinstance(row, str) or _is_unicode(row) else _("it is not UTF-8")
    except OSError as error:
        yield number + 1, error.strerror or str(error)


def typed(text: Any) -> Any:
    """What CSV writes as a number is one; what it leaves empty is None."""
    if not isinstance(text, str):
        return text
    return json.loads(text) if NUMBER.fullmatch(text) else text or None


def _is_unicode(row: Mapping[str, Any]) -> bool:
    try:
        json.dumps(row, ensure_ascii=False, default=str).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _json_lines(path: Path) -> Iterator[Numbered]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, _("it is no JSON: {reason}", reason=error)
                continue
            yield number, row if isinstance(row, dict) else _("it is no object of JSON")


def _csv_lines(path: Path) -> Iterator[Numbered]:
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, strict=True)  # else an open quote would take all that follows for a caption
        names: list[str] | None = None
        while True:
            number = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, str(error)
                continue
            if not row:
                continue
            if names is None:
                names = row
            elif len(row) > len(names):
                said = _("it has {count} fields, and the first line {limit}", count=len(row), limit=len(names))
                yield number, said
            else:
                yield number, dict(zip(names, row, strict=False))


def _rows(path: Path) -> Iterator[Numbered]:
    arrow, parquet = import_arrow()
    number = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(ROWS_AT_ONCE):
            for row in rows_of(batch):
                number += 1
                yield number, first_line(row) if isinstance(row, Exception) else row
    except arrow.ArrowException as error:
        yield number + 1, first_line(error)


def rows_of(batch: Any) -> Iterator[dict[str, Any] | Exception]:
    """Of a record batch; in place of one whose text is none, or whose date is out of range, the reason."""
    for number in range(batch.num_rows):
        try:
            yield batch.slice(number, 1).to_pylist()[0]
        except (ValueError, OverflowError) as error:
            yield error
