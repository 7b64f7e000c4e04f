"""The engine openvino: the same pictures as torch's to 2 of 255, from a cache that may be missing; what it refuses."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models import UNet2DConditionModel

from cli.conftest import Jsd
from jsd import Pipeline, SamplingOptions
from jsd.errors import InvalidInputError, MissingExtraError
from jsd.models import openvino
from tests.toy_sdxl import write_toy_sdxl_folder

# Two pictures, guided within an interval: batches of four and of two; a length of two windows; a side that is no
# multiple of the UNet's own steps.
REQUEST: dict[str, Any] = {"num_inference_steps": 5, "seed": 3, "num_outputs": 2, "guidance_end": 0.5}
PROMPT = "猫の肖像画 油絵" * 4


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "jsd" / "openvino"


def draw(folder: Path, engine: str | None, **values: Any) -> "list[np.ndarray[Any, Any]]":
    pipeline = Pipeline.load(folder, "cpu", "float32", engine)
    drawn = pipeline.generate(PROMPT, **REQUEST | values)
    assert ("openvino" in drawn[0].metadata) == (pipeline.engine == "openvino"), "whose arithmetic it was"
    return [np.asarray(picture.image, dtype=int) for picture in drawn]


@pytest.mark.parametrize("write", [None, write_toy_sdxl_folder], ids=["v1", "sdxl"])
def test_the_pictures_are_torchs(
    write: Callable[[Path], Path] | None, toy_folder: Path, tmp_path: Path, cache: Path
) -> None:
    folder = toy_folder if write is None else write(tmp_path / "model")
    for size in ({}, {"width": 36, "height": 28}):
        for one, other in zip(draw(folder, "openvino", **size), draw(folder, "torch", **size), strict=True):
            assert np.abs(one - other).max() <= 2
    assert len(list(cache.glob("*/*/network.xml"))) == 2  # one for both sizes


def test_a_model_that_was_distilled_with_its_guidance_is_told_its_scale(
    make_toy_folder: Callable[..., Path], cache: Path
) -> None:
    folder = make_toy_folder(time_cond_proj_dim=16)
    for scale in (1.0, 8.5):
        asked = {"scheduler": "LCM", "guidance_scale": scale, "guidance_end": 1.0}
        drawn = zip(draw(folder, "openvino", **asked), draw(folder, "torch", **asked), strict=True)
        assert max(np.abs(one - other).max() for one, other in drawn) <= 2


def test_a_unet_that_makes_the_text_narrower_is_converted_too() -> None:
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        encoder_hid_dim=48,
        attention_head_dim=4,
    ).eval()
    given = torch.randn(2, 4, 8, 8), torch.tensor(500.0), torch.randn(2, 16, 48)
    compiled = openvino.CompiledUNet(openvino._convert_unet(unet), unet.config, torch.float32)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(*given)[0], unet(*given).sample, rtol=1e-3, atol=1e-3)


def test_what_was_converted_is_kept_and_made_anew_where_it_is_damaged_or_cannot_be_kept(
    toy_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted = []
    convert = openvino._convert
    monkeypatch.setattr(openvino, "_convert", lambda *given: converted.append(given) or convert(*given))
    report = "openvino_telemetry.Telemetry.__init__"
    monkeypatch.setattr(report, lambda *_, **__: pytest.fail("its use is reported to its makers"))
    expected = draw(toy_folder, "openvino")
    assert len(converted) == 2
    steps = {"found": 0, "truncated": 1, "no text": 1, "a file in its place": 2}
    for step, count in steps.items():
        converted.clear()
        (unet,) = cache.glob("*/*-unet")
        if step == "truncated":
            weights = unet / "network.bin"
            weights.write_bytes(weights.read_bytes()[:1000])
        elif step == "no text":
            (unet / "network.xml").write_text("", "utf-8")
        elif step == "a file in its place":
            cache.rename(cache.with_name("elsewhere"))
            cache.write_text("", "utf-8")
        assert np.array_equal(draw(toy_folder, "openvino"), expected), step
        assert len(converted) == count, step


def test_bfloat16_is_what_it_computes_in_where_the_cpu_has_it(toy_folder: Path, cache: Path) -> None:
    import openvino as library

    has_it = "BF16" in library.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    unet = Pipeline.load(toy_folder, "cpu", "bfloat16", "openvino").unet
    asked = unet.compiled.request.get_compiled_model().get_property("INFERENCE_PRECISION_HINT")
    assert (unet.dtype, asked.get_type_name()) == (torch.bfloat16, "bf16" if has_it else "f32")


def test_what_does_not_go_with_it_is_refused(
    toy_folder: Path, tmp_path: Path, cache: Path, jsd: Jsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_ENGINE", "openvino")
    pipeline = Pipeline.load(toy_folder, dtype="float32")
    assert (pipeline.engine, pipeline.device.type) == ("openvino", "cpu")
    with pytest.raises(InvalidInputError, match="engine torch"):
        pipeline.prepare(SamplingOptions(prompt="猫", loras=("a.safetensors",)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InvalidInputError, match="must be cpu for the engine openvino, got cuda"):
        Pipeline.load(toy_folder, "cuda")
    monkeypatch.setenv("JSD_ENGINE", "openvin")
    with pytest.raises(InvalidInputError, match="JSD_ENGINE must be one of torch, openvino"):
        Pipeline.load(toy_folder)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"pip install -e '\.\[openvino\]'"):
        Pipeline.load(toy_folder, engine="openvino")
    words = ["generate", "猫", "--weights", str(toy_folder), "--output-dir", str(tmp_path), "--engine"]
    assert jsd(words, "openvino").refuses("[openvino]")
    assert jsd(words, "onnx").refuses("torch, openvino")


def test_a_picture_is_drawn_again_by_the_engine_that_drew_it(
    toy_folder: Path, tmp_path: Path, cache: Path, jsd: Jsd
) -> None:
    asked = ["--num-inference-steps", "2", "--seed", "1", "--device", "cpu", "--weights", str(toy_folder)]
    drawn = jsd(["generate", "猫", *asked, "--output-dir", str(tmp_path), "--engine", "openvino"])
    assert any("openvino" in line for line in drawn.err)
    again = jsd(["rerun", str(tmp_path / "jsd-1.png"), "--weights", str(toy_folder), "--output-dir", str(tmp_path)])
    assert " = " in again.out[0], again.err
