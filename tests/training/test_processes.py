"""Two processes that train one model over gloo, as `accelerate launch` starts them."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jsd.errors import CheckpointError, InvalidInputError
from jsd.training.processes import Processes, launched_accumulation, launched_precision
from training.test_loop import STAGE, flat, make_modules, run

# A line of which both learn, on the toy loop of test_loop.py: argv is the folder, "kill" or "go on".
PROGRAM = """
import os, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
from training.test_loop import STAGE, batch, make_modules
from jsd.training.loop import train
from jsd.training.processes import Processes
processes = Processes.launched()
folder, what = Path(sys.argv[1]), sys.argv[2]
modules = make_modules()
with processes.first_before_others():
    known = (folder / "made").exists()
    (folder / "made").touch()
def loss(number):
    inputs, targets = batch(number)
    return (modules["linear"](inputs) - targets).square().mean(), {{}}
def sample(step):
    if what == "kill" and step == 3:
        os._exit(9)
train(replace(STAGE, gradient_accumulation_steps=2), modules, loss, folder, settings={{}}, checkpointing_steps=1,
      autocast=torch.autocast("cpu", enabled=False), processes=processes, log=lambda step, values: None, sample=sample)
weights = torch.cat([one.detach().flatten() for one in modules.parameters()]).tolist()
# A file each: lines of two processes on one pipe may run into each other.
(folder / f"ended-{{processes.index}}").write_text(
    f"{{processes.index}} {{processes.count}} {{known}} {{[one.hex() for one in weights]}}"
)
"""


def launch(program: Path, *words: object, processes: int = 2) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.accelerate_cli",
        "launch",
        "--multi_gpu",
        "--num_machines",
        "1",
    ]
    command += ["--num_processes", str(processes), "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", "0", str(program), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=500, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "program.py"
    path.write_text(PROGRAM.format(tests=str(Path(__file__).parents[1])), "utf-8")
    return path


def ended(program: Path, folder: Path) -> list[tuple[str, ...]]:
    """(index, count, whether it found what the first had made, weights) of each process."""
    done = launch(program, folder, "go on")
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(path.read_text("utf-8").split(maxsplit=3)) for path in sorted(folder.glob("ended-*"))]


def test_two_processes_stopped_and_started_again_end_at_the_same_bits(program: Path, tmp_path: Path) -> None:
    for name in ("straight", "killed"):
        (tmp_path / name).mkdir()
    straight = ended(program, tmp_path / "straight")
    assert launch(program, tmp_path / "killed", "kill").returncode != 0
    resumed = ended(program, tmp_path / "killed")
    assert [line[:3] for line in straight] == [("0", "2", "False"), ("1", "2", "True")]
    assert straight[0][3] == straight[1][3] == resumed[0][3] == resumed[1][3]
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("straight", "killed")]
    for part in ("modules", "optimizer", "ema"):
        torch.testing.assert_close(states[0][part], states[1][part], rtol=0, atol=0)
    # Two processes of two batches are one of four.
    alone = alone_with_as_many(tmp_path)
    torch.testing.assert_close(alone, torch.cat([one.flatten() for one in states[0]["modules"].values()]))


def alone_with_as_many(tmp_path: Path) -> Tensor:
    modules = make_modules()
    (tmp_path / "alone").mkdir()
    run(modules, tmp_path / "alone", replace(STAGE, gradient_accumulation_steps=4))
    return flat(modules)


@pytest.mark.parametrize(
    ("environment", "code"),
    [({"ACCELERATE_USE_FSDP": "true"}, "train.sharded"), ({"ACCELERATE_USE_DEEPSPEED": "true"}, "train.sharded")],
)
def test_a_model_that_is_divided_is_refused(
    environment: dict[str, str], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CheckpointError) as caught:
        Processes.launched()
    assert caught.value.code == code and "accelerate config" in str(caught.value)


def test_what_accelerate_was_asked_for_is_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (launched_precision(), launched_accumulation(), Processes.launched()) == (None, None, Processes())
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    assert (launched_precision(), launched_accumulation()) == ("bf16", 4)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(InvalidInputError, match="no, bf16; got fp16"):
        launched_precision()
