"""What was found out about a model folder, kept until a file in it changes: that it is whole, and its digest.

It lies in the user's cache ($XDG_CACHE_HOME, else ~/.cache), not in the folder, which may be read-only.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import jsd
from jsd.atomic import write_json

# A file that changes again this soon might keep its time of change, whose steps are coarse.
SETTLED_SECONDS = 2


def cache_folder() -> Path:
    """What lies there is made anew where it is missing."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "jsd"


class Known:
    """Facts about the files of `folder`, and of what it needs `beside` it, as they are when this is made."""

    def __init__(self, folder: Path, beside: Path | None = None) -> None:
        folder = folder.resolve()
        found = [*folder.glob("*"), *folder.glob("*/*"), *([] if beside is None else beside.resolve().glob("*"))]
        files = sorted({path for path in found if path.exists()})
        # A name may be bytes that are no text.
        names = (path.as_posix().encode("utf-8", "backslashreplace").decode() for path in files)
        states = {name: path.stat() for name, path in zip(names, files, strict=True)}
        # The last is a time that no program can set.
        self._files = {name: [one.st_size, one.st_mtime_ns, one.st_ctime_ns] for name, one in states.items()}
        # What is whole for one version of these may not be for another.
        self._versions = {"jsd": jsd.__version__} | {name: version(name) for name in ("diffusers", "transformers")}
        self._record = cache_folder() / "folders" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.json"

    def get(self, fact: str) -> object:
        """What `put` was told; None where it was told nothing, or where any file has changed since."""
        return self._facts().get(fact)

    def put(self, fact: str, value: object) -> None:
        newest = max((time_ns for _, *times in self._files.values() for time_ns in times), default=0)
        if newest < time.time_ns() - SETTLED_SECONDS * 10**9:
            facts = {**self._facts(), fact: value}
            with suppress(OSError):  # then it is found out again the next time
                write_json(self._record, {"files": self._files, "versions": self._versions, "facts": facts})

    def _facts(self) -> dict[str, object]:
        try:
            record = json.loads(self._record.read_text("utf-8"))
            same = record["files"] == self._files and record["versions"] == self._versions
            return dict(record["facts"]) if same else {}
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return {}
