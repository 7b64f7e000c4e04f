"""Writing a file so that nobody, and no later command, ever sees half of it."""

import os
from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Under a temporary name, then renamed; where that fails, what was there stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
