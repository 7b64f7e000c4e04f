"""Files and folders that nobody, and no later command, ever sees half of: written beside their place, then renamed."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Where to write what takes the place of `path` when the block ends well; else what was there stays."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        _open_to_others(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _open_to_others(path: Path) -> None:
    """safetensors keeps what it writes to its owner, and the user of a container is another."""
    if path.suffix == ".safetensors" and not path.is_symlink():
        path.chmod(0o644)


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder`, or of what a link leads to, when the block ends well; else what
    was there stays."""
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    before = temporary.with_name(f"{temporary.name}.old")
    try:
        yield temporary
        temporary.chmod(0o755)
        for path in temporary.rglob("*.safetensors"):
            _open_to_others(path)
        if folder.exists():
            folder.rename(before)
        temporary.rename(folder)
    finally:
        if before.exists() and not folder.exists():
            before.rename(folder)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)


def copy_plain(source: Path, folder: Path) -> None:
    """The files of a folder into another, without their modes: what is copied from a read-only disk can be written anew
    and removed."""
    for path in source.rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def write_file(path: Path, data: bytes, *, sync: bool = False) -> None:
    """`sync`: on the disk on return."""
    with replacing_file(path) as temporary, temporary.open("wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())


def write_new_file(path: Path, data: bytes) -> None:
    """FileExistsError where `path` is there already, also where another process was quicker."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp{path.suffix}")
    try:
        temporary.write_bytes(data)
        try:
            os.link(temporary, path)  # unlike a renaming, it takes no other file's place
        except FileExistsError:
            raise
        except OSError:  # of a file system without links
            if os.path.lexists(path):
                raise FileExistsError(path) from None
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    write_file(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """`path` in a folder that may not be there yet. A file's name that is no text is read back as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    write_file(path, text.encode("utf-8", "backslashreplace"))  # \udc83 is JSON's escape, too
