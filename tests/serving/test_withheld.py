"""The safety checker on the real Cog server: one picture withheld, all withheld, none asked for."""

from contextlib import suppress
from pathlib import Path

import pytest
from cog_client import UNSAFE, Server, opened
from PIL import Image

from jsd import Pipeline, SamplingOptions
from jsd.errors import UnsafeImagesError
from jsd.serving.prediction import Service

THREE = {**UNSAFE, "seed": UNSAFE["seed"] - 1, "num_outputs": 3}


def test_one_picture_is_withheld_with_score_and_reason_and_the_others_are_returned(server: Server) -> None:
    answer = server.predict(**THREE)
    assert [opened(uri).size for uri in answer["output"]] == [(32, 32)] * 2
    metrics = answer["metrics"]
    (withheld,) = metrics["withheld"]
    assert withheld["seed"] == UNSAFE["seed"] and len(metrics["seeds"]) == 3
    assert withheld["score"] > withheld["threshold"] == 0 and withheld["code"] == "safety.withheld"
    assert withheld["message"] in answer["logs"], "the reader of the log must learn it too"
    assert metrics["safety_checker"] == "on"


def test_all_withheld_is_a_failure_with_a_reason_that_names_itself(server: Server) -> None:
    status, answer = server.run(UNSAFE)
    assert (status, answer["status"]) == (200, "failed"), answer
    assert "UnsafeImagesError: NSFW content detected" in answer["error"] and str(UNSAFE["seed"]) in answer["error"]
    assert "\n" not in answer["error"]
    assert not answer.get("output"), "nothing of a withheld picture may be sent"
    (withheld,) = answer["metrics"]["withheld"]
    assert withheld["seed"] == UNSAFE["seed"]
    assert server.predict()["output"], "the next prediction must work"


def test_disabled_every_picture_is_returned(server: Server) -> None:
    answer = server.predict(**THREE, disable_safety_checker=True)
    assert len(answer["output"]) == 3
    assert answer["metrics"]["safety_checker"] == "disabled" and "withheld" not in answer["metrics"]


def test_the_threshold_is_the_requests(server: Server) -> None:
    assert len(server.predict(**THREE, safety_threshold=0.1)["output"]) == 3


@pytest.mark.parametrize("value", [-0.11, 0.11, "low"])
def test_a_threshold_out_of_range_is_422(server: Server, value: object) -> None:
    status, answer = server.run({**UNSAFE, "safety_threshold": value})
    assert status == 422 and "safety_threshold" in str(answer["detail"]), answer


def test_a_server_without_a_checker_says_so_at_start(
    toy_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSD_WEIGHTS", str(toy_folder))
    Service.load().files.cleanup()
    assert "no safety checker" in capsys.readouterr().out


def test_the_checker_is_loaded_before_the_first_prediction(
    guarded_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_WEIGHTS", str(guarded_folder))
    service = Service.load()
    service.files.cleanup()
    assert "_model" in vars(service.pipeline.safety_checker)


def test_the_preview_of_an_unsafe_picture_is_black_unless_the_checker_is_disabled(guarded_folder: Path) -> None:
    service = Service(Pipeline.load(guarded_folder))
    brightest = []
    for disabled in (False, True):
        options = SamplingOptions(**UNSAFE, disable_safety_checker=disabled)
        drawing = service.draw(options, lambda *_: None, preview_every=1)
        with suppress(UnsafeImagesError):
            for path in drawing:
                if path.name.startswith("preview-"):
                    with Image.open(path) as preview:
                        brightest.append(max(high for _, high in preview.getextrema()))
    service.files.cleanup()
    blanked, shown = brightest
    assert blanked == 0, "nothing of a withheld picture may be sent"
    assert shown > 0
