"""What the front refuses by itself, before Cog's server hears of it."""

import asyncio
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from jsd.serving.cog_server import CogServer
from jsd.serving.front.app import Front, build_app
from jsd.serving.front.figures import Figures
from jsd.serving.front.line import Line, Refused
from jsd.serving.front.predictions import Predictions
from jsd.serving.front.requests import read_request
from jsd.serving.front.webhooks import Webhooks


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ({"disable_safety_checker": True}, "disable_safety_checker"),
        ({"safety_threshold": 0.05}, "safety_threshold"),
        ({"loras": "a.safetensors"}, "loras"),
        ({"loras": "a.safetensors:9"}, "loras"),
        ({"loras": ["a.safetensors"]}, "loras"),
        ({"preview_every": 501}, "preview_every"),
        ({"image": "photo.png"}, "image"),
        ({"image": ["https://example.org/a.png"]}, "image"),
        ({"mask": "https://example.org/a.png"}, "mask"),
        ({"num_candidates": 2, "num_outputs": 3}, "num_candidates"),
        ({"seed": 2**32 - 1, "num_outputs": 2}, "seed"),
        ({"scheduler": "LCM", "num_inference_steps": 51}, "num_inference_steps"),
        ({"guidance_start": 0.5, "guidance_end": 0.4}, "guidance_start"),
    ],
)
def test_what_the_values_alone_break_is_422_before_it_waits(
    inputs: dict[str, object], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_REQUIRE_SAFETY_CHECKER", "1")
    cog, line, figures = CogServer(Path("nowhere")), Line(length=0, wait_seconds=1), Figures()
    client = TestClient(build_app(Front(cog, line, figures, Predictions(cog, line, figures)), None, lambda: None, None))
    answer = client.post("/predictions", json={"input": inputs})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"] == ["body", "input", field]


def test_a_server_for_other_machines_calls_no_webhook_in_its_own_networks() -> None:
    cog, line, figures = CogServer(Path("nowhere")), Line(length=1, wait_seconds=1), Figures()
    front = Front(cog, line, figures, Predictions(cog, line, figures), Webhooks("http://127.0.0.1:5000"))
    answer = TestClient(build_app(front, None, lambda: None, None)).post(
        "/predictions", json={"webhook": "http://169.254.169.254/latest"}
    )
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["body", "webhook"]


def test_many_that_come_at_once_are_no_more_than_the_line_is_long() -> None:
    """Before any of them has come to its place in it."""

    async def come() -> list[str]:
        cog, line, figures = CogServer(Path("nowhere")), Line(length=2, wait_seconds=1), Figures()
        predictions, said = Predictions(cog, line, figures), list[str]()
        for number in range(4):
            request = read_request(b"{}", {}, f"at-once-{number}")
            try:
                predictions.begin(request)
                said.append("begun")
            except Refused as refused:
                said.append(refused.reason)
        return said

    assert asyncio.run(come()) == ["begun", "begun", "begun", "full"]
