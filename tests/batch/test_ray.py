"""`jsd batch --engine ray` on a local Ray of two workers: the same pictures as the local engine's."""

import json
import os
import pickle
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from jsd.cli import main

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
# Long enough that a worker can be killed in the middle of one.
SLOW = {"num_inference_steps": 40}
ROWS = [
    *({"prompt": f"猫 {number}", "seed": number, **SLOW} for number in range(8)),
    {"prompt": "富士山", "seed": 100, "num_outputs": 2, **SLOW},
    {"prompt": "鳥居", "seed": 103, "width": 33},
    {"prompt": "鳥居", "steps": 2},
]
NUM_ROWS, NUM_GOOD, NUM_PICTURES = 11, 9, 10
NUM_LOCAL = 3  # of them, where both engines draw
# A Ray that others started, with two GPUs that Ray only believes in; each line of its standard input asks for the
# GPUs that nobody has taken, and it ends with the last.
CLUSTER = """
import ray, sys
address = ray.init("local", num_cpus=4, num_gpus=2, include_dashboard=False, _temp_dir=sys.argv[1]).address_info
print(address["gcs_address"], flush=True)
for _ in sys.stdin:
    print(ray.available_resources().get("GPU", 0), flush=True)
ray.shutdown()
"""
TOKEN = secrets.token_hex(32)  # who has it may use the cluster
TIMEOUT_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Outcome:
    code: int
    error: str  # standard error
    folder: Path

    @property
    def records(self) -> list[dict[str, Any]]:
        """By row, without the times."""
        lines = (self.folder / "results.jsonl").read_bytes().splitlines()
        records = [{**json.loads(line), "seconds": None} for line in lines]
        return sorted(records, key=lambda record: record["row"])

    @property
    def pictures(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.glob("[0-9]*.png")}

    @property
    def written(self) -> dict[str, int]:
        """picture -> when"""
        return {path.name: path.stat().st_mtime_ns for path in self.folder.glob("[0-9]*.png")}


@dataclass(frozen=True, kw_only=True)
class Cluster:
    process: subprocess.Popen[str]
    address: str

    def num_free_gpus(self) -> float:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


@dataclass(frozen=True, kw_only=True)
class Interrupted(Outcome):
    """While it ran: the GPUs that no worker had; at its end: its lines, its pictures."""

    num_free_gpus: float
    lines: bytes
    kept: dict[str, int]


def environment() -> dict[str, str]:
    # The engines agree where they compute with the same number of threads; here that of this process.
    ray = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}
    others = {"RAY_worker_niceness": "0", "JSD_LANG": "en"}
    return {**os.environ, **ray, **others, "OMP_NUM_THREADS": str(torch.get_num_threads())}


