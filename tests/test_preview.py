"""Colours from latents: what is fitted, stored and drawn."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from jsd.cli import main
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.pipeline import Pipeline
from jsd.preview import PreviewMap, fit_preview, load_preview, read_pictures, synthetic_pictures
from jsd.sampling import predict_original
from jsd.schedulers import make_scheduler

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def colour_vae(factor: int, channels: int) -> Any:
    """An encoder whose latents are a linear picture of the colours, with channels that say nothing."""
    mixing = torch.randn(channels, 3, generator=torch.Generator().manual_seed(0))

    def encode(pixel_values: Tensor) -> Tensor:
        mean = torch.nn.functional.avg_pool2d(pixel_values, factor)  # (1, 3, h, w)
        return torch.einsum("ck,bkhw->bchw", mixing, mean) + 0.3

    return encode


def a_map(channels: int = 4) -> PreviewMap:
    return fit_preview(colour_vae(4, channels), synthetic_pictures(4))


@pytest.mark.parametrize(("factor", "channels"), [(4, 4), (8, 4), (2, 16)])
def test_a_linear_vae_is_inverted(factor: int, channels: int) -> None:
    encode = colour_vae(factor, channels)
    fitted = fit_preview(encode, synthetic_pictures(factor))
    assert fitted.error < 1e-4
    red = Image.new("RGB", (4 * factor, 2 * factor), (200, 30, 10))
    pixel_values = torch.tensor([200, 30, 10])[None, :, None, None].expand(1, 3, 2 * factor, 4 * factor) / 127.5 - 1
    drawn = fitted.draw(encode(pixel_values))
    assert drawn.size == (4, 2)
    assert all(abs(a - b) <= 1 for a, b in zip(drawn.getpixel((1, 1)), red.getpixel((1, 1)), strict=True))


def test_a_batch_is_side_by_side() -> None:
    fitted = a_map()
    latents = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    drawn = fitted.draw(latents)
    assert drawn.size == (18, 5)
    assert drawn.crop((6, 0, 12, 5)).tobytes() == fitted.draw(latents[1:2]).tobytes()


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    fitted = a_map()
    fitted.save(tmp_path)
    read = PreviewMap.load(tmp_path, 4)
    assert torch.equal(read.weight, fitted.weight) and torch.equal(read.bias, fitted.bias)
    assert (read.error, read.num_pictures) == (fitted.error, fitted.num_pictures)


@pytest.mark.parametrize("text", ["", "[]", '{"weight": 1}', '{"weight": [[1]], "bias": [1], "error": 0}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "preview.json").write_text(text)
    with pytest.raises(ModelFolderError, match=r"preview\.json"):
        PreviewMap.load(tmp_path, 4)


def test_a_map_of_other_latents_is_named(tmp_path: Path) -> None:
    a_map(channels=16).save(tmp_path)
    with pytest.raises(ModelFolderError, match="4 latent channels"):
        PreviewMap.load(tmp_path, 4)


def test_the_folders_map_is_preferred(make_toy_folder: Callable[..., Path]) -> None:
    toy = make_toy_folder()
    (toy / "preview.json").write_text(json.dumps({**_values(a_map()), "num_pictures": 99}))
    assert load_preview(Pipeline.load(toy)).num_pictures == 99


def _values(fitted: PreviewMap) -> dict[str, object]:
    return {"weight": fitted.weight.tolist(), "bias": fitted.bias.tolist(), "error": fitted.error}


def test_a_folder_without_one_has_it_fitted(toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder)
    fitted = fit_preview(pipeline.encode_image, synthetic_pictures(pipeline.vae_factor))
    assert torch.equal(load_preview(pipeline).weight, fitted.weight)
    assert not (toy_folder / "preview.json").exists(), "nothing is written into somebody's model folder unasked"


def test_pictures_of_a_folder_have_the_models_size(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("L", (20 + number, 30), number).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    pictures = list(read_pictures(tmp_path, (8, 8), limit=3))
    assert [(one.mode, one.size, one.getpixel((0, 0))[0]) for one in pictures] == [
        ("RGB", (8, 8), 0),
        ("RGB", (8, 8), 1),
        ("RGB", (8, 8), 3),
    ]


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"\.png"):
        list(read_pictures(tmp_path, (8, 8)))


def test_the_command_writes_it_into_the_folder(
    make_toy_folder: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_toy_folder(latent_channels=8)
    Image.effect_noise((40, 40), 50).save(tmp_path / "a.png")
    assert main(["weights", "preview", str(folder), str(tmp_path)]) == 0
    assert "preview.json (1 pictures" in capsys.readouterr().out
    assert PreviewMap.load(folder, 8).weight.shape == (3, 8)
    assert main(["weights", "verify", str(folder)]) == 0, "the folder must still be whole"


@pytest.mark.parametrize("name", ["DDIM", "K_EULER", "K_EULER_ANCESTRAL"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_predicted_original_is_the_schedulers_own(name: str, prediction_type: str) -> None:
    scheduler = make_scheduler(name, {**CONFIG, "prediction_type": prediction_type, "clip_sample": False}, 5)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 8, 8, generator=generator) * scheduler.init_noise_sigma
    output = torch.randn(1, 4, 8, 8, generator=generator)
    t = scheduler.timesteps[0]
    sample = scheduler.scale_model_input(latents, t)
    expected = copy.deepcopy(scheduler).step(output, t, latents).pred_original_sample
    torch.testing.assert_close(predict_original(scheduler, sample, output, float(t)), expected, rtol=1e-3, atol=1e-3)
