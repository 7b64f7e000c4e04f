"""Folders that are added to a model: another VAE, a small one for previews, a safety checker."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline
from diffusers.models import AutoencoderKL, AutoencoderTiny
from PIL import Image
from toy_checker import write_toy_checker

from cli.conftest import Jsd
from jsd import Pipeline, vae
from jsd.errors import JsdError, UnsafeImagesError
from jsd.images.tensors import tensor_to_images
from jsd.models.folder import PARTS, choose_folder, open_model_folder
from jsd.models.record import folder_digest
from jsd.preview import load_preview
from tests.toy_sdxl import write_toy_sdxl_folder

KL = {
    "latent_channels": 4,
    "block_out_channels": (32,) * 3,
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
}
TINY = {
    "encoder_block_out_channels": (8,) * 3,
    "decoder_block_out_channels": (8,) * 3,
    "num_encoder_blocks": (1,) * 3,
    "num_decoder_blocks": (1,) * 3,
}
REQUEST = {"num_inference_steps": 2, "seed": 0}


@pytest.fixture(scope="module")
def vaes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vaes")
    torch.manual_seed(7)
    AutoencoderKL(**KL).save_pretrained(folder / "kl")
    AutoencoderKL(**KL, scaling_factor=0.13025).save_pretrained(folder / "of-sdxl")
    AutoencoderKL(**KL | {"latent_channels": 8}).save_pretrained(folder / "eight-channels")
    AutoencoderTiny(**TINY).save_pretrained(folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As CompVis published theirs: all in one folder."""
    made = write_toy_checker(tmp_path_factory.mktemp("checker"), unsafe=[Image.new("RGB", (32, 32), "red")])
    shutil.copy(made / "feature_extractor" / "preprocessor_config.json", made / "safety_checker")
    shutil.rmtree(made / "feature_extractor")
    return made / "safety_checker"


@pytest.mark.filterwarnings("ignore:The configuration file of this scheduler:FutureWarning")  # the toy's, of diffusers
def test_a_model_whose_own_vae_is_tiny_is_whole_draws_and_is_converted(
    toy_folder: Path, vaes: Path, tmp_path: Path, jsd: Jsd
) -> None:
    model = shutil.copytree(toy_folder, tmp_path / "model", ignore=shutil.ignore_patterns("vae"))
    shutil.copytree(vaes / "tiny", model / "vae")
    assert jsd("weights", "verify", model).code == 0
    (picture,) = Pipeline.load(model, "cpu", "float32").generate("猫", **REQUEST)
    assert jsd("weights", "convert", model, tmp_path / "new", "--dtype", "float32").code == 0
    plain = DiffusionPipeline.from_pretrained(tmp_path / "new", local_files_only=True)
    assert isinstance(plain.vae, AutoencoderTiny)
    (again,) = Pipeline.load(tmp_path / "new", "cpu", "float32").generate("猫", **REQUEST)
    assert again.image.tobytes() == picture.image.tobytes()


