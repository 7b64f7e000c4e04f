"""Components: what a fresh one starts as, and the folder they are written into."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny, DDIMScheduler
from toy_checker import write_toy_checker
from toy_recipe import TOY

from jsd import Pipeline
from jsd.errors import CheckpointError, ModelFolderError
from jsd.models.configs import GUIDANCE_SCALE, guidance_scale
from jsd.models.record import OPENRAIL, folder_licence
from jsd.models.tokenizer_json import open_to_diffusers
from jsd.training import modules
from jsd.training.recipes import MINI
from jsd.training.starting import alphas_cumprod

TINY_BLOCKS: dict[str, Any] = {
    "encoder_block_out_channels": (16, 16),
    "decoder_block_out_channels": (16, 16),
    "num_encoder_blocks": (1, 1),
    "num_decoder_blocks": (1, 1),
}


def test_a_fresh_vae_hides_nothing_in_noise() -> None:
    vae = modules.build("vae", TOY.components["vae"])
    with torch.no_grad():
        posterior = vae.encode(torch.zeros(1, 3, 32, 32)).latent_dist
    assert posterior.std.max() < 0.2


def test_image_features_have_length_one() -> None:
    encoder = modules.ImageEncoder(latent_channels=4, size=8, width=8, dim=16)
    features = encoder(torch.randn(3, 4, 8, 8))
    assert features.shape == (3, 16)
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(3))


def test_text_features_are_those_at_the_first_end() -> None:
    encoder = modules.ImageEncoder(latent_channels=4, size=8, width=8, dim=16)
    input_ids = torch.tensor([[5, 2, 3, 3], [5, 6, 7, 2]])
    hidden = torch.randn(2, 4, 16)
    found = encoder.text_features(hidden, input_ids, eos_token_id=2)
    expected = encoder.text_projection(torch.stack([hidden[0, 1], hidden[1, 3]]))
    torch.testing.assert_close(found, torch.nn.functional.normalize(expected, dim=-1))


def test_a_components_weights_come_back(tmp_path: Path) -> None:
    vae = modules.build("vae", TOY.components["vae"])
    vae.save_pretrained(tmp_path / "vae")
    loaded = modules.load("vae", tmp_path)
    torch.testing.assert_close(loaded.state_dict(), vae.state_dict(), rtol=0, atol=0)


def test_the_noise_levels_are_diffusers_own() -> None:
    assert MINI.scheduler is not None
    torch.testing.assert_close(
        alphas_cumprod(MINI.scheduler), DDIMScheduler(**MINI.scheduler).alphas_cumprod, rtol=1e-5, atol=0
    )


def test_another_noise_schedule_is_refused_by_name() -> None:
    assert MINI.scheduler is not None
    with pytest.raises(CheckpointError, match="squaredcos_cap_v2"):
        alphas_cumprod({**MINI.scheduler, "beta_schedule": "squaredcos_cap_v2"})


def test_the_schedulers_config_is_stable_diffusions(tmp_path: Path) -> None:
    assert MINI.scheduler is not None
    modules.write_model_folder(tmp_path, {}, MINI.scheduler, guidance_scale=None)
    config = json.loads((tmp_path / "scheduler" / "scheduler_config.json").read_text("utf-8"))
    assert (config["steps_offset"], config["set_alpha_to_one"], config["clip_sample"]) == (1, False, False)
    assert config["prediction_type"] == "v_prediction"
    assert guidance_scale(tmp_path) == GUIDANCE_SCALE, "a recipe without its own leaves Stable Diffusion's"


@pytest.mark.parametrize("is_half", [False, True])
def test_weights_are_found_where_drawing_finds_them(tmp_path: Path, is_half: bool) -> None:
    vae = modules.build("vae", TOY.components["vae"])
    place = tmp_path / "vae"
    vae.save_pretrained(place, variant="fp16" if is_half else None)
    index = {"weight_map": {"gone": "gone.safetensors"}}  # of shards that are no longer there
    (place / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    torch.testing.assert_close(modules.load("vae", tmp_path).state_dict(), vae.state_dict(), rtol=0, atol=0)


def test_what_cannot_be_trained_with_is_told_before(tmp_path: Path) -> None:
    AutoencoderTiny(**TINY_BLOCKS).save_pretrained(tmp_path / "vae")
    with pytest.raises(ModelFolderError, match=r"AutoencoderKL.*AutoencoderTiny"):
        modules.load("vae", tmp_path)
    with pytest.raises(ModelFolderError, match=r"unet.config\.json"):
        modules.load("unet", tmp_path)


def test_what_no_stage_trains_comes_along_with_the_licence(toy_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(toy_folder, source)
    write_toy_checker(source, unsafe=[])
    (source / "README.md").write_text("---\nlicense: creativeml-openrail-m\n---\nA card.\n", "utf-8")
    made = tmp_path / "made"
    shutil.copytree(toy_folder, made)
    modules.keep_untrained(source, made)
    open_to_diffusers(made)
    assert folder_licence(made) == folder_licence(source) and folder_licence(made)["licence"] == OPENRAIL
    assert Pipeline.load(made, "cpu", "float32").safety_checker is not None
    modules.keep_untrained(tmp_path / "nothing", tmp_path / "plain")
    assert not (tmp_path / "plain").exists(), "of a folder that says nothing nothing is said"
