"""A dry run: the plan, the parameters, the memory, and nothing else."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from jsd.cli.columns import aligned
from jsd.errors import CheckpointError
from jsd.models.random import SCHEDULER, model_configs
from jsd.training.plan import count_parameters, plan
from jsd.training.recipes import FULL, MINI
from jsd.training.starting import TrainOptions, own_guidance, run_settings, scheduler_config
from runs.blocks import ROOT

# Stable Diffusion v1's UNet and VAE, and rinna's text encoder of 32,000 pieces.
TEXT_ENCODER, UNET, VAE = 109_691_136, 859_520_964, 83_653_863


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A Stable Diffusion v1 folder without its weights: a dry run reads the configs."""
    for component, config in {**model_configs("full"), "scheduler": SCHEDULER}.items():
        path = tmp_path / "base" / component / f"{'scheduler_' if component == 'scheduler' else ''}config.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(config), "utf-8")
    return tmp_path / "base"


@pytest.fixture
def options(base: Path, tmp_path: Path) -> TrainOptions:
    return TrainOptions(tmp_path / "no_corpus", tmp_path / "out", base=base)


def test_the_full_models_parameters_are_counted_without_their_memory(options: TrainOptions) -> None:
    counts = count_parameters(FULL, FULL.stages["stage1"], options)
    assert counts == {"text_encoder": TEXT_ENCODER, "unet": UNET, "vae": VAE}


def test_the_plan_names_what_trains_and_what_is_fixed(options: TrainOptions) -> None:
    lines = aligned(plan(FULL, "stage1", options)).splitlines()
    assert f"text_encoder (trains)        {TEXT_ENCODER:,} parameters" in lines
    assert f"unet (fixed)                 {UNET:,} parameters" in lines
    assert f"trainable / frozen           {TEXT_ENCODER:,} / {UNET + VAE:,} parameters" in lines


def test_the_plan_has_the_stages_row(options: TrainOptions) -> None:
    text = aligned(plan(FULL, "stage1", options))
    for name in ("train_batch_size", "max_train_steps", "learning_rate", "gradient_accumulation_steps"):
        assert f"{name:28} {getattr(FULL.stages['stage1'], name)}" in text


def test_the_memory_is_that_of_adamw_in_fp32(options: TrainOptions) -> None:
    size = (TEXT_ENCODER * 20 + (UNET + VAE) * 4) / 2**30
    assert f"{size:.2f} GiB, activations not counted" in aligned(plan(FULL, "stage1", options))


def test_a_plan_writes_nothing(options: TrainOptions) -> None:
    plan(FULL, "stage1", options)
    assert not options.output.exists()


def test_the_embedded_models_plan_needs_no_folder(tmp_path: Path) -> None:
    assert "vae (trains)" in aligned(plan(MINI, "vae", TrainOptions(tmp_path, tmp_path / "out")))


def test_the_embedded_model_fits_into_its_40_mb(tmp_path: Path) -> None:
    options = TrainOptions(tmp_path, tmp_path / "out")
    counts = count_parameters(MINI, MINI.stages["base"], options)
    assert counts.keys() == {"text_encoder", "unet", "vae"}
    assert sum(counts.values()) * 2 < 39e6, "two bytes a weight, and a vocabulary"


def test_the_image_encoder_of_a_contrastive_stage_is_counted(tmp_path: Path) -> None:
    options = TrainOptions(tmp_path, tmp_path / "out")
    counts = count_parameters(MINI, MINI.stages["clip_ja"], options)
    # Two convolutions (4 -> 128 -> 128), 128 x 8 x 8 features onto 256, the text's projection, the scale.
    expected = (4 * 9 + 1) * 128 + (128 * 9 + 1) * 128 + (128 * 64 + 1) * 256 + 256 * 256 + 1
    assert counts["image_encoder"] == expected
    trained = counts["text_encoder"] + expected
    assert f"trainable / frozen           {trained:,} / {counts['vae']:,} parameters" in aligned(
        plan(MINI, "clip_ja", options)
    )


def test_a_plan_without_a_base_folder_asks_for_one(options: TrainOptions) -> None:
    with pytest.raises(CheckpointError, match="--base"):
        plan(FULL, "stage1", replace(options, base=None))


def test_a_base_that_is_not_there_is_named(tmp_path: Path) -> None:
    options = TrainOptions(tmp_path, tmp_path / "out", base=tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"--base must be .* with a unet/, and .*nowhere has none"):
        plan(FULL, "stage1", options)


def test_what_starts_from_a_folder_is_counted_as_that_is(base: Path, tmp_path: Path) -> None:
    counts = count_parameters(MINI, MINI.stages["stage2"], TrainOptions(tmp_path, tmp_path / "out", start_from=base))
    assert counts == {"text_encoder": TEXT_ENCODER, "unet": UNET, "vae": VAE}
    options = TrainOptions(tmp_path, tmp_path / "out", start_from=tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="--start-from"):
        plan(MINI, "stage2", options)


def test_the_noise_is_that_of_the_folder_that_a_stage_starts_from(base: Path, tmp_path: Path) -> None:
    """Its UNet predicts by it, whatever the recipe says."""
    options = TrainOptions(tmp_path, tmp_path / "out", start_from=base)
    assert scheduler_config(MINI, options)["prediction_type"] == "epsilon"
    assert own_guidance(MINI, options) == 7.5 != MINI.guidance_scale
    assert scheduler_config(MINI, replace(options, start_from=ROOT / "weights" / "mini")) == MINI.scheduler
    path = base / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"time_cond_proj_dim": 256}), "utf-8")
    with pytest.raises(CheckpointError, match="--start-from must be a model that was not distilled"):
        scheduler_config(MINI, options)


def test_a_part_that_trains_is_counted_by_itself(tmp_path: Path) -> None:
    counts = count_parameters(MINI, MINI.stages["decoder"], TrainOptions(tmp_path, tmp_path / "out"))
    whole = count_parameters(MINI, MINI.stages["vae"], TrainOptions(tmp_path, tmp_path / "out"))
    assert counts["vae"] + counts["vae.decoder"] + counts["vae.post_quant_conv"] == whole["vae"]
    assert 0 < counts["vae"] < whole["vae"]


@pytest.mark.parametrize("option", ["start_from", "base"])
def test_a_run_goes_on_with_the_weights_that_it_began_with(option: str, toy_folder: Path, tmp_path: Path) -> None:
    """Not with others that have come to lie in the same place."""
    shutil.copytree(toy_folder, tmp_path / "model")
    options = TrainOptions(tmp_path, tmp_path / "out", **{option: tmp_path / "model"})  # type: ignore[arg-type]
    before = run_settings(MINI.stages["stage1"], options, "corpus")
    assert run_settings(MINI.stages["stage1"], options, "corpus") == before
    weights = tmp_path / "model" / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    after = run_settings(MINI.stages["stage1"], options, "corpus")
    assert [name for name in before if before[name] != after[name]] == [option]
