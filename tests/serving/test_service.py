"""What the predictor holds, without a server: metrics of the embedded model, health, memory after a cancel."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.modules.module import register_module_forward_pre_hook

from jsd import Pipeline, SamplingOptions
from jsd.serving.prediction import Service
from predict import Predictor
from runs.blocks import ROOT


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
