"""SDXL on a toy folder: our latents are those of diffusers' own pipelines, on the same noise."""

import json
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoTokenizer, CLIPTextConfig, CLIPTextModelWithProjection

from jsd import Pipeline
from jsd.errors import ModelFolderError
from jsd.images.tensors import image_to_tensor
from jsd.models.tokenizer_json import write_tokenizer_json
from jsd.prompting.prompts import read_prompt
from jsd.sampling import initial_noise, noise_generators
from jsd.schedulers import SCHEDULERS
from tests.test_parity import BEGIN_OTHERWISE, NOISE_SCHEDULE, REFERENCES, quadrature, warmed
from tests.toy_folder import train_vocabulary
from tests.toy_sdxl import WIDTHS, write_toy_sdxl_folder

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS = 8
__all__ = ["quadrature"]  # a fixture of every test here too
REQUEST: dict[str, Any] = {"num_inference_steps": STEPS, "guidance_scale": 5.0, "seed": 3, "num_outputs": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_toy_sdxl_folder(tmp_path_factory.mktemp("models") / "toy-sdxl")
    for name in ("tokenizer", "tokenizer_2"):
        write_tokenizer_json(folder / name)
    return folder


@pytest.fixture(scope="module")
def pipeline(folder: Path) -> Pipeline:
    pipeline = Pipeline.load(folder, device="cpu", dtype="float32")
    with torch.no_grad():
        # No spread: diffusers samples the picture's latents, we take their mean.
        pipeline.vae.quant_conv.weight[4:] = 0
        pipeline.vae.quant_conv.bias[4:] = -30
    return pipeline


def reference(pipeline: Pipeline, folder: Path, kind: str, scheduler: str, prompt: str, **inputs: Any) -> torch.Tensor:
    module, class_name, arguments = REFERENCES[scheduler]
    theirs = getattr(diffusers, kind)(
        vae=pipeline.vae,
        text_encoder=pipeline.text_encoder,
        text_encoder_2=pipeline.text_encoder_2,
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        tokenizer_2=AutoTokenizer.from_pretrained(folder / "tokenizer_2"),
        unet=pipeline.unet,
        scheduler=getattr(import_module(f"diffusers.schedulers.scheduling_{module}"), class_name)(
            **NOISE_SCHEDULE, **arguments
        ),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    theirs.set_progress_bar_config(disable=True)
    values = {"num_inference_steps": STEPS, "guidance_scale": 5.0, "output_type": "latent"}
    values |= {"eta": 0.3} if scheduler == "TCD" else {}  # its own default, which these pipelines override
    latents: torch.Tensor = theirs(prompt=prompt, num_images_per_prompt=2, **(values | inputs)).images
    return latents


def ours(pipeline: Pipeline, prompt: str, **values: Any) -> torch.Tensor:
    from jsd import SamplingOptions

    job = pipeline.prepare(SamplingOptions(prompt=prompt, **REQUEST, **values))
    pipeline.run(job, progress=False)
    return job.latents


@pytest.mark.parametrize(
    ("scheduler", "negative"), [*((name, "") for name in SCHEDULERS), ("DDIM", "夏の海"), ("KarrasDPM", "夏の海")]
)
def test_text_to_image(scheduler: str, negative: str, pipeline: Pipeline, folder: Path) -> None:
    noise = initial_noise(noise_generators([3, 4]), (4, 8, 8))
    # An absent negative prompt is zeros, an empty one is not: what our "" means is the first.
    expected = reference(
        pipeline, folder, "StableDiffusionXLPipeline", scheduler, "猫の肖像画 油絵",
        negative_prompt=negative or None, latents=noise, generator=warmed(),
    )  # fmt: skip
    found = ours(pipeline, "猫の肖像画 油絵", negative_prompt=negative, scheduler=scheduler)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_the_pictures_are_diffusers_own(pipeline: Pipeline, folder: Path) -> None:
    noise = initial_noise(noise_generators([3, 4]), (4, 8, 8))
    expected = reference(
        pipeline, folder, "StableDiffusionXLPipeline", "DDIM", "猫", latents=noise, output_type="np"
    )  # (2, H, W, 3)
    drawn = pipeline.generate("猫", scheduler="DDIM", **REQUEST)
    found = np.stack([np.asarray(picture.image, dtype=float) for picture in drawn])
    assert np.abs(found - 255 * np.asarray(expected)).max() <= 2


def test_other_sizes(pipeline: Pipeline, folder: Path) -> None:
    noise = initial_noise(noise_generators([3, 4]), (4, 8, 12))
    expected = reference(
        pipeline, folder, "StableDiffusionXLPipeline", "K_EULER", "猫", width=48, height=32, latents=noise
    )
    found = ours(pipeline, "猫", scheduler="K_EULER", width=48, height=32)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder: (folder / "text_encoder_2" / "model.safetensors").unlink(), "text_encoder_2"),
        (lambda folder: shutil.rmtree(folder / "text_encoder_2"), "addition_embed_type"),
        (lambda folder: change_json(folder / "unet" / "config.json", addition_time_embed_dim=4), "projection"),
        (lambda folder: change_json(folder / "unet" / "config.json", cross_attention_dim=32), r"attn2\."),
        (lambda folder: change_json(folder / "text_encoder_2" / "config.json", projection_dim=8), "text_projection"),
        (lambda folder: (folder / "text_encoder_2" / "config.json").write_text("[]"), "text_encoder_2"),
        (lambda folder: (folder / "tokenizer" / "spiece.model").unlink(), "spiece.model"),
        (lambda folder: fewer_words(folder / "text_encoder_2"), "text_encoder_2 vocab_size is 20"),
        (lambda folder: train_vocabulary(folder / "tokenizer_2", ["犬と海"]), "tokenizer_2"),
    ],
)
def test_a_damaged_folder_is_named(change: Any, named: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "damaged")
    change(tmp_path / "damaged")
    with pytest.raises(ModelFolderError, match=named):
        Pipeline.load(tmp_path / "damaged")


