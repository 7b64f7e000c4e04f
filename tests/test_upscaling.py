"""Pictures larger than the model draws them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jsd import Pipeline, SamplingOptions, upscaling
from jsd.errors import ModelFolderError
from jsd.models.record import folder_record
from jsd.models.upscaler import Upscaler


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    torch.manual_seed(0)
    return Upscaler(channels=8, num_blocks=2).eval()


@pytest.fixture(scope="module")
def folder(toy_folder: Path, upscaler: Upscaler, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy model with an upscaler."""
    copy = tmp_path_factory.mktemp("upscaled") / "toy"
    shutil.copytree(toy_folder, copy)
    upscaler.save_pretrained(copy / "upscaler")
    return copy


OPTIONS = SamplingOptions(prompt="猫", seed=3, num_inference_steps=2)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_tiles_give_the_same_as_the_whole(upscaler: Upscaler, factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(1, 3, 50, 71, generator=torch.Generator().manual_seed(1))
    whole = upscaling.enlarge(upscaler, images, factor)
    monkeypatch.setattr(upscaling, "TILE_PX", 16)
    tiles = upscaling.enlarge(upscaler, images, factor)
    assert whole.shape == (1, 3, factor * 50, factor * 71)
    assert torch.allclose(whole, tiles, atol=1e-5)


def test_what_the_network_adds_to_is_the_picture(upscaler: Upscaler) -> None:
    flat = torch.full((1, 3, 32, 32), 0.25)
    torch.nn.init.zeros_(upscaler.tail.weight)
    bias = upscaler.tail.bias.data.clone()
    upscaler.tail.bias.data.zero_()
    assert torch.allclose(upscaling.enlarge(upscaler, flat, 4), torch.full((1, 3, 128, 128), 0.25))
    torch.nn.init.normal_(upscaler.tail.weight, std=0.1)
    upscaler.tail.bias.data.copy_(bias)


def test_a_model_that_brings_an_upscaler_uses_it(folder: Path) -> None:
    pipeline = Pipeline.load(folder, "cpu", "float32")
    (drawn,) = pipeline.generate(OPTIONS, upscale=1)
    (large,) = pipeline.generate(OPTIONS)
    (again,) = pipeline.generate(large.options)
    expected = upscaling.enlarge_image(pipeline.upscaler, drawn.image, 4)
    assert (drawn.image.size, large.image.size, large.options.upscale) == ((32, 32), (128, 128), 4)
    assert (large.options.width, large.options.height) == (32, 32)
    assert large.image.tobytes() == expected.tobytes() == again.image.tobytes()
    assert large.notes == ()


@pytest.mark.filterwarnings("ignore::jsd.errors.Note")
def test_without_an_upscaler_a_filter_enlarges_and_that_is_said(toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder, "cpu", "float32")
    (drawn,), (large,) = pipeline.generate(OPTIONS), pipeline.generate(OPTIONS, upscale=3)
    assert (drawn.image.size, drawn.options.upscale, drawn.notes) == ((32, 32), 1, ())
    assert large.image.size == (96, 96)
    assert [note.code for note in large.notes] == ["upscale.filter"]
    assert np.abs(np.asarray(large.image.resize((32, 32), Image.Resampling.BOX), float) - drawn.image).mean() < 8


@pytest.mark.parametrize("side", [32, 96, 128])
def test_what_is_not_repainted_stays_where_it_is_large_enough_else_is_enlarged(folder: Path, side: int) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))
    mask = Image.new("L", (side, side))
    mask.paste(255, (0, 0, side // 4, side // 4))
    pipeline = Pipeline.load(folder, "cpu", "float32")
    (drawn,) = pipeline.generate(OPTIONS, image=picture, mask=mask)
    assert drawn.image.size == (128, 128)
    expected = np.asarray(
        upscaling.enlarge_image(pipeline.upscaler, picture, 4)
        if side == 32
        else picture.resize((128, 128), Image.Resampling.LANCZOS)
    )
    assert np.array_equal(np.asarray(drawn.image)[96:, 96:], expected[96:, 96:])


def test_the_upscaler_has_a_digest_of_its_own_and_is_verified(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "toy"
    shutil.copytree(folder, copy)
    torch.manual_seed(1)
    Upscaler(channels=8, num_blocks=2).save_pretrained(copy / "upscaler")
    one, other = folder_record(copy), folder_record(folder)
    assert one["model_sha256"] == other["model_sha256"] and one["upscaler_sha256"] != other["upscaler_sha256"]
    (copy / "upscaler" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match="upscaler"):
        Pipeline.load(copy)
