"""Shards worked on by Ray: a worker that dies loses nothing, a bad shard is named, what is there is not made again."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from jsd.errors import CorpusError
from jsd.training.sharding import Engine, make_files

BAD, DEADLY, THERE = 3, 1, 5


@dataclass(frozen=True)
class Echo:
    """Its worker dies of the shard DEADLY, the first time; BAD cannot be read."""

    marker: Path

    def start(self) -> Callable[[int], bytes]:
        def work(index: int) -> bytes:
            if index == DEADLY and not self.marker.exists():
                self.marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if index == BAD:
                raise CorpusError("shards.damaged", "the shard {path} cannot be read", path=index)
            return str(index).encode()

        return work


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
@pytest.mark.filterwarnings("ignore")  # of Ray's own
def test_shards_on_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by itself: on a busy machine it would never end
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    paths = [tmp_path / str(index) for index in range(7)]
    paths[THERE].write_bytes(b"kept")
    told: list[int] = []
    failures = make_files(Echo(tmp_path / "marker"), paths, Engine("ray", workers=2, device="cpu"), told.append)
    assert (tmp_path / "marker").exists(), "no worker was killed"
    assert list(failures) == [BAD] and "the shard 3" in failures[BAD]
    made = {index: path.read_bytes() for index, path in enumerate(paths) if path.exists()}
    assert made == {index: b"kept" if index == THERE else str(index).encode() for index in range(7) if index != BAD}
    assert sum(told) == 7
