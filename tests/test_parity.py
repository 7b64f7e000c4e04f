"""Our latents are those of diffusers' own pipelines, on the same folder, embeddings and noise."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.schedulers import scheduling_lms_discrete
from encoding import encode_prompt
from PIL import Image
from torch import Tensor

from jsd.images.tensors import image_to_tensor
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.sampling import initial_noise, noise_generators
from jsd.schedulers import SCHEDULERS

# What diffusers says to itself when it hands tensors to numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (4, 8, 8)
NOISE_SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
# Written out here, not taken from jsd.schedulers: module, class, Stable Diffusion's arguments.
REFERENCES: dict[str, tuple[str, str, dict[str, object]]] = {
    "DDIM": ("ddim", "DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}),
    "DPMSolverMultistep": ("dpmsolver_multistep", "DPMSolverMultistepScheduler", {"steps_offset": 1}),
    "K_EULER": ("euler_discrete", "EulerDiscreteScheduler", {"steps_offset": 1}),
    "K_EULER_ANCESTRAL": ("euler_ancestral_discrete", "EulerAncestralDiscreteScheduler", {"steps_offset": 1}),
    "PNDM": ("pndm", "PNDMScheduler", {"skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}),
    "KLMS": ("lms_discrete", "LMSDiscreteScheduler", {"steps_offset": 1}),
    "HeunDiscrete": ("heun_discrete", "HeunDiscreteScheduler", {"clip_sample": False, "steps_offset": 1}),
    "KarrasDPM": ("dpmsolver_multistep", "DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "steps_offset": 1}),
    "LCM": ("lcm", "LCMScheduler", {"steps_offset": 1}),
    "TCD": ("tcd", "TCDScheduler", {"steps_offset": 1}),
    "DDIM_TRAILING": (
        "ddim",
        "DDIMScheduler",
        {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1, "timestep_spacing": "trailing"},
    ),
}
# From a picture these two begin as diffusers' do not: `test_closed_form.py` is their judge.
BEGIN_OTHERWISE = ("KLMS", "PNDM")
# 1000 / 8 is whole: elsewhere DDIM and PNDM have timesteps of their own.
OPTIONS = SamplingOptions(
    prompt="猫の肖像画 油絵", negative_prompt="夏の海", num_inference_steps=8, guidance_scale=7.5, seed=3, num_outputs=2
)


@pytest.fixture(scope="module")
def pipeline(toy_folder: Path) -> Pipeline:
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")
    with torch.no_grad():
        # No spread: diffusers samples the picture's latents, we take their mean.
        pipeline.vae.quant_conv.weight[SHAPE[0] :] = 0
        pipeline.vae.quant_conv.bias[SHAPE[0] :] = -30
    return pipeline


@pytest.fixture(autouse=True)
def quadrature(monkeypatch: pytest.MonkeyPatch) -> None:
    """What LMSDiscreteScheduler wants of scipy, which this project does without: an integral, by sums."""

    def quad(function: Callable[[Any], Any], start: float, end: float, epsrel: float) -> tuple[float]:
        points = np.linspace(float(start), float(end), 201)
        return (float(np.trapezoid([float(function(point)) for point in points], points)),)

    monkeypatch.setattr(scheduling_lms_discrete, "integrate", SimpleNamespace(quad=quad), raising=False)


def test_every_scheduler_has_a_reference() -> None:
    assert REFERENCES.keys() == SCHEDULERS.keys()


def reference(pipeline: Pipeline, name: str, class_name: str, **inputs: Any) -> Tensor:
    import diffusers

    module, scheduler_class, arguments = REFERENCES[name]
    module = import_module(f"diffusers.schedulers.scheduling_{module}")
    scheduler = getattr(module, scheduler_class)(**NOISE_SCHEDULE, **arguments)
    theirs = getattr(diffusers, class_name)(
        vae=pipeline.vae,
        text_encoder=pipeline.text_encoder,
        tokenizer=None,
        unet=pipeline.unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    theirs.set_progress_bar_config(disable=True)
    latents: Tensor = theirs(
        prompt_embeds=encode_prompt(pipeline, [OPTIONS.prompt] * 2),
        negative_prompt_embeds=encode_prompt(pipeline, [OPTIONS.negative_prompt] * 2),
        guidance_scale=OPTIONS.guidance_scale,
        output_type="latent",
        eta=0.3 if name == "TCD" else 0.0,  # its own default, which these pipelines override
        **({"num_inference_steps": OPTIONS.num_inference_steps} | inputs),
    ).images
    return latents


def ours(pipeline: Pipeline, options: SamplingOptions) -> Tensor:
    job = pipeline.prepare(options)
    for _ in pipeline.denoise(job):
        pass
    return job.latents


def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8))


def warmed() -> list[torch.Generator]:
    """Generators as they are after the initial noise has been drawn."""
    generators = noise_generators([3, 4])
    initial_noise(generators, SHAPE)
    return generators


@pytest.mark.parametrize("name", SCHEDULERS)
def test_text_to_image(name: str, pipeline: Pipeline) -> None:
    noise = initial_noise(noise_generators([3, 4]), SHAPE)
    expected = reference(pipeline, name, "StableDiffusionPipeline", latents=noise, generator=warmed())
    torch.testing.assert_close(ours(pipeline, replace(OPTIONS, scheduler=name)), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("strength", [0.5, 0.9])
@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in BEGIN_OTHERWISE])
def test_image_to_image(name: str, strength: float, pipeline: Pipeline) -> None:
    # Latents instead of pixels: then the first draw of a generator is the noise, for diffusers too.
    latents = pipeline.encode_image(image_to_tensor(photo())).repeat(2, 1, 1, 1)
    expected = reference(
        pipeline,
        name,
        "StableDiffusionImg2ImgPipeline",
        image=latents,
        strength=strength,
        generator=noise_generators([3, 4]),
    )
    options = replace(OPTIONS, scheduler=name, image=photo(), prompt_strength=strength)
    torch.testing.assert_close(ours(pipeline, options), expected, rtol=0, atol=1e-4)


def test_a_start_among_equal_timesteps(pipeline: Pipeline) -> None:
    """Karras' last noise levels round to the same timesteps: where to start must be told by position."""
    changes: dict[str, Any] = {"num_inference_steps": 100, "prompt_strength": 0.1}
    latents = pipeline.encode_image(image_to_tensor(photo())).repeat(2, 1, 1, 1)
    expected = reference(
        pipeline,
        "KarrasDPM",
        "StableDiffusionImg2ImgPipeline",
        image=latents,
        strength=0.1,
        num_inference_steps=100,
        generator=noise_generators([3, 4]),
    )
    options = replace(OPTIONS, scheduler="KarrasDPM", image=photo(), **changes)
    torch.testing.assert_close(ours(pipeline, options), expected, rtol=0, atol=1e-4)


