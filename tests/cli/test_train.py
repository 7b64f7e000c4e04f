"""`jsd train`, as a user runs it."""

import json
from pathlib import Path

import pytest
import torch
from toy_recipe import TOY

from jsd.cli import main
from jsd.training.recipes import RECIPES


@pytest.fixture
def command(toy_corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The embedded model's recipe with toy components."""
    monkeypatch.setitem(RECIPES, "mini", TOY)
    return ["train", "--corpus", str(toy_corpus_folder), "--output", str(tmp_path / "out"), "--mixed-precision", "no"]


def test_a_stage_is_trained_and_its_folder_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--stage", "vae", "--max-train-steps", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "out/vae/model")
    assert (tmp_path / "out/vae/model/vae/config.json").is_file()


def test_arithmetic_is_bf16_where_that_is_fast(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del command[command.index("--mixed-precision") :]
    for dtype, expected in ((torch.bfloat16, "bf16"), (torch.float32, "no"), (torch.float16, "no")):
        monkeypatch.setattr("jsd.devices.fast_dtype", lambda device, dtype=dtype: dtype)
        output = str(tmp_path / expected / str(dtype))
        assert main([*command, "--output", output, "--stage", "vae", "--max-train-steps", "1"]) == 0
        run = json.loads((Path(output) / "vae" / "run.json").read_text("utf-8"))
        assert run["options"]["mixed_precision"] == expected


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--stage", "base", "--max-train-steps", "7", "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert f"{'max_train_steps':28} 7" in plan
    assert "unet (trains)" in plan and "vae (fixed)" in plan
    assert "trainable / frozen" in plan and "GiB" in plan
    assert not (tmp_path / "out").exists()


def test_a_stage_out_of_order_is_one_line_that_names_the_missing_one(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--stage", "clip_en"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("jsd: the stage clip_en starts from the stage vae")
    assert line.endswith("jsd train --stage vae")


def test_a_stage_of_another_recipe_is_refused_with_the_choices(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--recipe", "full", "--stage", "vae"]) == 2
    assert "full: stage1, stage2; got vae" in capsys.readouterr().err


def test_the_full_recipe_asks_for_its_base_folder(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--recipe", "full", "--stage", "stage1", "--dry-run"]) == 2
    assert "--base" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("--max-train-steps", "0", "max_train_steps"),
        ("--learning-rate", "-1", "learning_rate"),
        ("--learning-rate", "nan", "learning_rate"),
        ("--train-batch-size", "0", "train_batch_size"),
        ("--checkpointing-steps", "0", "checkpointing_steps"),
        ("--seed", "-1", "seed"),
        ("--seed", "4294967296", "seed"),
        ("--from-scratch", "vae", "from_scratch"),
        ("--from-scratch", "encoder", "from_scratch"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_field(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, field: str
) -> None:
    assert main([*command, "--stage", "base", option, value]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jsd: {field} must be")
    assert not (tmp_path / "out").exists()


def test_a_part_can_start_from_scratch(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, "--stage", "stage1", "--from-scratch", "text_encoder", "--dry-run"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("starts_from"))
    assert "clip_ja" not in row
    assert "'unet': 'base'" in row
