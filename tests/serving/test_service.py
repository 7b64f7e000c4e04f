"""What the predictor holds, without a server: metrics of the embedded model, health, memory after a cancel."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from traceback import format_exception
from typing import Any

import pytest
import torch
from cog import CancelationException
from cog_client import wait_for
from diffusers.models import AutoencoderTiny
from safetensors.torch import save_file
from torch.nn.modules.module import register_module_forward_pre_hook
from tqdm import tqdm

from jsd import Pipeline, SamplingOptions
from jsd.errors import InvalidInputError
from jsd.images import load_image
from jsd.preview import load_preview
from jsd.serving.loras import served_loras
from jsd.serving.page.drawing import draw as page_draw
from jsd.serving.page.line import Line
from jsd.serving.prediction import Service
from predict import Predictor
from runs.blocks import ROOT
from tests.toy_sdxl import write_toy_sdxl_folder

SMALL: dict[str, Any] = {
    "encoder_block_out_channels": (8,) * 3,
    "decoder_block_out_channels": (8,) * 3,
    "num_encoder_blocks": (1,) * 3,
    "num_decoder_blocks": (1,) * 3,
}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service(Pipeline.load(ROOT / "weights" / "mini", device="cpu"))
    yield service
    service.files.cleanup()


def test_the_licence_is_in_the_metrics(service: Service) -> None:
    metrics: dict[str, Any] = {}
    options = SamplingOptions(prompt="猫", num_inference_steps=1)
    pictures = list(service.draw(options, metrics.__setitem__, preview_every=0))
    assert [path.is_file() for path in pictures] == [True]
    assert metrics["licence"] == "MIT"
    assert metrics["safety_checker"] == "none"


def test_of_a_lora_file_that_does_not_fit_a_client_hears_the_name_alone(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_LORAS", str(tmp_path))
    (tmp_path / "cut.safetensors").write_bytes(b"")
    save_file({"unet.other.lora_A.weight": torch.ones(1, 1)}, tmp_path / "other.safetensors")
    save_file({"unet.conv_in.lora_A.weight": torch.ones(1, 1)}, tmp_path / "half.safetensors")
    line, preview = Line(), load_preview(service.pipeline)
    for name in ("cut", "other", "half"):
        options = SamplingOptions(prompt="猫", num_inference_steps=1, loras=served_loras(f"{name}.safetensors:0.5"))
        for drawing in (
            service.draw(options, {}.__setitem__, preview_every=0),
            page_draw(service.pipeline, preview, line, options),
        ):
            with pytest.raises(InvalidInputError, match=rf" {name}\.safetensors") as caught:
                list(drawing)
            shown = "".join(format_exception(caught.value))
            assert str(tmp_path) not in shown, "nor may a log that the client gets"


def test_setup_draws_once_so_that_the_first_prediction_waits_for_nothing(
    guarded_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: dict[str, list[int]] = {}

    def note(module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs and isinstance(inputs[0], torch.Tensor):
            ran[type(module).__name__] = list(inputs[0].shape)

    monkeypatch.setenv("JSD_WEIGHTS", str(guarded_folder))
    hook = register_module_forward_pre_hook(note)
    try:
        service = Service.load()
    finally:
        hook.remove()
    service.files.cleanup()
    assert ran["UNet2DConditionModel"] == [2, 4, 8, 8], "with guidance, at the model's own size"
    assert ran["Decoder"] == [1, 4, 8, 8], "the picture is decoded"
    assert "CLIPVisionEmbeddings" in ran, "the picture is judged"
    assert "provenance" in vars(service.pipeline), "the files of the folder are hashed"


def test_an_sdxl_folder_and_what_is_added_to_it_come_by_the_environment(
    guarded_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: no argument reaches `setup()`."""
    AutoencoderTiny(**SMALL).save_pretrained(tmp_path / "tiny")
    folders = {"JSD_WEIGHTS": write_toy_sdxl_folder(tmp_path / "sdxl"), "JSD_SAFETY_CHECKER": guarded_folder}
    for name, folder in {**folders, "JSD_VAE": tmp_path / "tiny", "JSD_PREVIEW_VAE": tmp_path / "tiny"}.items():
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(Predictor.run, "__annotations__", dict(Predictor.run.__annotations__))  # setup() changes them
    predictor, metrics = Predictor(), dict[str, Any]()
    predictor.setup()
    options = SamplingOptions(prompt="猫", num_inference_steps=2, seed=0, safety_threshold=0.1)
    drawn = [load_image(path).size for path in predictor.service.draw(options, metrics.__setitem__, preview_every=1)]
    predictor.service.files.cleanup()
    assert drawn == [(16, 16), (32, 32)], "a preview of half the sides, and the picture"
    assert metrics["safety_checker"] == "on"


def test_a_device_that_no_longer_computes_is_not_healthy(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.is_healthy()
    monkeypatch.setattr(Pipeline, "device", torch.device("meta"))
    assert not service.is_healthy()


def test_the_predictor_is_as_healthy_as_its_service(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor()
    predictor.service = service
    assert predictor.healthcheck() is True
    monkeypatch.setattr(Pipeline, "device", torch.device("meta"))
    assert predictor.healthcheck() is False


def test_a_cancel_within_the_progress_bar_does_not_lock_the_next_prediction_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cog runs it in another thread."""

    def draw() -> list[Path]:
        options = SamplingOptions(prompt="猫", num_inference_steps=2)
        return list(service.draw(options, lambda *_: None, preview_every=0))

    def cancelled(*_: object, **__: object) -> None:
        raise CancelationException

    with monkeypatch.context() as patch:
        patch.setattr(tqdm, "display", cancelled)
        with pytest.raises(CancelationException):
            draw()
    drawn: list[Path] = []
    Thread(target=lambda: drawn.extend(draw()), daemon=True).start()
    wait_for(lambda: len(drawn) == 1, 60)


def test_a_cancelled_prediction_holds_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    prepare = service.pipeline.prepare

    def watched(options: SamplingOptions) -> Any:
        job = prepare(options)
        held.append(weakref.ref(job))
        return job

    monkeypatch.setattr(service.pipeline, "prepare", watched)
    drawing = service.draw(SamplingOptions(prompt="猫", num_inference_steps=9), lambda *_: None, preview_every=1)
    preview = next(iter(drawing))
    assert isinstance(preview, Path) and preview.is_file()
    assert held[0]() is not None
    drawing.close()
    del drawing
    gc.collect()
    assert held[0]() is None, "its latents must be free"
    assert not preview.exists()
