"""Two machines that reach each other by their addresses alone train one model, and score one corpus.

The second is asked for by JSD_TEST_TWO_MACHINES=1. A machine of a Ray cluster aborts ("Timed out waiting for file
…/metrics_agent_port_…" in its raylet.out) where its agent, a Python program, does not come up in 15 s, and `ray start`
gives up after 30 s; neither can be set, nor left out by naming the ports. Cores that have much else to do take longer.
"""

import os
import secrets
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from toy_scorers import write_own
from two_machines import Machine, two_machines

from jsd.training.corpora.filtering import ScoreTask
from jsd.training.corpora.readers import read_source
from jsd.training.corpora.shards import Shards, import_pictures
from jsd.training.sharding import Engine, make_files
from runs.subject import write
from training.test_processes import ACCELERATE, PROGRAM, alone_with_as_many

LIMIT_SECONDS = 1200  # cores that were busy with much else took eight minutes for the training
PORT = 6379
# What else Ray waits for, as far as it can be set.
PATIENCE = {
    "RAY_gcs_server_port_wait_time_s": str(LIMIT_SECONDS),
    "RAY_worker_register_timeout_seconds": str(LIMIT_SECONDS),
}
# Scores the shards of a corpus over a cluster, and notes which machine had which: argv is the folder, the address.
# Each machine's first shard waits for the other's: else the one that starts earlier may make all of them.
SCORE = """
import sys, time
from pathlib import Path
from jsd.training.corpora.filtering import ScoreTask
from jsd.training.corpora.shards import Shards
from jsd.training.sharding import Engine, make_files

class Noted:
    def __init__(self, task, folder):
        self.task, self.folder = task, folder
    def start(self):
        import ray
        work, address = self.task.start(), ray.util.get_node_ip_address()
        def noted(index):
            (self.folder / f"{index}-{address}").touch()
            until = time.monotonic() + 300
            while len({path.name.partition("-")[2] for path in self.folder.glob("[0-9]-*")}) < 2:
                if time.monotonic() > until:
                    raise TimeoutError(f"{address} waited for the other machine's first shard")
                time.sleep(0.1)
            return work(index)
        return noted

folder = Path(sys.argv[1])
shards = Shards.load(folder / "mine")
paths = [folder / f"{index}.parquet" for index in range(len(shards.counts))]
task = Noted(ScoreTask(shards, folder / "scorer", None, "cpu"), folder)
print(make_files(task, paths, Engine("ray", 2, sys.argv[2], "cpu"), lambda number: None))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """For sockets: their paths have to be short. It goes after those who use it."""
    with tempfile.TemporaryDirectory(prefix="jsd-ray-test-", dir="/tmp", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    with two_machines(tmp_path) as made:
        yield made


def test_they_train_one_model(machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(tests=str(Path(__file__).parents[1])), "utf-8")
    for machine in machines:
        (tmp_path / machine.name).mkdir()  # no disk in common
    for code, said in train_on(machines, program, tmp_path):
        assert code == 0, said[-3000:]
    ended = [(tmp_path / one.name / f"ended-{rank}").read_text("utf-8") for rank, one in enumerate(machines)]
    weights = [line.split(maxsplit=4)[4] for line in ended]
    assert [line.split()[:2] for line in ended] == [["0", "2"], ["1", "2"]] and weights[0] == weights[1]
    state = torch.load(tmp_path / machines[0].name / "checkpoint.pt", weights_only=True)
    whole = torch.cat([one.flatten() for one in state["modules"].values()])
    torch.testing.assert_close(alone_with_as_many(tmp_path), whole)
    assert not (tmp_path / machines[1].name / "checkpoint.pt").exists(), "the first machine alone writes"
    for code, said in train_on(machines, program, tmp_path):
        assert code != 0 and "--output that every machine sees" in said, "one is at the end, the other begins"


def train_on(machines: tuple[Machine, Machine], program: Path, folder: Path) -> list[tuple[int | None, str]]:
    words = [*ACCELERATE, "--multi_gpu", "--num_machines", "2", "--num_processes", "2", "--mixed_precision", "no"]
    words += ["--dynamo_backend", "no", "--main_process_ip", machines[0].address, "--main_process_port", "29500"]
    started = []
    for rank, machine in enumerate(machines):
        environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": machine.cable}
        arguments = [*words, "--machine_rank", rank, program, folder / machine.name, "go on"]
        started.append(machine.start(f"training, rank {rank},", *arguments, environment=environment))
    return [(program.wait(LIMIT_SECONDS), program.said()) for program in started]


@pytest.mark.skipif(
    not os.environ.get("JSD_TEST_TWO_MACHINES"), reason="a Ray cluster of two machines, if JSD_TEST_TWO_MACHINES=1 asks"
)
@pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
def test_a_cluster_of_them_scores_a_corpus(folder: Path, machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    write(tmp_path / "photos", 8)
    import_pictures(read_source(tmp_path / "photos"), {}, tmp_path / "mine", lambda read: None, records_a_shard=2)
    write_own(tmp_path / "scorer")
    shards = Shards.load(tmp_path / "mine")
    paths = [tmp_path / f"here-{index}.parquet" for index in range(len(shards.counts))]
    here = ScoreTask(shards, tmp_path / "scorer", None, "cpu")
    assert make_files(here, paths, Engine(), lambda number: None) == {}
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), **PATIENCE}
    environment |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1"}
    first, second = machines
    ray = ["-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", 1, "--object-store-memory", 100_000_000]
    ray += ["--include-log-monitor", "false"]
    head = ["--head", "--port", PORT, "--include-dashboard", "false", "--no-monitor", "--temp-dir", folder]
    address, ready = f"{first.address}:{PORT}", "Ray runtime started"  # said of a machine that the cluster has
    head_of = first.start("Ray's head", *ray, *head, "--node-ip-address", first.address, environment=environment)
    head_of.wait(LIMIT_SECONDS, until=ready)
    words = (*ray, "--address", address, "--node-ip-address", second.address)
    second.start("Ray's second machine", *words, environment=environment).wait(LIMIT_SECONDS, until=ready)
    scoring = first.start("scoring", "-c", SCORE, tmp_path, address, environment=environment)
    assert scoring.wait(LIMIT_SECONDS) == 0, scoring.said()[-3000:]
    said = scoring.said()
    assert said.splitlines()[-1:] == ["{}"], said[-3000:]
    assert {path.name.partition("-")[2] for path in tmp_path.glob("[0-9]-*")} == {first.address, second.address}
    for index, path in enumerate(paths):
        assert (tmp_path / f"{index}.parquet").read_bytes() == path.read_bytes()
