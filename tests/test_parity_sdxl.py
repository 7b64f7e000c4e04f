"""SDXL on a toy folder: our latents are those of diffusers' own pipelines, on the same noise."""

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from transformers import AutoTokenizer, CLIPTextModel, CLIPTextModelWithProjection

from jsd import Pipeline
from jsd.images.tensors import image_to_tensor
from jsd.models.tokenizer_json import write_tokenizer_json
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.sampling import initial_noise, noise_generators
from tests.test_parity import NOISE_SCHEDULE, REFERENCES
from tests.toy_sdxl import write_toy_sdxl_folder

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS = 8
REQUEST: dict[str, Any] = {"num_inference_steps": STEPS, "guidance_scale": 5.0, "seed": 3, "num_outputs": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_toy_sdxl_folder(tmp_path_factory.mktemp("models") / "toy-sdxl")
    for name in ("tokenizer", "tokenizer_2"):
        write_tokenizer_json(folder / name)
    return folder


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Pipeline:
    pipeline = Pipeline(
        tokenizer=JapaneseTokenizer.load(folder / "tokenizer"),
        text_encoder=CLIPTextModel.from_pretrained(folder / "text_encoder").eval(),
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(folder / "text_encoder_2").eval(),
        unet=UNet2DConditionModel.from_pretrained(folder / "unet").eval(),
        vae=AutoencoderKL.from_pretrained(folder / "vae").eval(),
        scheduler_config=NOISE_SCHEDULE | {"num_train_timesteps": 1000},
        zero_empty_negative=True,
        folder=folder,
    )
    with torch.no_grad():
        # No spread: diffusers samples the picture's latents, we take their mean.
        pipeline.vae.quant_conv.weight[4:] = 0
        pipeline.vae.quant_conv.bias[4:] = -30
    return pipeline


def reference(pipeline: Pipeline, folder: Path, kind: str, scheduler: str, prompt: str, **inputs: Any) -> torch.Tensor:
    _module, class_name, arguments = REFERENCES[scheduler]
    theirs = getattr(diffusers, kind)(
        vae=pipeline.vae,
        text_encoder=pipeline.text_encoder,
        text_encoder_2=pipeline.text_encoder_2,
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=AutoTokenizer.from_pretrained(folder / "tokenizer_2"),
        unet=pipeline.unet,
        scheduler=getattr(diffusers, class_name)(**NOISE_SCHEDULE, **arguments),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    theirs.set_progress_bar_config(disable=True)
    latents: torch.Tensor = theirs(
        prompt=prompt,
        num_images_per_prompt=2,
        num_inference_steps=STEPS,
        guidance_scale=5.0,
        output_type="latent",
        **inputs,
    ).images
    return latents


def ours(pipeline: Pipeline, prompt: str, **values: Any) -> torch.Tensor:
    from jsd import SamplingOptions

    job = pipeline.prepare(SamplingOptions(prompt=prompt, **REQUEST, **values))
    pipeline.run(job, progress=False)
    return job.latents


@pytest.mark.parametrize("negative", ["", "夏の海"])
@pytest.mark.parametrize("scheduler", ["DDIM", "DPMSolverMultistep", "K_EULER", "PNDM", "HeunDiscrete", "KarrasDPM"])
def test_text_to_image(scheduler: str, negative: str, pipeline: Pipeline, folder: Path) -> None:
    noise = initial_noise(noise_generators([3, 4]), (4, 8, 8))
    # An absent negative prompt is zeros, an empty one is not: what our "" means is the first.
    expected = reference(
        pipeline, folder, "StableDiffusionXLPipeline", scheduler, "猫の肖像画 油絵",
        negative_prompt=negative or None, latents=noise,
    )  # fmt: skip
    found = ours(pipeline, "猫の肖像画 油絵", negative_prompt=negative, scheduler=scheduler)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_other_sizes(pipeline: Pipeline, folder: Path) -> None:
    noise = initial_noise(noise_generators([3, 4]), (4, 8, 12))
    expected = reference(
        pipeline, folder, "StableDiffusionXLPipeline", "K_EULER", "猫", width=48, height=32, latents=noise
    )
    found = ours(pipeline, "猫", scheduler="K_EULER", width=48, height=32)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_image_to_image(pipeline: Pipeline, folder: Path) -> None:
    # Latents instead of pixels: then the first draw of a generator is the noise, for diffusers too.
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8))
    latents, generator = pipeline.encode_image(image_to_tensor(photo)).repeat(2, 1, 1, 1), noise_generators([3, 4])
    inputs = {"image": latents, "strength": 0.5, "generator": generator}
    expected = reference(pipeline, folder, "StableDiffusionXLImg2ImgPipeline", "DDIM", "猫", **inputs)
    found = ours(pipeline, "猫", scheduler="DDIM", image=photo, prompt_strength=0.5)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
