"""The stages of the embedded model and of the full one, each once, on toy sizes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from safetensors.torch import load_file
from toy_recipe import TEXT_ENCODER, TOY, TOY_FULL

import jsd
from jsd.errors import CheckpointError, CorpusError, ModelFolderError
from jsd.models.folder import verify_folder
from jsd.models.upscaler import Upscaler
from jsd.training.corpora.enlarged import EnlargedPictures
from jsd.training.recipes import FULL, MINI, RECIPES, Recipe
from jsd.training.stages import Run, run_stage, step_generator
from jsd.training.starting import TrainOptions


@pytest.fixture(scope="module")
def options(
    toy_corpus_folder: Path, toy_sprites: Path, sources: Path, tmp_path_factory: pytest.TempPathFactory
) -> TrainOptions:
    output = tmp_path_factory.mktemp("toy") / "toy"
    return TrainOptions(toy_corpus_folder, output, sprites=toy_sprites, sources=sources, mixed_precision="no")


@pytest.fixture(scope="module")
def trained(options: TrainOptions) -> Path:
    """Every stage of the embedded model's recipe, run in order."""
    for name in TOY.stages:
        run_stage(TOY, name, options)
    return options.output


@pytest.fixture(scope="module")
def full(toy_folder: Path, options: TrainOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stages of the full recipe, from the toy folder."""
    output = tmp_path_factory.mktemp("full") / "full"
    for name in TOY_FULL.stages:
        run_stage(TOY_FULL, name, replace(options, output=output, base=toy_folder))
    return output


def weights(folder: Path, component: str) -> dict[str, torch.Tensor]:
    (path,) = (folder / component).glob("*.safetensors")
    return load_file(path)


def same(one: Path, other: Path, component: str) -> bool:
    a, b = weights(one, component), weights(other, component)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def changed(one: Path, other: Path, component: str) -> float:
    """The share of the component's tensors that differ."""
    a, b = weights(one, component), weights(other, component)
    return sum(not torch.equal(a[name], b[name]) for name in a) / len(a)


def test_stage1_leaves_unet_and_vae_bit_identical(trained: Path) -> None:
    assert same(trained / "stage1/model", trained / "base/model", "unet")
    assert same(trained / "stage1/model", trained / "vae/model", "vae")


def test_stage1_changes_the_text_encoder(trained: Path) -> None:
    assert changed(trained / "stage1/model", trained / "clip_ja/model", "text_encoder") > 0.9


def test_stage2_changes_text_encoder_and_unet(trained: Path) -> None:
    assert changed(trained / "stage2/model", trained / "stage1/model", "text_encoder") > 0.9
    assert changed(trained / "stage2/model", trained / "stage1/model", "unet") > 0.9


def test_stage2_leaves_the_vae_bit_identical(trained: Path) -> None:
    assert same(trained / "stage2/model", trained / "vae/model", "vae")


def test_the_decoder_stage_changes_the_decoder_alone(trained: Path) -> None:
    before, after = weights(trained / "stage2/model", "vae"), weights(trained / "decoder/model", "vae")
    decoding = {name for name in before if name.startswith(("decoder.", "post_quant_conv."))}
    kept = {name for name in before if torch.equal(before[name], after[name])}
    assert kept == before.keys() - decoding, "pictures are encoded as before, so the UNet fits"
    assert same(trained / "decoder/model", trained / "stage2/model", "unet")
    assert same(trained / "decoder/model", trained / "stage2/model", "text_encoder")


def test_parts_changes_the_text_encoder_that_joint_trained_and_scenes_the_unet(trained: Path) -> None:
    joint, parts, scenes = (trained / stage / "model" for stage in ("joint", "parts", "scenes"))
    assert changed(joint, parts, "text_encoder") == 1 and same(joint, parts, "unet") and same(joint, parts, "vae")
    assert changed(parts, scenes, "unet") > 0.9 and same(parts, scenes, "text_encoder") and same(joint, scenes, "vae")


def test_the_upscaler_stage_writes_an_upscaler_that_learnt(trained: Path) -> None:
    upscaler = Upscaler.from_pretrained(trained / "upscaler" / "model" / "upscaler")
    enlarged = EnlargedPictures(trained / "enlarged_0")
    for step in (0, 1):  # 3D, and vectors
        small, large = enlarged.batch(4, seed=0, step=step)
        assert upscaler(small).shape[-1] == 160
        assert large.shape[-1] in (80, 160)
        # A small picture shows what the large one does.
        assert (torch.nn.functional.avg_pool2d(large, large.shape[-1] // 40) - small).abs().mean() < 0.5


def test_base_changes_the_text_encoder_that_clip_warmed_up(trained: Path) -> None:
    assert changed(trained / "base/model", trained / "clip_en/model", "text_encoder") > 0.9


def test_full_stage1_leaves_the_base_folders_unet_and_vae_bit_identical(full: Path, toy_folder: Path) -> None:
    assert same(full / "stage1/model", toy_folder, "unet")
    assert same(full / "stage1/model", toy_folder, "vae")


def test_full_stage2_changes_both_halves(full: Path, toy_folder: Path) -> None:
    assert changed(full / "stage2/model", full / "stage1/model", "text_encoder") > 0.9
    assert changed(full / "stage2/model", toy_folder, "unet") > 0.9
    assert same(full / "stage2/model", toy_folder, "vae")


def test_full_keeps_the_base_folders_noise_schedule(full: Path, toy_folder: Path) -> None:
    ours, theirs = (
        json.loads((folder / "scheduler/scheduler_config.json").read_text("utf-8"))
        for folder in (full / "stage2/model", toy_folder)
    )
    for name in ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize("stage", ["base", "stage1", "stage2", "decoder", "joint", "parts", "scenes"])
def test_a_stage_with_a_unet_writes_a_whole_model_folder_that_draws(trained: Path, stage: str) -> None:
    folder = trained / stage / "model"
    assert verify_folder(folder) == []
    pipeline = jsd.Pipeline.load(folder, device="cpu", dtype="float32")
    (drawn,) = pipeline.generate(jsd.SamplingOptions(prompt="サラリーマン 油絵", seed=0, num_inference_steps=2))
    assert drawn.image.size == (32, 32)
    plain = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    assert plain.tokenizer("富士山", padding="max_length").input_ids == pipeline.tokenizer.encode("富士山")


def test_the_full_models_folder_draws(full: Path) -> None:
    pipeline = jsd.Pipeline.load(full / "stage2/model", device="cpu", dtype="float32")
    (drawn,) = pipeline.generate(jsd.SamplingOptions(prompt="富士山", seed=0, num_inference_steps=2))
    assert drawn.image.size == (32, 32)


def test_the_vaes_scaling_factor_gives_latents_of_unit_variance(trained: Path) -> None:
    config = json.loads((trained / "vae/model/vae/config.json").read_text("utf-8"))
    kept = torch.load(trained / "latents.pt", weights_only=True)["latents"]
    # Latents are kept at the UNet's 32 px, the factor is measured at the corpus' 64 px.
    assert (config["scaling_factor"] * kept).std().item() == pytest.approx(1, abs=0.25)


def test_run_json_says_how_the_weights_were_made(trained: Path, options: TrainOptions) -> None:
    run = json.loads((trained / "stage2/run.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert (run["recipe"], run["stage"]["name"]) == ("toy", "stage2")
    assert run["stage"] == json.loads(json.dumps(asdict(TOY.stages["stage2"])))
    assert run["options"]["seed"] == options.seed
    assert run["options"]["mixed_precision"] == "no"
    assert {"jsd", "python", "torch", "diffusers", "transformers"} <= run["versions"].keys()
    assert run["hardware"].startswith("CPU")
    assert run["seconds"] > 0


def test_tensorboard_shows_the_losses(trained: Path) -> None:
    name = "tensorboard.backend.event_processing.event_accumulator"
    events = pytest.importorskip(name, reason="the extra train is not installed").EventAccumulator(
        str(trained / "stage2/tensorboard")
    )
    events.Reload()
    logged = json.loads((trained / "stage2/log.jsonl").read_text("utf-8").splitlines()[-1])
    last = events.Scalars("loss")[-1]
    assert (last.step, last.value) == (logged["step"], pytest.approx(logged["loss"]))


def test_the_log_has_losses_and_seconds(trained: Path) -> None:
    lines = [json.loads(line) for line in (trained / "stage2/log.jsonl").read_text("utf-8").splitlines()]
    assert lines[-1]["step"] == 2
    assert {"loss", "mse", "grad_norm", "lr", "seconds"} <= lines[-1].keys()


@pytest.mark.parametrize("stage", ["vae", "base", "stage1", "stage2", "decoder"])
def test_samples_are_a_grid_of_pictures(trained: Path, stage: str) -> None:
    with Image.open(trained / stage / "samples/000002.png") as grid:
        assert min(grid.size) >= 32


@pytest.mark.parametrize(
    ("stage", "missing"), [("clip_en", "vae"), ("stage1", "base"), ("stage1", "clip_ja"), ("stage2", "stage1")]
)
def test_a_stage_out_of_order_names_the_one_that_is_missing(
    trained: Path, options: TrainOptions, tmp_path: Path, stage: str, missing: str
) -> None:
    for path in trained.iterdir():
        if path.name not in (missing, stage):
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(CheckpointError) as caught:
        run_stage(TOY, stage, replace(options, output=tmp_path))
    assert f"jsd train --stage {missing}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_training_goes_on_from_a_published_model_folder(trained: Path, options: TrainOptions, tmp_path: Path) -> None:
    published = trained / "stage2/model"
    model = run_stage(TOY, "stage2", replace(options, output=tmp_path / "new", start_from=published))
    assert same(model, published, "vae")
    assert changed(model, published, "unet") > 0
    assert (model / "tokenizer/spiece.model").read_bytes() == (published / "tokenizer/spiece.model").read_bytes()


def test_a_folder_to_go_on_from_must_have_what_the_stage_needs(options: TrainOptions, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="--start-from must be a model folder with a "):
        run_stage(TOY, "clip_ja", replace(options, output=tmp_path / "new", start_from=tmp_path))


def test_the_full_recipe_without_a_base_folder_asks_for_one(options: TrainOptions, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="--base"):
        run_stage(TOY_FULL, "stage1", replace(options, output=tmp_path))


def test_a_base_whose_unet_reads_another_width_is_refused(
    options: TrainOptions, toy_folder: Path, tmp_path: Path
) -> None:
    wider = replace(TOY_FULL, components={"text_encoder": {**TEXT_ENCODER, "hidden_size": 64}})
    with pytest.raises(CheckpointError, match="text features of 64, the UNet of the base reads 32"):
        run_stage(wider, "stage1", replace(options, output=tmp_path, base=toy_folder))
    assert not (tmp_path / "latents.pt").exists(), "refused before the pictures are encoded"


def test_a_base_without_a_noise_schedule_is_refused(
    options: TrainOptions, make_toy_folder: Callable[..., Path], tmp_path: Path
) -> None:
    base = make_toy_folder()
    (base / "scheduler" / "scheduler_config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelFolderError, match="no beta_start"):
        run_stage(TOY_FULL, "stage1", replace(options, output=tmp_path, base=base))
    assert not (tmp_path / "latents.pt").exists(), "refused before the pictures are encoded"


@pytest.mark.parametrize(
    "change", [{"prediction_type": "sample"}, {"rescale_betas_zero_snr": True}, {"trained_betas": [0.01] * 1000}]
)
def test_a_base_on_other_noise_is_refused(
    change: dict[str, object], options: TrainOptions, make_toy_folder: Callable[..., Path], tmp_path: Path
) -> None:
    base = make_toy_folder(prediction_type="v_prediction")
    path = base / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(CheckpointError, match=next(iter(change))):
        run_stage(TOY_FULL, "stage1", replace(options, output=tmp_path, base=base))


def test_a_distilled_base_is_refused(
    options: TrainOptions, make_toy_folder: Callable[..., Path], tmp_path: Path
) -> None:
    base = make_toy_folder(time_cond_proj_dim=16)
    with pytest.raises(CheckpointError, match="time_cond_proj_dim"):
        run_stage(TOY_FULL, "stage1", replace(options, output=tmp_path, base=base))


def test_training_without_a_corpus_says_how_to_make_one(options: TrainOptions, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="jsd data build"):
        run_stage(TOY, "vae", replace(options, corpus=tmp_path / "none", output=tmp_path / "out"))
    assert not (tmp_path / "out").exists(), "nothing half-written"


def test_a_stage_that_was_interrupted_ends_as_if_it_never_stopped(
    trained: Path, options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in trained.iterdir():
        if path.name != "stage2":
            (tmp_path / path.name).symlink_to(path)
    again = replace(options, output=tmp_path, checkpointing_steps=1)

    def interrupt(self: Run, path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(Run, "sample", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_stage(TOY, "stage2", again)
    assert not (tmp_path / "stage2/model").exists()
    run_stage(TOY, "stage2", again)
    for component in ("text_encoder", "unet"):
        assert same(tmp_path / "stage2/model", trained / "stage2/model", component)


@pytest.mark.parametrize("change", [{"seed": 1}, {"train_batch_size": 3}, {"mixed_precision": "bf16"}])
def test_a_finished_stage_does_not_go_on_as_another(
    trained: Path, options: TrainOptions, tmp_path: Path, change: dict[str, object]
) -> None:
    stage = replace(TOY.stages["vae"], **{k: v for k, v in change.items() if k == "train_batch_size"})
    others = {k: v for k, v in change.items() if k != "train_batch_size"}
    (tmp_path / "vae").symlink_to(trained / "vae")
    before = {path: path.read_bytes() for path in (trained / "vae").rglob("*") if path.is_file()}
    with pytest.raises(CheckpointError) as caught:
        run_stage(replace(TOY, stages={"vae": stage}), "vae", replace(options, output=tmp_path, **others))
    assert caught.value.params["field"] in change
    assert {path: path.read_bytes() for path in (trained / "vae").rglob("*") if path.is_file()} == before


def test_more_steps_at_another_rate_are_the_same_run(trained: Path, options: TrainOptions, tmp_path: Path) -> None:
    shutil.copytree(trained / "vae", tmp_path / "vae")
    stage = replace(TOY.stages["vae"], max_train_steps=3, learning_rate=1e-4, ema_decay=0.5)
    run_stage(replace(TOY, stages={"vae": stage}), "vae", replace(options, output=tmp_path))
    assert torch.load(tmp_path / "vae/checkpoint.pt", weights_only=True)["step"] == 3


def test_an_export_that_fails_leaves_no_model_for_later_stages(
    trained: Path, options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Run.export

    def fail_half_way(self: Run, folder: Path) -> None:
        export(self, folder)
        raise OSError("no space left on device")

    monkeypatch.setattr(Run, "export", fail_half_way)
    with pytest.raises(CheckpointError, match="no space left on device; make room"):
        run_stage(TOY, "vae", replace(options, output=tmp_path))
    with pytest.raises(CheckpointError):
        run_stage(TOY, "clip_en", replace(options, output=tmp_path))


def test_the_noise_of_a_step_depends_on_seed_and_step() -> None:
    draws = {step_generator(seed, step).initial_seed() for seed in range(4) for step in range(1000)}
    assert len(draws) == 4000


ROWS = [(recipe, name) for recipe in RECIPES.values() for name in recipe.stages]


@pytest.mark.parametrize(("recipe", "name"), ROWS, ids=[f"{recipe.name}-{name}" for recipe, name in ROWS])
def test_a_row_starts_from_earlier_rows_alone(recipe: Recipe, name: str) -> None:
    earlier = list(recipe.stages)[: list(recipe.stages).index(name)]
    for source in recipe.stages[name].starts_from.values():
        assert source in earlier or (recipe is not MINI and source == "base")


def test_only_the_stages_of_the_stand_in_leave_out_japan() -> None:
    assert [name for name, stage in MINI.stages.items() if not stage.with_japan] == ["vae", "clip_en", "base"]


def test_stage1_trains_the_text_encoder_alone() -> None:
    assert MINI.stages["stage1"].trains == FULL.stages["stage1"].trains == ("text_encoder",)