def test_long_prompts_emphasis_and_a_lora_of_the_second_encoder(pipeline: Pipeline, tmp_path: Path) -> None:
    module = "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj"
    width = WIDTHS[1]
    torch.manual_seed(0)
    tensors = {f"{module}.lora_A.weight": torch.randn(1, width), f"{module}.lora_B.weight": torch.randn(width, 1)}
    save_file(tensors, tmp_path / "a.safetensors")
    values: dict[str, Any] = {"num_inference_steps": 2, "seed": 0}
    drawn = [
        pipeline.generate(prompt, loras=loras, **values)[0].image.tobytes()
        for prompt in ("猫、桜、" * 10, "(猫:1.3)、桜、" * 10)
        for loras in ([], [str(tmp_path / "a.safetensors")])
    ]
    pipeline.adapters.apply([])
    assert len(set(drawn)) == 4


def test_a_weight_is_laid_on_each_encoder_by_itself(pipeline: Pipeline) -> None:
    """As the web UI does: neither's mean is restored by the other's."""
    reading = read_prompt(pipeline.tokenizer, "(猫:1.5)と桜", "prompt")
    embeddings, _ = pipeline.text_encoders.encode([reading], 1)
    plain, _ = pipeline.text_encoders.encode([read_prompt(pipeline.tokenizer, "猫と桜", "prompt")], 1)
    first = 0
    for width in WIDTHS:
        one, other = (each[..., first : first + width] for each in (embeddings, plain))
        assert one.mean().item() == pytest.approx(other.mean().item(), rel=1e-4)
        first += width


def fewer_words(folder: Path) -> None:
    config = CLIPTextConfig.from_pretrained(folder)
    config.vocab_size = 20
    CLIPTextModelWithProjection(config).save_pretrained(folder)


def change_json(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


PHOTO = Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8))
# In the file's own sense: those that begin in the middle as diffusers' do (tests/test_parity.py).
MIDDLE = [name for name in SCHEDULERS if name not in BEGIN_OTHERWISE]


@pytest.mark.parametrize(
    ("scheduler", "strength", "is_masked"),
    [
        *((name, 0.5, False) for name in MIDDLE),
        *((name, 0.5, True) for name in MIDDLE),
        *((name, 1.0, True) for name in ("DDIM", "K_EULER_ANCESTRAL", "LCM")),
    ],
)
def test_from_a_picture(scheduler: str, strength: float, is_masked: bool, pipeline: Pipeline, folder: Path) -> None:
    # Latents instead of pixels: then the first draw of a generator is the noise, for diffusers too.
    latents = pipeline.encode_image(image_to_tensor(PHOTO))
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (8, 4, 24, 32))  # on whole latents
    inputs: dict[str, Any] = {"strength": strength, "generator": noise_generators([3, 4])}
    if is_masked:
        kind = "StableDiffusionXLInpaintPipeline"
        inputs |= {"image": latents, "mask_image": mask, "masked_image_latents": latents, "height": 32, "width": 32}
    else:
        kind = "StableDiffusionXLImg2ImgPipeline"
        inputs |= {"image": latents.repeat(2, 1, 1, 1)}
    expected = reference(pipeline, folder, kind, scheduler, "猫", **inputs)
    given = {"image": PHOTO, "mask": mask if is_masked else None, "prompt_strength": strength}
    found = ours(pipeline, "猫", scheduler=scheduler, **given)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
