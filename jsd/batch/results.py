"""The output folder of a batch: pictures, and a results file of one JSON line a row; what resuming reads."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsd.atomic import write_file
from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.images.xmp import to_json

RESULTS_FILE = "results.jsonl"


class Results:
    """`results.jsonl` of an output folder, held by one process at a time; `records` are its lines."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / RESULTS_FILE
        try:
            if self.path.exists() and not self.path.is_file():
                raise FileNotFoundError(_("it is not a file"))  # a pipe would be waited for
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise InvalidInputError(
                "batch.unwritable",
                "{field} must be a place that can be written to, and {value} is not: {reason}; make "
                "room or choose another, then run the same command again",
                field="output_dir",
                value=self.path,
                reason=error,
            ) from error
        try:
            # Given back by the system when the process ends, however it ends.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise InvalidInputError(
                "batch.in_use",
                "{field} must not be in use by another run, and {value} is; wait for it, or choose another folder",
                field="output_dir",
                value=folder,
            ) from error
        try:
            self.records = self._read()
        except BaseException:
            os.close(self._file)
            raise

    def close(self) -> None:
        os.close(self._file)

    def append(self, record: Mapping[str, object], files: Mapping[str, bytes]) -> None:
        """A row's pictures (name -> bytes), then its line, each whole or not at all; on the disk when this returns."""
        for name, data in files.items():
            path = self.path.parent / name
            try:
                write_file(path, data, sync=True)
            except OSError as error:
                raise InvalidInputError(
                    "batch.unwritable",
                    "{field} must be a place that can be written to, and {value} is not: {reason}; make "
                    "room or choose another, then run the same command again",
                    field="output_dir",
                    value=path,
                    reason=error,
                ) from error
        line = (to_json(record) + "\n").encode()
        end = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            if written < len(line):
                # A disk that fills up takes a part first, and refuses the rest.
                os.write(self._file, line[written:])
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, end)
            raise InvalidInputError(
                "batch.unwritable",
                "{field} must be a place that can be written to, and {value} is not: {reason}; make "
                "room or choose another, then run the same command again",
                field="output_dir",
                value=self.path,
                reason=error,
            ) from error
        self.records.append(dict(record))

    def finished(self) -> dict[str, dict[str, Any]]:
        """key -> record of the rows whose pictures are all there; the last record of each."""
        done = {}
        for record in self.records:
            files = record.get("files")
            if isinstance(files, list) and files and all((self.path.parent / str(name)).is_file() for name in files):
                done[str(record.get("key"))] = record
        return done

    def check_records(self) -> None:
        """That every row that was drawn can be shown: what it was asked for, and a seed for each file."""
        for number, record in enumerate(self.records, start=1):
            files, seeds, options = (record.get(name) for name in ("files", "seeds", "options"))
            is_shown = isinstance(options, dict) and isinstance(options.get("prompt"), str)
            is_shown = is_shown and isinstance(files, list) and isinstance(seeds, list) and len(files) == len(seeds)
            if files is not None and not is_shown:
                raise self._damaged(number)

    def check_model(self, model_sha256: object) -> None:
        """One folder holds the pictures of one model."""
        for record in self.records:
            found = str(record.get("model_sha256", model_sha256))  # a row that failed names none
            if found != model_sha256:
                value = self.path.parent
                raise InvalidInputError(
                    "batch.other_model",
                    "{field} must hold pictures of one model, and {value} has those of another (digest "
                    "{found}); choose another folder",
                    field="output_dir",
                    value=value,
                    found=found[:10],
                )

    def _read(self) -> list[dict[str, Any]]:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            # A run was killed in the middle of a line: its row is drawn again.
            os.ftruncate(self._file, whole)
        records = []
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict):
                raise self._damaged(number)
            records.append(record)
        return records

    def _damaged(self, number: int) -> InvalidInputError:
        return InvalidInputError(
            "batch.results",
            "{field} must hold the results file as it was written, and line {number} of {value} "
            "is damaged; remove that line, and its row is drawn again",
            field="output_dir",
            value=self.path,
            number=number,
        )
