"""Colours from latents: what is fitted, stored and drawn."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import jsd.preview
from jsd.cli import main
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.pipeline import Pipeline
from jsd.preview import PreviewMap, fit_preview, load_preview, read_pictures
from jsd.sampling import predict_original
from jsd.schedulers import make_scheduler


def colour_vae(factor: int, channels: int) -> Callable[[Tensor], Tensor]:
    """An encoder whose latents are a linear picture of the colours, with channels that say nothing."""
    mixing = torch.randn(channels, 3, generator=torch.Generator().manual_seed(0))

    def encode(pixel_values: Tensor) -> Tensor:
        mean = torch.nn.functional.avg_pool2d(pixel_values, factor)  # (1, 3, h, w)
        return torch.einsum("ck,bkhw->bchw", mixing, mean) + 0.3

    return encode


def a_map(factor: int = 4, channels: int = 4) -> PreviewMap:
    colours = [Image.new("RGB", (16, 16), name) for name in ("red", "lime", "blue", "white")]
    return fit_preview(colour_vae(factor, channels), colours)


@pytest.mark.parametrize(("factor", "channels"), [(4, 4), (8, 4), (2, 16)])
def test_a_linear_vae_is_inverted(factor: int, channels: int) -> None:
    assert inverts(a_map(factor, channels), factor, channels)


def inverts(fitted: PreviewMap, factor: int, channels: int) -> bool:
    pixel_values = torch.tensor([200, 30, 10])[None, :, None, None].expand(1, 3, 2 * factor, 4 * factor) / 127.5 - 1
    drawn = fitted.draw(colour_vae(factor, channels)(pixel_values))
    is_near = all(abs(a - b) <= 1 for a, b in zip(drawn.getpixel((1, 1)), (200, 30, 10), strict=True))
    return is_near and drawn.size == (4, 2) and fitted.error < 1e-4


def test_a_batch_is_side_by_side() -> None:
    latents = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    drawn = a_map().draw(latents)
    assert drawn.size == (18, 5)
    assert drawn.crop((6, 0, 12, 5)).tobytes() == a_map().draw(latents[1:2]).tobytes()


def test_it_is_read_as_it_was_written_for_latents_of_its_kind(tmp_path: Path) -> None:
    fitted = a_map()
    fitted.save(tmp_path)
    read = PreviewMap.load(tmp_path, 4)
    assert torch.equal(read.weight, fitted.weight) and torch.equal(read.bias, fitted.bias)
    assert read.error == fitted.error
    with pytest.raises(ModelFolderError, match="16 latent channels"):
        PreviewMap.load(tmp_path, 16)


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"weight": 1}', '{"weight": [[1]], "bias": [1], "error": 0}', None]
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "preview.json"
    path.symlink_to("/dev/zero") if text is None else path.write_text(text)
    with pytest.raises(ModelFolderError, match=r"preview\.json"):
        PreviewMap.load(tmp_path, 4)


def test_a_folder_without_one_has_it_fitted_to_a_picture_of_many_colours(
    toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline.load(toy_folder)
    assert load_preview(pipeline).weight.shape == (3, 4)
    linear = colour_vae(pipeline.size_limits.factor, 4)
    monkeypatch.setattr(Pipeline, "encode_image", lambda _, pixel_values: linear(pixel_values))
    assert inverts(load_preview(pipeline), pipeline.size_limits.factor, 4)
    assert not (toy_folder / "preview.json").exists(), "nothing is written into somebody's model folder unasked"


def test_pictures_of_a_folder_have_the_models_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match=r"\.png"):
        list(read_pictures(tmp_path, (8, 8)))
    for number in range(5):
        Image.new("L", (20 + number, 30), number).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    monkeypatch.setattr(jsd.preview, "MAX_PICTURES", 3)
    pictures = list(read_pictures(tmp_path, (8, 8)))
    assert [(one.mode, one.size, one.getpixel((0, 0))[0]) for one in pictures] == [
        ("RGB", (8, 8), number) for number in (0, 1, 3)
    ]


def test_the_command_writes_it_into_the_folder_which_uses_it(
    make_toy_folder: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_toy_folder(latent_channels=8)
    Image.effect_noise((40, 40), 50).save(tmp_path / "a.png")
    assert main(["weights", "preview", str(folder), str(tmp_path)]) == 0
    assert str(folder / "preview.json") in capsys.readouterr().out
    assert torch.equal(load_preview(Pipeline.load(folder)).weight, PreviewMap.load(folder, 8).weight)
    assert main(["weights", "verify", str(folder)]) == 0, "the folder must still be whole"


@pytest.mark.parametrize("name", ["DDIM", "K_EULER", "K_EULER_ANCESTRAL"])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_the_predicted_original_is_the_schedulers_own(name: str, prediction_type: str) -> None:
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    scheduler = make_scheduler(name, {**config, "prediction_type": prediction_type}, 5)
    latents, output = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    latents, t = latents * scheduler.init_noise_sigma, scheduler.timesteps[0]
    sample = scheduler.scale_model_input(latents, t)
    expected = copy.deepcopy(scheduler).step(output, t, latents).pred_original_sample
    torch.testing.assert_close(predict_original(scheduler, sample, output, float(t)), expected, rtol=1e-3, atol=1e-3)
