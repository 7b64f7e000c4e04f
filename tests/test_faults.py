"""A model that computes nonsense, or has no memory left: an error, never a picture."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from jsd.errors import GenerationError
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.preview import load_preview
from jsd.vae import decode_latents

OPTIONS = SamplingOptions(prompt="サラリーマン 油絵", num_inference_steps=2, seed=0)


def test_an_overflow_of_the_vae_in_half_precision_is_decoded_again(toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")
    with torch.no_grad():
        pipeline.vae.decoder.conv_in.weight *= 1e5
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = pipeline.decode_latents(latents)
    pipeline.vae.half()
    assert not torch.isfinite(pipeline.vae.decode(latents.half()).sample).all(), "the weights do not overflow"
    images = pipeline.decode_latents(latents)
    assert pipeline.vae.dtype == torch.float16, "the VAE must stay in its own format"
    torch.testing.assert_close(images, expected, atol=0.02, rtol=0)


def test_what_is_not_finite_in_float32_either_is_an_error(toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")
    with torch.no_grad():
        pipeline.vae.decoder.conv_in.weight.fill_(math.inf)
    with pytest.raises(GenerationError, match="VAE"):
        pipeline.generate(OPTIONS)


def test_latents_that_are_not_finite_are_an_error(toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")
    with torch.no_grad():
        pipeline.unet.conv_out.weight.fill_(math.inf)
    with pytest.raises(GenerationError, match="UNet"):
        pipeline.generate(OPTIONS)


@pytest.mark.parametrize("level", [-2, -0.999])
@pytest.mark.parametrize("image", [None, Image.new("RGB", (32, 32), "white")])
def test_a_black_picture_is_an_error(toy_folder: Path, level: float, image: Image.Image | None) -> None:
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")
    with torch.no_grad():
        pipeline.vae.decoder.conv_out.weight.zero_()
        pipeline.vae.decoder.conv_out.bias.fill_(level)
    with pytest.raises(GenerationError, match="black"):
        pipeline.generate(replace(OPTIONS, image=image))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
@pytest.mark.parametrize("part", ["text_encoder", "vae.encoder", "unet", "vae.decoder"])
def test_running_out_of_memory_is_told_with_a_remedy(toy_folder: Path, part: str, error: RuntimeError) -> None:
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")

    def full(*_: object) -> None:
        raise error

    component, _, layer = part.partition(".")
    getattr(pipeline, component).get_submodule(layer).register_forward_pre_hook(full)
    with pytest.raises(GenerationError, match="fewer outputs"):
        pipeline.generate(replace(OPTIONS, image=Image.new("RGB", (32, 32), "white")))


def test_a_model_that_does_not_fit_is_told_with_a_remedy(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("jsd.models.components._fill", full)
        with pytest.raises(GenerationError, match="a smaller model"):
            Pipeline.load(toy_folder, device="cpu", dtype="float32")
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")
    pipeline.vae.encoder.register_forward_pre_hook(full)
    with pytest.raises(GenerationError, match="memory"):
        load_preview(pipeline)


def test_another_runtime_error_is_not_called_one_of_memory(toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder, device="cpu", dtype="float32")
    pipeline.unet.conv_in = torch.nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match="shapes"):
        pipeline.generate(OPTIONS)


def test_a_vae_that_was_left_half_in_float32_decodes_as_before(toy_folder: Path) -> None:
    """Cog cancels between any two instructions."""
    decoder = Pipeline.load(toy_folder, device="cpu", dtype="bfloat16").vae
    latents = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(0))
    before = decode_latents(decoder, latents)
    for parameter in list(decoder.parameters())[::2]:
        parameter.data = parameter.data.float()
    assert torch.equal(decode_latents(decoder, latents), before)
    assert {one.dtype for one in decoder.parameters()} == {torch.bfloat16}
