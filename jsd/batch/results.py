"""The output folder of a batch: pictures, and a results file of one JSON line a row; what resuming reads."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jsd.atomic import write_file
from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.images.xmp import to_json

RESULTS_FILE, LOCK_FILE = "results.jsonl", ".lock"


class Results:
    """`results.jsonl` of an output folder, held by one process at a time; `records` are its lines."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / RESULTS_FILE
        # Given back by the system when the process ends, however it ends.
        self._lock = FileLock(folder / LOCK_FILE)
        try:
            with writable(self.path):
                self._lock.acquire(blocking=False)
        except Timeout as error:
            raise InvalidInputError(
                "batch.in_use",
                "{field} must not be in use by another run, and {value} is; wait for it, or choose another folder",
                field="output_dir",
                value=folder,
            ) from error
        try:
            self.records = self._read()
            with writable(self.path):
                self._file = self.path.open("ab", buffering=0)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        self._file.close()
        self._lock.release()

    def append(self, record: Mapping[str, object], files: Mapping[str, bytes]) -> None:
        """A row's pictures (name -> bytes), then its line, each whole or not at all; on the disk when this returns."""
        for name, data in files.items():
            with writable(self.path.parent / name):
                write_file(self.path.parent / name, data, sync=True)
        line = (to_json(record) + "\n").encode()
        end = self.path.stat().st_size
        with writable(self.path):
            try:
                written = self._file.write(line)
                if written < len(line):
                    # A disk that fills up takes a part first, and refuses the rest.
                    self._file.write(line[written:])
                os.fsync(self._file.fileno())
            except OSError:
                os.truncate(self.path, end)
                raise
        self.records.append(dict(record))

    def finished(self) -> dict[str, dict[str, Any]]:
        """key -> record of the rows whose pictures are all there; the last record of each."""
        drawn = [record for record in self.records if "files" in record]
        is_there = {name: (self.path.parent / name).is_file() for record in drawn for name in record["files"]}
        return {record["key"]: record for record in drawn if all(is_there[name] for name in record["files"])}

    def check_model(self, model_sha256: object) -> None:
        """One folder holds the pictures of one model."""
        for record in self.records:
            found = str(record.get("model_sha256", model_sha256))  # a row that failed names none
            if found != model_sha256:
                raise InvalidInputError(
                    "batch.other_model",
                    "{field} must hold pictures of one model, and {value} has those of another (digest "
                    "{found}); choose another folder",
                    field="output_dir",
                    value=self.path.parent,
                    found=found[:10],
                )

    def _read(self) -> list[dict[str, Any]]:
        with writable(self.path):
            if self.path.exists() and not self.path.is_file():
                raise FileNotFoundError(_("it is not a file"))  # a pipe would be waited for
            data = self.path.read_bytes() if self.path.exists() else b""
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                # A run was killed in the middle of a line: its row is drawn again.
                os.truncate(self.path, whole)
        return [self._record(line, number) for number, line in enumerate(data[:whole].splitlines(), start=1)]

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record: Any = json.loads(line)
            if _is_record(record):
                return dict(record)
        except (ValueError, RecursionError):
            pass
        raise InvalidInputError(
            "batch.results",
            "{field} must hold the results file as it was written, and line {number} of {value} "
            "is damaged; remove that line, and its row is drawn again",
            field="output_dir",
            value=self.path,
            number=number,
        )


def _is_record(record: Any) -> bool:
    """Of a row that failed, or of one whose pictures can be looked for, shown and told."""
    if not isinstance(record, dict) or not isinstance(record.get("key"), str):
        return False
    files, seeds, options = record.get("files"), record.get("seeds"), record.get("options")
    if files is None:
        return "error" in record
    return (
        isinstance(files, list)
        and isinstance(seeds, list)
        and len(files) == len(seeds) > 0
        and all(isinstance(name, str) and name == Path(name).name for name in files)
        and isinstance(options, dict)
        and isinstance(options.get("prompt"), str)
    )


@contextmanager
def writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, Timeout):  # somebody else holds the lock
            raise
        raise InvalidInputError(
            "batch.unwritable",
            "{field} must be a place that can be written to, and {value} is not: {reason}; make "
            "room or choose another, then run the same command again",
            field="output_dir",
            value=path,
            reason=error,
        ) from error
