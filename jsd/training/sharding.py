"""Work on a corpus shard by shard, here or on a Ray cluster: each shard gives one file, written once.

A task is picklable; `start` loads what it needs and returns what turns a shard's number into the bytes of its file.
The driver alone writes, so a worker that is killed loses only what it had begun; a cluster's machines read the corpus
at the same path. Files that are there are not made again.
"""

import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch

from jsd.atomic import write_file
from jsd.errors import JsdError
from jsd.i18n import language

if TYPE_CHECKING:
    import pyarrow


class Task(Protocol):
    def start(self) -> Callable[[int], bytes]: ...


@dataclass(frozen=True)
class Engine:
    """`name`: "local" or "ray"; the others are Ray's."""

    name: str = "local"
    workers: int | None = None
    address: str | None = None
    device: str | None = None


class Worker:
    """An actor of Ray Data: a task, started once."""

    def __init__(self, task: Task, num_threads: int, words: str) -> None:
        import os

        os.environ["JSD_LANG"] = words
        torch.set_num_threads(num_threads)
        self.task = task
        self.work: Callable[[int], bytes] | None = None

    def __call__(self, table: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow

        answers = [pickle.dumps(self._answer(pickle.loads(row))) for row in table["row"].to_pylist()]
        return pyarrow.table({"answer": pyarrow.array(answers, pyarrow.large_binary())})

    def _answer(self, index: int) -> tuple[int, bytes | str]:
        try:
            self.work = self.task.start() if self.work is None else self.work
            return index, self.work(index)
        except JsdError as error:
            return index, str(error)


def gather(output: Path, about: Sequence[str], count: int) -> list[Path]:
    """Where the parts of `output` go, beside it; what other work than `about` left there is removed."""
    folder = output.with_name(f"{output.name}.parts")
    key = hashlib.sha256(repr(about).encode()).hexdigest()[:16]
    for other in folder.glob("*"):
        if other.name != key:
            shutil.rmtree(other, ignore_errors=True)
    (folder / key).mkdir(parents=True, exist_ok=True)
    return [folder / key / f"{index:05}.parquet" for index in range(count)]


def make_files(task: Task, paths: Sequence[Path], engine: Engine, tell: Callable[[int], None]) -> dict[int, str]:
    """Make the file of each shard in `paths`; returns why some could not be made, by shard."""
    left = [index for index, path in enumerate(paths) if not path.is_file()]
    tell(len(paths) - len(left))
    failures: dict[int, str] = {}
    for index, answer in _local(task, left) if engine.name == "local" else _cluster(task, left, engine):
        if isinstance(answer, str):
            failures[index] = answer
        else:
            write_file(paths[index], answer, sync=True)
        tell(1)
    return failures


def _local(task: Task, indices: Sequence[int]) -> Iterator[tuple[int, bytes | str]]:
    work = task.start() if indices else None
    for index in indices:
        assert work is not None
        try:
            yield index, work(index)
        except JsdError as error:
            yield index, str(error)


def _cluster(task: Task, indices: Sequence[int], engine: Engine) -> Iterator[tuple[int, bytes | str]]:
    from jsd.batch.ray_engine import map_on_cluster

    if not indices:
        return
    arguments = (task, torch.get_num_threads(), language())
    items = [pickle.dumps(index) for index in indices]
    yield from map_on_cluster(items, Worker, arguments, engine.device, engine.workers, engine.address)
