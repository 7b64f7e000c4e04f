"""`jsd train`, as a user runs it."""

import json
import shutil
import sys
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from toy_recipe import TOY, TOY_FULL, few_steps
from toy_scorers import write_own

from cli.conftest import Jsd
from jsd.errors import Note
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.recipes import RECIPES
from runs.subject import write

__all__ = ["few_steps"]


@pytest.fixture
def command(toy_corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The embedded model's recipe with toy components."""
    monkeypatch.setitem(RECIPES, "mini", TOY)
    return ["train", "--corpus", str(toy_corpus_folder), "--output", str(tmp_path / "out")]


def test_a_stage_is_trained_and_its_folder_named(jsd: Jsd, command: list[str], tmp_path: Path) -> None:
    said = jsd(command, "--mixed-precision", "no", "--stage", "vae", "--max-train-steps", 1)
    assert said.code == 0 and said.out[-1] == str(tmp_path / "out/vae/model")
    assert (tmp_path / "out/vae/model/vae/config.json").is_file()


def test_arithmetic_is_bf16_where_that_is_fast(
    jsd: Jsd, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dtype, expected in ((torch.bfloat16, "bf16"), (torch.float32, "no"), (torch.float16, "no")):
        monkeypatch.setattr("jsd.devices.fast_dtype", lambda device, training, dtype=dtype: dtype)
        output = tmp_path / expected / str(dtype)
        assert jsd(command, "--output", output, "--stage", "vae", "--max-train-steps", 1).code == 0
        run = json.loads((output / "vae" / "run.json").read_text("utf-8"))
        assert run["options"]["mixed_precision"] == expected


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Of the runs, none of which is begun."""
    found: list[str] = []
    monkeypatch.setattr("jsd.training.stages.run_stage", lambda recipe, stage, options: found.append(options.device))
    monkeypatch.delenv("JSD_DEVICE", raising=False)
    return found


def test_the_environment_names_the_device_too(
    jsd: Jsd, command: list[str], devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", list)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    words = [*command, "--stage", "vae"]
    assert jsd(words).code == 0
    monkeypatch.setenv("JSD_DEVICE", "cpu")
    assert jsd(words).code == jsd(words, "--device", "cuda").code == 0
    assert devices == ["cuda", "cpu", "cuda"]
    for name in ("cuda:99", "mps"):  # one that is not there, one that training does not know
        monkeypatch.setenv("JSD_DEVICE", name)
        assert jsd(words).refuses("device", name)


def test_the_cpu_of_a_machine_with_a_gpu_is_not_taken_in_silence(
    jsd: Jsd, command: list[str], devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    for module in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(module, "is_available", lambda: False)
    with warnings.catch_warnings():
        warnings.simplefilter("always", Note)
        said, asked = jsd(command, "--stage", "vae"), jsd(command, "--stage", "vae", "--device", "cpu")
    assert devices == ["cpu", "cpu"] and said.code == asked.code == 0
    assert "JSD_DEVICE=cpu" in said.err[0] and asked.err == []


def test_a_dry_run_prints_the_plan_and_writes_nothing(jsd: Jsd, command: list[str], tmp_path: Path) -> None:
    said = jsd(command, "--stage", "base", "--max-train-steps", 7, "--dry-run")
    plan = "\n".join(said.out)
    assert said.code == 0 and not (tmp_path / "out").exists()
    assert f"{'max_train_steps':28} 7" in plan and "unet (trains)" in plan and "vae (fixed)" in plan and "GiB" in plan


def test_what_does_not_fit_into_the_memory_is_told_with_a_remedy(jsd: Jsd, command: list[str]) -> None:
    said = jsd(command, "--stage", "vae", "--train-batch-size", 10**13)
    assert said.code == 1 and "a smaller --train-batch-size" in said.err[-1]


def test_a_part_can_start_from_scratch(jsd: Jsd, command: list[str]) -> None:
    plan = jsd(command, "--stage", "stage1", "--from-scratch", "text_encoder", "--dry-run").out
    row = next(line for line in plan if line.startswith("starts_from"))
    assert "clip_ja" not in row and "'unet': 'base'" in row


def test_a_lora_is_trained_on_its_base_alone(jsd: Jsd, command: list[str], tmp_path: Path) -> None:
    assert jsd(command, "--recipe", "lora", "--start-from", tmp_path / "model").refuses("start_from", "--base")


def test_own_pictures_need_no_stage(
    jsd: Jsd, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "own", 1)
    command = [
        "train",
        "--recipe",
        "lora",
        "--corpus",
        tmp_path / "own",
        "--base",
        toy_folder,
        "--output",
        tmp_path / "out",
    ]
    plan = jsd(command, "--dry-run").out
    assert any(line.startswith("LoRA (trains)") for line in plan) and not (tmp_path / "out").exists()
    monkeypatch.setattr("jsd.training.lora.prior_prompts", lambda *_: ["猫"])
    sampled: list[str] = []
    monkeypatch.setattr("jsd.training.lora.LoraRun.sample", lambda self, path: sampled.append(path.stem))
    said = jsd(command, "--max-train-steps", 8, "--mixed-precision", "no")
    assert said.code == 0 and said.out[-1] == str(tmp_path / "out" / "lora.safetensors")
    assert sampled == ["000002", "000004", "000006", "000008"], "a short stage has checkpoints too"
    monkeypatch.setitem(sys.modules, "peft", None)
    assert jsd(command).refuses("peft", "pip install")


def test_own_pictures_are_learnt_by_the_embedded_model_whatever_else_has_been_fetched(
    jsd: Jsd, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JSD_WEIGHTS", raising=False)
    monkeypatch.setattr("jsd.models.folder.weights_root", lambda: tmp_path)
    for name in ("mini", "rinna"):
        shutil.copytree(toy_folder, tmp_path / name)
    bases: list[Path] = []
    monkeypatch.setattr("jsd.training.stages.run_lora", lambda recipe, stage, options: bases.append(options.base))
    write(tmp_path / "own", 1)
    words = ["train", "--corpus", tmp_path / "own", "--output", tmp_path / "out", "--recipe"]
    for recipe in ("lora", "lora-full"):
        jsd(words, recipe)
    assert [base.name for base in bases] == ["mini", "rinna"]


@pytest.mark.parametrize(
    ("language", "captions"),
    {
        "ja": ("赤い猫", "青い犬がいる", "緑の木と家"),
        "vi": ("con mèo màu đỏ", "một chú chó xanh", "cây xanh và ngôi nhà"),
    }.items(),
)
def test_the_full_recipe_swaps_the_language_of_a_folder(
    language: str,
    captions: tuple[str, ...],
    jsd: Jsd,
    toy_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RECIPES, "full", TOY_FULL)
    own = tmp_path / "own"
    own.mkdir()
    for number, caption in enumerate(captions):
        Image.effect_noise((70, 70), 40 + number).convert("RGB").save(own / f"{number}.png")
        (own / f"{number}.txt").write_text(caption, "utf-8")
    command = ["--recipe", "full", "--corpus", own, "--base", toy_folder, "--output", tmp_path / "out"]
    for stage in ("stage1", "stage2"):
        assert jsd("train", command, "--mixed-precision", "no", "--stage", stage).code == 0
    models = [toy_folder, tmp_path / "out/stage1/model", tmp_path / "out/stage2/model"]
    unets = [load_file(next((model / "unet").glob("*.safetensors"))) for model in models]
    assert all(torch.equal(unets[0][name], unets[1][name]) for name in unets[0]), "stage 1 is the text encoder's"
    assert any(not torch.equal(unets[0][name], unets[2][name]) for name in unets[0])
    unknown = [
        sum(JapaneseTokenizer.load(model / "tokenizer").encode(caption).count(0) for caption in captions)
        for model in models
    ]
    assert unknown[1:] == [0, 0] and (unknown[0] > 0 or language == "ja")
    mine = tmp_path / "mine"
    assert jsd("data", "import", own, "--output", mine).code == 0
    report = ["--corpus", mine, "--scorer", write_own(tmp_path / "scorer"), "--output", tmp_path / "report"]
    assert jsd("evaluate", "--weights", models[2], report, "--num-inference-steps", 1).code == 0
    drawn = jsd("generate", captions[0], "--weights", models[2], "--num-inference-steps", 1, "--output-dir", tmp_path)
    assert drawn.code == 0 and not any(captions[0][:2] in line for line in drawn.err), "every word is read"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "lora", "--corpus", "nowhere"], "no pictures at nowhere"),
        ([], "stage must be one of"),
        (["--stage", "clip_en"], "jsd train --stage vae"),  # out of order
        (["--recipe", "full", "--stage", "vae"], "stage1, stage2; got vae"),
        (["--recipe", "full", "--stage", "stage1", "--dry-run"], "--base"),
        (["--stage", "base", "--learning-rate", "nan"], "learning_rate must be"),
        (["--stage", "base", "--seed", "4294967296"], "seed must be"),
        (["--stage", "base", "--from-scratch", "vae"], "from_scratch must be"),
        (["--stage", "base", "--from-scratch", "encoder"], "from_scratch must be"),
    ],
)
def test_what_cannot_be_trained_is_one_line(
    words: list[str], said: str, jsd: Jsd, command: list[str], tmp_path: Path
) -> None:
    assert jsd(command, words).refuses(said) and not list(tmp_path.glob("out/*/run.json"))


@pytest.mark.parametrize("option", ["--trigger", "--class-prompt"])
def test_what_only_lora_reads_is_not_taken_in_silence(jsd: Jsd, command: list[str], option: str) -> None:
    said = jsd(command, "--stage", "stage2", option, "ミケ丸")
    assert said.refuses(option.removeprefix("--").replace("-", "_"), "--recipe lora")


def test_a_folder_whose_weights_are_missing_is_named(
    jsd: Jsd, command: list[str], toy_folder: Path, tmp_path: Path
) -> None:
    half = tmp_path / "half"
    shutil.copytree(toy_folder, half)
    next((half / "vae").glob("*.safetensors")).unlink()
    said = jsd(command, "--stage", "stage2", "--start-from", half)
    assert said.code == 2 and str(half / "vae") in said.err[-1] and "fetch the folder again" in said.err[-1]