@pytest.mark.parametrize("kind", ["kl", "tiny"])
def test_another_vae_decodes_is_recorded_and_is_asked_for_again(
    kind: str, toy_folder: Path, vaes: Path, tmp_path: Path, jsd: Jsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline.load(toy_folder, "cpu", "float32", vae=vaes / kind)
    job = pipeline.prepare(pipeline.generate("猫", **REQUEST)[0].options)
    pipeline.run(job, progress=False)
    (picture,) = pipeline.finish(job)
    other = {"kl": AutoencoderKL, "tiny": AutoencoderTiny}[kind].from_pretrained(vaes / kind)
    assert tensor_to_images(vae.decode_latents(other, job.latents))[0].tobytes() == picture.image.tobytes()
    assert picture.metadata["vae"] == kind
    assert picture.metadata["model_sha256"] == folder_digest(toy_folder, vaes / kind) != folder_digest(toy_folder)
    again = pipeline.generate("猫", image=picture.image, prompt_strength=0.5, **REQUEST)[0]
    assert again.image.size == (32, 32)
    path = picture.save(tmp_path / "a.png")
    words = ["rerun", path, "--weights", toy_folder, "--output-dir", tmp_path / "again"]
    assert jsd(words).refuses("--vae") and jsd(words, "--vae", vaes / kind).code == 0
    own = Pipeline.load(toy_folder, "cpu", "float32").generate("猫", **REQUEST)[0].save(tmp_path / "b.png")
    monkeypatch.setenv("JSD_VAE", str(vaes / {"kl": "tiny", "tiny": "kl"}[kind]))
    assert f"the VAE {kind}," in jsd(words).err[-1], "one of the environment is not taken for it"
    words[1] = own
    assert jsd(words).code == 0, "nor for the model's own"
    assert jsd(words, "--vae", vaes / kind).refuses("--vae")


def test_a_small_vae_draws_previews_at_half_the_sides(toy_folder: Path, vaes: Path) -> None:
    pipeline = Pipeline.load(toy_folder, "cpu", "float32", preview_vae=vaes / "tiny")
    assert load_preview(pipeline).draw(torch.randn(2, 4, 8, 8)).size == (2 * 16, 16)
    assert pipeline.provenance["model_sha256"] == folder_digest(toy_folder), "the finished pictures are the same"


@pytest.mark.parametrize("family", ["v1", "sdxl"])
def test_a_checker_judges_any_models_pictures(
    family: str, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = toy_folder if family == "v1" else write_toy_sdxl_folder(tmp_path / "sdxl")
    unchecked = Pipeline.load(folder, "cpu", "float32")
    (unsafe,) = unchecked.generate("猫", **REQUEST)
    assert unsafe.metadata["safety_checker"] == "none"
    made = write_toy_checker(tmp_path, unsafe=[unsafe.image])
    for explicit in (made, made / "safety_checker"):
        with pytest.raises(UnsafeImagesError):
            Pipeline.load(folder, "cpu", "float32", safety_checker=explicit).generate("猫", **REQUEST)
    monkeypatch.setenv("JSD_SAFETY_CHECKER", str(made))
    pipeline = Pipeline.load(folder, "cpu", "float32")
    assert any(str(made) in line for line in pipeline.introduction(""))
    assert pipeline.generate("猫", num_inference_steps=2, seed=1)[0].metadata["safety_checker"] == "on"


def test_an_operator_can_require_it(toy_folder: Path, checker: Path, jsd: Jsd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_REQUIRE_SAFETY_CHECKER", "1")
    words = ["generate", "猫", "--weights", toy_folder, "--num-inference-steps", "1"]
    assert jsd(words).refuses("JSD_SAFETY_CHECKER")
    pipeline = Pipeline.load(toy_folder, safety_checker=checker)
    for loosened in ({"disable_safety_checker": True}, {"safety_threshold": 0.05}):
        with pytest.raises(JsdError, match=next(iter(loosened))):
            pipeline.generate("猫", num_inference_steps=1, **loosened)
    assert pipeline.generate("猫", safety_threshold=-0.05, **REQUEST)[0].metadata["safety_checker"] == "on"


@pytest.mark.parametrize("command", ["generate", "batch", "serve", "web", "mcp"])
def test_every_facade_that_chooses_weights_takes_them(command: str, jsd: Jsd) -> None:
    shown = "\n".join(jsd(command, "--help").out)
    for name, part in PARTS.items():
        assert f"--{name.replace('_', '-')}" in shown and part.variable in shown


WRONG: dict[str, tuple[str, Callable[[Path, Path, Path], Path], str]] = {
    "a file": ("vae", lambda toy, vaes, checker: vaes / "kl" / "config.json", "folder that holds config.json"),
    "a UNet": ("vae", lambda toy, vaes, checker: toy / "unet", "AutoencoderKL / AutoencoderTiny"),
    "nothing in it": ("vae", lambda toy, vaes, checker: vaes, "config.json"),
    "eight channels": ("vae", lambda toy, vaes, checker: vaes / "eight-channels", "latent_channels is 8"),
    "of SDXL": ("vae", lambda toy, vaes, checker: vaes / "of-sdxl", "0.13025"),
    "previews of it": ("preview_vae", lambda toy, vaes, checker: vaes / "eight-channels", "latent_channels"),
    "a text encoder": ("safety_checker", lambda toy, vaes, checker: toy / "text_encoder", "StableDiffusionSafety"),
    "a model without one": ("safety_checker", lambda toy, vaes, checker: toy, "config.json"),
    "no such part": ("refiner", lambda toy, vaes, checker: toy, "preview_vae"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_none_is_named(case: str, toy_folder: Path, vaes: Path, checker: Path) -> None:
    part, choose, named = WRONG[case]
    with pytest.raises(JsdError, match=named):
        open_model_folder(choose_folder(toy_folder, {part: choose(toy_folder, vaes, checker)}))


@pytest.mark.parametrize("part", ["kl", "tiny", "checker", "beside its processor"])
def test_verify_knows_the_part(part: str, vaes: Path, checker: Path, tmp_path: Path, jsd: Jsd) -> None:
    folder = shutil.copytree(vaes / part if (vaes / part).is_dir() else checker, tmp_path / "part")
    if part.startswith("beside"):
        folder = write_toy_checker(tmp_path)
    said = jsd("weights", "verify", folder)
    assert said.code == 0 and ("--vae" if part in ("kl", "tiny") else "--safety-checker") in said.out[-1]
    place = folder / "safety_checker" if (folder / "safety_checker").is_dir() else folder
    (weights,) = place.glob("*.safetensors")
    weights.unlink()
    said = jsd("weights", "verify", folder)
    assert said.code == 2 and [weights.name in line for line in said.out] == [True], "that, and nothing of a model"


def test_damage_is_named(toy_folder: Path, checker: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(checker, tmp_path / "checker")
    config = json.loads((damaged / "config.json").read_text("utf-8"))
    (damaged / "config.json").write_text(json.dumps(config | {"projection_dim": 8}), "utf-8")
    (damaged / "preprocessor_config.json").unlink()
    with pytest.raises(JsdError) as caught:
        open_model_folder(choose_folder(toy_folder, {"safety_checker": damaged}))
    assert "visual_projection" in str(caught.value) and str(damaged) in str(caught.value)
    assert "preprocessor_config.json" in str(caught.value) or "…" in str(caught.value)


def test_a_checker_that_is_added_stands_in_for_one_that_is_named_and_not_there(
    toy_folder: Path, checker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jsd.models.known.SETTLED_SECONDS", -60)
    model = shutil.copytree(toy_folder, tmp_path / "model")
    index = json.loads((model / "model_index.json").read_text("utf-8"))
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (model / "model_index.json").write_text(json.dumps(index), "utf-8")
    pipeline = Pipeline.load(model, "cpu", "float32", safety_checker=checker)
    assert pipeline.generate("猫", num_inference_steps=1, seed=1)[0].metadata["safety_checker"] == "on"
    with pytest.raises(JsdError, match="null, null"):
        open_model_folder(model)


def test_a_processor_beside_its_checker_that_changes_is_verified_anew(
    toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jsd.models.known.SETTLED_SECONDS", -60)
    made = write_toy_checker(tmp_path)
    model = choose_folder(toy_folder, {"safety_checker": made / "safety_checker"})
    open_model_folder(model)
    (made / "feature_extractor" / "preprocessor_config.json").write_text("[]", "utf-8")
    with pytest.raises(JsdError, match="preprocessor_config"):
        open_model_folder(model)
