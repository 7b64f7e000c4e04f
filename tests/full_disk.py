"""Disks that are full: a small file system in memory, mounted over a folder, that a test can fill to its last byte; and
files of this process that may not grow."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

BYTES = 2**20


@contextmanager
def small_files(limit_bytes: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def small_disk(folder: Path, num_files: int = 1000) -> Iterator[Callable[[], None]]:
    """What fills it; it has room for `num_files`, its own folder included. Skips the test where this user may not
    mount."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={BYTES},nr_inodes={num_files}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        pytest.skip(f"no file system can be mounted: {error}")
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted: {done.stderr.strip()}")

    def fill() -> None:
        with suppress(OSError), (folder / "full").open("wb", buffering=0) as file:
            for _ in range(2 * BYTES // 512):
                file.write(bytes(512))

    try:
        yield fill
    finally:
        # Lazily: a server may have a file of it open.
        subprocess.run(["umount", "-l", str(folder)], check=True)
