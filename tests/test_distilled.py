"""A model distilled together with its guidance (LCM): it is told the scale, and draws as diffusers' own pipeline."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import LatentConsistencyModelPipeline, LCMScheduler
from encoding import encode_prompt
from PIL import Image

from jsd.models.folder import verify_folder
from jsd.models.single import write_single
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.sampling import initial_noise, noise_generators

# What diffusers says to itself when it hands tensors to numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OPTIONS = SamplingOptions(
    prompt="猫", scheduler="LCM", num_inference_steps=4, guidance_scale=8.5, seed=3, num_outputs=2, upscale=1
)
Make = Callable[..., Path]


@pytest.mark.parametrize("width", [16, 17])
def test_the_pictures_are_diffusers_own(width: int, make_toy_folder: Make) -> None:
    ours = Pipeline.load(make_toy_folder(time_cond_proj_dim=width), device="cpu", dtype="float32")
    theirs = LatentConsistencyModelPipeline(
        vae=ours.vae,
        text_encoder=ours.text_encoder,
        tokenizer=None,
        unet=ours.unet,
        scheduler=LCMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    theirs.set_progress_bar_config(disable=True)
    generators = noise_generators([3, 4])
    expected = theirs(
        prompt_embeds=encode_prompt(ours, ["猫"] * 2),
        latents=initial_noise(generators, (4, 8, 8)),
        generator=generators,
        num_inference_steps=4,
        guidance_scale=8.5,
        output_type="np",
    ).images  # (2, H, W, 3) in [0, 1]
    drawn = np.stack([np.asarray(picture.image, dtype=float) for picture in ours.generate(OPTIONS)])
    assert np.abs(drawn - 255 * expected).max() <= 2
    (other,) = ours.generate(replace(OPTIONS, guidance_scale=1, num_outputs=1))
    assert np.abs(np.asarray(other.image, dtype=float) - drawn[0]).max() > 2, "1 is a scale that it is told as well"


def test_it_is_asked_once_a_step_and_says_what_it_does_not_use(make_toy_folder: Make) -> None:
    pipeline = Pipeline.load(make_toy_folder(time_cond_proj_dim=16))
    rows: list[int] = []
    pipeline.unet.register_forward_pre_hook(lambda _unet, given: rows.append(len(given[0])))
    unused: dict[str, Any] = {"negative_prompt": "海", "guidance_end": 0.5, "scheduler": "DDIM"}
    pictures = [
        (picture, {note.code for note in picture.notes})
        for values in ({}, unused, unused | {"image": Image.new("RGB", (32, 32), "red")})
        for picture in pipeline.generate(replace(OPTIONS, num_outputs=1, **values))
    ]
    assert set(rows) == {1}
    told = {"guidance.distilled", "scheduler.distilled_model", "scheduler.wants_distilled"}
    assert [codes & told for _picture, codes in pictures] == [set(), *[told - {"scheduler.wants_distilled"}] * 2]


@pytest.mark.parametrize("value", [0, 2, 16.0, True, "16"])
def test_a_width_of_no_use_is_named(value: object, make_toy_folder: Make) -> None:
    folder = make_toy_folder(time_cond_proj_dim=16)
    path = folder / "unet" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"time_cond_proj_dim": value}), "utf-8")
    assert "time_cond_proj_dim" in "".join(map(str, verify_folder(folder)))


def test_it_has_no_place_in_a_single_file(make_toy_folder: Make, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="cond_proj"):
        write_single(make_toy_folder(time_cond_proj_dim=16), tmp_path / "one.safetensors", "float32")