def test_a_picture_is_encoded_as_diffusers_does(pipeline: Pipeline) -> None:
    from diffusers.image_processor import VaeImageProcessor

    pixels = VaeImageProcessor(vae_scale_factor=4).preprocess(photo())
    torch.testing.assert_close(image_to_tensor(photo()), pixels, rtol=0, atol=1e-6)
    with torch.no_grad():
        expected = pipeline.vae.encode(pixels).latent_dist.sample() * pipeline.vae.config.scaling_factor
    torch.testing.assert_close(pipeline.encode_image(pixels), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        (name, strength)
        for name in SCHEDULERS
        for strength in (0.5, 1.0)
        if strength == 1 or name not in BEGIN_OTHERWISE
    ],
)
def test_inpainting(name: str, strength: float, pipeline: Pipeline) -> None:
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (8, 4, 24, 32))  # on whole latents
    latents = pipeline.encode_image(image_to_tensor(photo()))
    expected = reference(
        pipeline,
        name,
        "StableDiffusionInpaintPipeline",
        image=latents,
        mask_image=mask,
        height=32,
        width=32,
        strength=strength,
        generator=noise_generators([3, 4]),
        masked_image_latents=latents,
    )
    options = replace(OPTIONS, scheduler=name, image=photo(), mask=mask, prompt_strength=strength)
    torch.testing.assert_close(ours(pipeline, options), expected, rtol=0, atol=1e-4)
