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
from jsd.training.recipes import LORA, MINI
from training.test_loop import STAGE, flat, make_modules, run

ACCELERATE = ("-m", "accelerate.commands.accelerate_cli", "launch")
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
parameter_names = [name for name, _ in modules.named_parameters()]
with processes.first_before_others():
    known = (folder / "made").exists()
    (folder / "made").touch()
def loss(number):
    if what == "kill" and processes.is_divided and number >= 16:
        os._exit(9)
    inputs, targets = batch(number)
    return (modules["linear"](inputs) - targets).square().mean(), {{}}
def sample(step):
    if what == "kill" and step == 3:
        os._exit(9)
train(replace(STAGE, gradient_accumulation_steps=2), modules, loss, folder, settings={{}}, checkpointing_steps=1,
      autocast=torch.autocast("cpu", enabled=False), processes=processes, log=lambda step, values: None, sample=sample)
held = sum(getattr(one, "to_local", lambda: one)().numel() for one in modules.parameters())
whole = processes.whole(dict(modules.named_parameters()))
weights = torch.cat([whole[name].detach().flatten() for name in parameter_names]).tolist()
# A file each: lines of two processes on one pipe may run into each other.
(folder / f"ended-{{processes.index}}").write_text(
    f"{{processes.index}} {{processes.count}} {{known}} {{held}} {{[one.hex() for one in weights]}}"
)
"""


def launch(program: Path, *words: object, kind: str = "--multi_gpu") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *ACCELERATE, *kind.split(), "--num_machines", "1"]
    command += ["--num_processes", "2", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", "0", str(program), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=500, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "program.py"
    path.write_text(PROGRAM.format(tests=str(Path(__file__).parents[1])), "utf-8")
    return path


def ended(program: Path, folder: Path, kind: str = "--multi_gpu") -> list[tuple[str, ...]]:
    """(index, count, whether it found what the first had made, numbers held, weights) of each process."""
    done = launch(program, folder, "go on", kind=kind)
    assert done.returncode == 0, done.stderr[-3000:]
    return [tuple(path.read_text("utf-8").split(maxsplit=4)) for path in sorted(folder.glob("ended-*"))]


def test_two_processes_stopped_and_started_again_end_at_the_same_bits(program: Path, tmp_path: Path) -> None:
    for name in ("straight", "killed"):
        (tmp_path / name).mkdir()
    straight = ended(program, tmp_path / "straight")
    assert launch(program, tmp_path / "killed", "kill").returncode != 0
    resumed = ended(program, tmp_path / "killed")
    assert [line[:3] for line in straight] == [("0", "2", "False"), ("1", "2", "True")]
    assert straight[0][4] == straight[1][4] == resumed[0][4] == resumed[1][4]
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


def test_fsdp_divides_the_weights_and_ends_where_one_process_does(program: Path, tmp_path: Path) -> None:
    (tmp_path / "divided").mkdir()
    kind = "--use_fsdp --fsdp_version 2"
    assert launch(program, tmp_path / "divided", "kill", kind=kind).returncode != 0
    assert torch.load(tmp_path / "divided" / "checkpoint.pt", weights_only=True)["step"] in range(
        1, STAGE.max_train_steps
    )
    lines = ended(program, tmp_path / "divided", kind)
    assert sorted(int(line[3]) for line in lines) == [4, 4], "two rows of three and two numbers: a row each"
    state = torch.load(tmp_path / "divided" / "checkpoint.pt", weights_only=True)
    whole = torch.cat([one.flatten() for one in state["modules"].values()])
    assert state["step"] == STAGE.max_train_steps
    torch.testing.assert_close(alone_with_as_many(tmp_path), whole, rtol=1e-4, atol=1e-5)


def test_of_fsdp_only_what_is_called_whole_is_taken() -> None:
    divided = Processes(0, 2, "cpu", None, is_divided=True)
    divided.check(MINI.stages["stage2"])
    for stage in (MINI.stages["joint"], MINI.stages["vae"], LORA.stages["lora"]):
        Processes().check(stage)
        with pytest.raises(CheckpointError, match=stage.name):
            divided.check(stage)


@pytest.mark.parametrize(
    "environment",
    [{"ACCELERATE_USE_FSDP": "true", "FSDP_OFFLOAD_PARAMS": "true"}, {"ACCELERATE_USE_DEEPSPEED": "true"}],
)
def test_a_model_that_is_divided_otherwise_is_refused(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CheckpointError) as caught:
        Processes.launched()
    assert caught.value.code == "train.sharded" and "accelerate config" in str(caught.value)


def test_a_number_of_processes_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(InvalidInputError, match=r"WORLD_SIZE must be .*'two'; unset it"):
        Processes.launched()
    monkeypatch.setenv("WORLD_SIZE", "")
    assert Processes.launched().count == 1


def test_what_accelerate_was_asked_for_is_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (launched_precision(), launched_accumulation(), Processes.launched()) == (None, None, Processes())
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    assert (launched_precision(), launched_accumulation()) == ("bf16", 4)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")  # what it sets unasked
    assert launched_precision() is None
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(InvalidInputError, match="no, bf16; got 'fp16'"):
        launched_precision()