@contextmanager
def running(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A Python process in a session of its own, which is gone afterwards, and a Ray that it started with it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a shell's background job; its children would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    pipe = subprocess.PIPE
    command = [sys.executable, *arguments]
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment(), start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None, f"the run ended by itself: {process.communicate()[1][-2000:]}"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def num_lines(folder: Path) -> int:
    path = folder / "results.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def workers(ancestor: int) -> list[int]:
    """The processes of Ray Data's actors below one, those that have loaded their model."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    below = list(children.get(ancestor, []))
    for process in below:
        below += children.get(process, [])
    names = {process: command_line(process) for process in below}
    return [process for process, name in names.items() if b"ray::MapWorker" in name and b"__init__" not in name]


def command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("batch") / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ROWS))
    return path


@pytest.fixture(scope="module")
def command(file: Path, toy_folder: Path) -> Callable[[str], list[str]]:
    model = ["--weights", str(toy_folder), "--device", "cpu", "--dtype", "float32"]
    return lambda name: ["batch", str(file), "--output-dir", str(file.parent / name), *model]


@pytest.fixture(scope="module")
def drawn_locally(command: Callable[[str], list[str]], file: Path) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JSD_LANG", "en")
        return Outcome(code=main(command("local")), error="", folder=file.parent / "local")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Its workers are processes below it."""
    folder = tempfile.mkdtemp(prefix="jsd-ray-test-", dir="/tmp")  # short: sockets lie in it
    try:
        with running(["-c", CLUSTER, folder]) as process:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address != "", f"Ray did not start: {process.communicate()[1][-2000:]}"
            yield Cluster(process=process, address=address)
            process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def drawn_with_a_kill(
    cluster: Cluster, command: Callable[[str], list[str]], file: Path, request: pytest.FixtureRequest
) -> Outcome:
    """By two workers, one of which is killed in the middle."""
    folder = file.parent / "ray"
    arguments = ["--engine", "ray", "--workers", "2", "--ray-address", cluster.address]
    with running(["-m", "jsd", *command("ray"), *arguments]) as process:
        wait_until(lambda: num_lines(folder) >= 1 and workers(cluster.process.pid) != [], process)
        os.kill(workers(cluster.process.pid)[0], signal.SIGKILL)
        assert num_lines(folder) < NUM_GOOD - 1, "the worker was not killed in the middle"
        request.getfixturevalue("drawn_locally")  # meanwhile: Ray takes its time
        _, error = process.communicate(timeout=TIMEOUT_SECONDS)
    return Outcome(code=process.returncode, error=error, folder=folder)


@needs_ray
def test_each_row_is_drawn_once_though_a_worker_is_killed(drawn_with_a_kill: Outcome) -> None:
    rows = [record["row"] for record in drawn_with_a_kill.records]
    assert rows == list(range(1, NUM_ROWS)), f"a row is lost or there twice\n{drawn_with_a_kill.error[-2000:]}"


@needs_ray
def test_pictures_and_records_are_the_local_engines(drawn_with_a_kill: Outcome, drawn_locally: Outcome) -> None:
    assert len(drawn_locally.pictures) == NUM_PICTURES
    assert drawn_with_a_kill.pictures == drawn_locally.pictures
    assert drawn_with_a_kill.records == drawn_locally.records
    for name in ("grid.png", "index.html"):
        assert (drawn_with_a_kill.folder / name).read_bytes() == (drawn_locally.folder / name).read_bytes()


@needs_ray
def test_what_is_wrong_with_a_row_is_told_by_its_number(drawn_with_a_kill: Outcome) -> None:
    assert drawn_with_a_kill.code == 2
    for words in ("row 1: prompt: ", "row 10: width", "row 11: steps", "2 of 11 rows failed"):
        assert words in drawn_with_a_kill.error, f"«{words}» was not said"


@needs_ray
def test_the_cluster_of_others_goes_on(drawn_with_a_kill: Outcome, cluster: Cluster) -> None:
    assert cluster.process.poll() is None


@pytest.fixture(scope="module")
def interrupted(
    drawn_with_a_kill: Outcome,
    drawn_locally: Outcome,
    cluster: Cluster,
    command: Callable[[str], list[str]],
    file: Path,
) -> Interrupted:
    """The ray engine goes on where the local one was killed, and Ctrl-C ends it."""
    folder = file.parent / "both"
    folder.mkdir()
    lines = (drawn_locally.folder / "results.jsonl").read_bytes().splitlines(keepends=True)[:NUM_LOCAL]
    (folder / "results.jsonl").write_bytes(b"".join(lines))
    for name in (name for line in lines for name in json.loads(line)["files"]):
        shutil.copy2(drawn_locally.folder / name, folder)
    # On the GPUs, so to speak; a real one would draw other bytes than the local engine here.
    device = ["--device", "cpu"] if torch.cuda.is_available() else []
    arguments = [word for word in command("both") if word not in ("--device", "cpu")]
    with running(["-m", "jsd", *arguments, *device, "--engine", "ray", "--ray-address", cluster.address]) as process:
        wait_until(lambda: num_lines(folder) > NUM_LOCAL, process)
        process.send_signal(signal.SIGSTOP)  # the cluster may take longer to answer than the rows that are left
        num_free_gpus = cluster.num_free_gpus()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        _, error = process.communicate(timeout=TIMEOUT_SECONDS)
    return Interrupted(
        code=process.returncode,
        error=error,
        folder=folder,
        num_free_gpus=num_free_gpus,
        lines=(folder / "results.jsonl").read_bytes(),
        kept=Outcome(code=0, error="", folder=folder).written,
    )


@needs_ray
def test_rows_of_the_local_engine_are_not_drawn_again_by_ray(interrupted: Interrupted, drawn_locally: Outcome) -> None:
    assert f"{NUM_LOCAL} of {NUM_ROWS - 1} rows" in interrupted.error
    drawn = [json.loads(line)["row"] for line in interrupted.lines.splitlines()]
    assert drawn[:NUM_LOCAL] == list(range(1, NUM_LOCAL + 1))
    assert len(set(drawn)) == len(drawn), "a finished row was drawn again"
    before = drawn_locally.written
    kept = {name for name, when in interrupted.kept.items() if when == before[name]}
    assert kept == set(sorted(before)[:NUM_LOCAL])


@needs_ray
def test_ctrl_c_keeps_what_is_finished(interrupted: Interrupted) -> None:
    assert interrupted.code == 130, interrupted.error[-2000:]
    assert "Traceback" not in interrupted.error
    records = [json.loads(line) for line in interrupted.lines.splitlines()]
    assert NUM_LOCAL < len(records) < NUM_GOOD, "the run was not interrupted in the middle"
    assert set(interrupted.kept) == {name for record in records for name in record["files"]}


@needs_ray
@pytest.mark.skipif(torch.cuda.is_available(), reason="this cluster's GPUs are made up, and torch would look for them")
def test_no_gpu_is_without_an_actor(interrupted: Interrupted) -> None:
    assert interrupted.num_free_gpus == 0, "of two"


@needs_ray
def test_the_local_engine_draws_the_rest_and_the_bytes_are_the_same(
    interrupted: Interrupted, drawn_locally: Outcome, command: Callable[[str], list[str]]
) -> None:
    main(command("both"))
    both = Outcome(code=0, error="", folder=interrupted.folder)
    assert (both.folder / "results.jsonl").read_bytes().startswith(interrupted.lines)
    assert both.written.items() >= interrupted.kept.items(), "a finished row was drawn again"
    assert both.records == drawn_locally.records
    assert both.pictures == drawn_locally.pictures


@needs_ray
def test_a_worker_whose_model_is_another_says_so_and_where(toy_folder: Path) -> None:
    import pyarrow

    from jsd.batch.drawing import FileChoice, ModelChoice
    from jsd.batch.ray_engine import Worker

    model = ModelChoice(folder=toy_folder, device="cpu", dtype="float32")
    files = FileChoice(with_metadata=True, num_digits=1)
    worker = Worker(model, files, "another digest", torch.get_num_threads(), {"JSD_LANG": "ja"})
    (answer,) = worker(pyarrow.table({"row": [pickle.dumps(None)]}))["answer"].to_pylist()
    assert pickle.loads(answer)["host"] == socket.gethostname()
    assert str(toy_folder) in pickle.loads(answer)["reason"] and "モデル" in pickle.loads(answer)["reason"]


@needs_ray
@pytest.mark.parametrize("arguments", [["--device", "cuda:1"], ["--device", "xpu"], ["--dtype", "int8"]])
def test_a_device_that_workers_cannot_have_is_refused_before_a_cluster_is_started(
    arguments: list[str], command: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command("refused"), "--engine", "ray", *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err.splitlines()[-1]


@needs_ray
@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_listens_is_one_line_at_once(
    scheme: str, command: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # bound, and not listening
        address = f"{scheme}127.0.0.1:{unheard.getsockname()[1]}"
        assert main([*command("nobody"), "--engine", "ray", "--ray-address", address]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert address in error
    assert "refused" in error


def test_without_ray_it_says_how_to_install_it(
    command: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*command("absent"), "--engine", "ray"]) == 2
    assert "pip install -e '.[ray]'" in capsys.readouterr().err.splitlines()[-1]
