"""Writing a file so that nobody, and no later command, ever sees half of it."""

import json
import os
from pathlib import Path


def write_file(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Under a temporary name, then renamed; where that fails, what was there stays. `sync`: on the disk on return."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_file(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """`path` in a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
