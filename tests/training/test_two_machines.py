"""Two machines that reach each other by their addresses alone train one model, and score one corpus.

Asked for by JSD_TEST_TWO_MACHINES=1: on two busy cores one run in three did not come to its end.
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

pytestmark = pytest.mark.skipif(
    not os.environ.get("JSD_TEST_TWO_MACHINES"), reason="two machines in one, if JSD_TEST_TWO_MACHINES=1 asks for them"
)
TIMEOUT_SECONDS = 200
PORT = 6379
# Scores the shards of a corpus over a cluster, and notes which machine had which: argv is the folder, the address.
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
            time.sleep(1)
            return work(index)
        return noted

import ray
ray.init(sys.argv[2], log_to_driver=False)
until = time.monotonic() + 60
while sum(node["Alive"] for node in ray.nodes()) < 2:
    if time.monotonic() > until:
        sys.exit("the second machine did not come")
    time.sleep(0.2)
ray.shutdown()
folder = Path(sys.argv[1])
shards = Shards.load(folder / "mine")
paths = [folder / f"{index}.parquet" for index in range(len(shards.counts))]
task = Noted(ScoreTask(shards, folder / "scorer", None, "cpu"), folder)
print(make_files(task, paths, Engine("ray", 2, sys.argv[2], "cpu"), lambda number: None))
"""


# Until the cluster has its first node: what listens at the port does so before that, and sends a second one away.
READY = """
import sys, time
import ray

for _ in range(60):
    try:
        ray.init(sys.argv[1], log_to_driver=False)
        break
    except Exception:
        time.sleep(1)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """For sockets: their paths have to be short. It goes after those who use it."""
    with tempfile.TemporaryDirectory(prefix="jsd-ray-test-", dir="/tmp", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture
def machines() -> Iterator[tuple[Machine, Machine]]:
    with two_machines() as made:
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


def train_on(machines: tuple[Machine, Machine], program: Path, folder: Path) -> list[tuple[int, str]]:
    words = [*ACCELERATE, "--multi_gpu", "--num_machines", "2", "--num_processes", "2", "--mixed_precision", "no"]
    words += ["--dynamo_backend", "no", "--main_process_ip", machines[0].address, "--main_process_port", "29500"]
    started = []
    for rank, machine in enumerate(machines):
        environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": machine.cable}
        arguments = [*words, "--machine_rank", rank, program, folder / machine.name, "go on"]
        started.append(machine.start(*arguments, environment=environment))
    said = [process.communicate(timeout=TIMEOUT_SECONDS)[0] for process in started]
    return [(process.returncode, one) for process, one in zip(started, said, strict=True)]


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
def test_a_cluster_of_them_scores_a_corpus(folder: Path, machines: tuple[Machine, Machine], tmp_path: Path) -> None:
    write(tmp_path / "photos", 8)
    import_pictures(read_source(tmp_path / "photos"), {}, tmp_path / "mine", lambda read: None, records_a_shard=2)
    write_own(tmp_path / "scorer")
    shards = Shards.load(tmp_path / "mine")
    paths = [tmp_path / f"here-{index}.parquet" for index in range(len(shards.counts))]
    here = ScoreTask(shards, tmp_path / "scorer", None, "cpu")
    assert make_files(here, paths, Engine(), lambda number: None) == {}
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "OMP_NUM_THREADS": "1", **token}
    first, second = machines
    ray = ["-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", 1, "--object-store-memory", 100_000_000]
    head = ["--head", "--port", PORT, "--include-dashboard", "false", "--temp-dir", folder]
    first.start(*ray, *head, "--node-ip-address", first.address, environment=environment)
    address = f"{first.address}:{PORT}"
    first.start("-c", READY, address, environment=environment).wait(TIMEOUT_SECONDS)
    second.start(*ray, "--address", address, "--node-ip-address", second.address, environment=environment)
    said = first.start("-c", SCORE, tmp_path, address, environment=environment).communicate(timeout=TIMEOUT_SECONDS)[0]
    assert said.splitlines()[-1:] == ["{}"], said[-3000:]
    assert {path.name.partition("-")[2] for path in tmp_path.glob("[0-9]-*")} == {first.address, second.address}
    for index, path in enumerate(paths):
        assert (tmp_path / f"{index}.parquet").read_bytes() == path.read_bytes()
