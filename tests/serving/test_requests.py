"""What the front refuses by itself, before Cog's server hears of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic

import httpx
import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from jsd.serving.cog_server import CogServer
from jsd.serving.front import predictions as predictions_module
from jsd.serving.front import requests
from jsd.serving.front.app import Front, _pass_events, build_app
from jsd.serving.front.figures import Figures
from jsd.serving.front.line import Line, Refused
from jsd.serving.front.predictions import Answer, Predictions
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
        ({"style": "油" * 10_001}, "style"),
        ({"image": "\ud800"}, "image"),
    ],
)
def test_what_the_values_alone_break_is_422_before_it_waits(
    inputs: dict[str, object], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_REQUIRE_SAFETY_CHECKER", "1")
    cog, line, figures = CogServer(Path("nowhere")), Line(length=0, wait_seconds=1), Figures()
    client = TestClient(build_app(Front(cog, line, figures, Predictions(cog, line, figures)), None, lambda: None, None))
    content = json.dumps({"input": inputs})
    answer = client.post("/predictions", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"][0]["loc"] == ["body", "input", field]


@pytest.mark.parametrize("webhook", ["http://169.254.169.254/latest", "http://a:x/", "https://"])
def test_a_server_for_other_machines_calls_no_webhook_in_its_own_networks(webhook: str) -> None:
    cog, line, figures = CogServer(Path("nowhere")), Line(length=1, wait_seconds=1), Figures()
    front = Front(cog, line, figures, Predictions(cog, line, figures), Webhooks("http://127.0.0.1:5000"))
    answer = TestClient(build_app(front, None, lambda: None, None)).post("/predictions", json={"webhook": webhook})
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["body", "webhook"]


@pytest.mark.parametrize(
    ("length", "limit", "begun"), [(2, 2**20, 3), (9, 2, 2)], ids=["no more than may wait", "nor more than fits"]
)
def test_many_that_come_at_once_are_no_more_than_there_is_room_for(
    length: int, limit: int, begun: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any of them has come to its place in the line, and whether or not its client waits for an answer. `limit`
    is of the bodies, in as many of these."""

    async def come() -> list[str]:
        predictions, said = predictions_of(length), list[str]()
        for number in range(4):
            request = read_request(b"{}", {"prefer": "respond-async"}, f"at-once-{number}")
            monkeypatch.setattr(predictions_module, "MAX_HELD_BYTES", limit * len(request.body))
            try:
                predictions.begin(request)
                said.append("begun")
            except Refused as refused:
                said.append(refused.reason)
        return said

    assert asyncio.run(come()) == ["begun"] * begun + ["full"] * (4 - begun)


def test_the_answer_of_an_earlier_prediction_is_not_that_of_a_later_one_of_its_name() -> None:
    async def again() -> list[bool]:
        predictions = predictions_of(1)
        predictions.kept["again"] = (monotonic(), Answer.of(200, id="again", status="succeeded"))
        there = [predictions.state("again") is not None]
        predictions.begin(read_request(b"{}", {}, "again"))
        del predictions.under_way["again"]  # its client waited, and has the answer
        return [*there, predictions.state("again") is not None]

    assert asyncio.run(again()) == [True, False]


def predictions_of(length: int) -> Predictions:
    cog, line, figures = CogServer(Path("nowhere")), Line(length=length, wait_seconds=1), Figures()
    return Predictions(cog, line, figures)


def test_a_header_that_cannot_be_passed_on_is_left_out() -> None:
    passed = read_request(b"{}", {"traceparent": "00-1", "tracestate": "é"}).headers
    assert passed["traceparent"] == "00-1" and "tracestate" not in passed


def test_the_bodies_of_all_that_wait_have_a_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_HELD_BYTES", 1000)
    cog, line, figures = CogServer(Path("nowhere")), Line(length=1, wait_seconds=1), Figures()
    client = TestClient(build_app(Front(cog, line, figures, Predictions(cog, line, figures)), None, lambda: None, None))
    for _ in range(2):  # what was refused is held no longer
        answers = [client.post("/predictions", json={"input": {"width": "x" * size}}) for size in (1000, 800)]
        assert [answer.status_code for answer in answers] == [429, 422]
        assert int(answers[0].headers["retry-after"]) > 0


@pytest.mark.parametrize("is_whole", [True, False])
def test_events_that_are_passed_on_end_with_the_prediction(is_whole: bool) -> None:
    """Also where Cog's server ends before it."""
    sent: list[bytes] = []

    async def events() -> AsyncIterator[bytes]:
        yield b"event: start\ndata: {}\n\nevent: comp"
        if not is_whole:
            raise httpx.RemoteProtocolError("it has ended")
        yield b'leted\ndata: {"status": "succeeded"}\n\n'

    async def send(part: Message) -> None:
        sent.append(part.get("body", b""))

    headers = {"content-type": "text/event-stream"}
    asyncio.run(_pass_events(httpx.Response(200, headers=headers, stream=Stream(events())), send))
    said = b"".join(sent)
    assert said.startswith(b"event: start\ndata: {}\n\nevent: completed\n") and said.count(b"event: completed") == 1
    assert (b'"succeeded"' in said, b'"failed"' in said) == (is_whole, not is_whole)


class Stream(httpx.AsyncByteStream):
    def __init__(self, parts: AsyncIterator[bytes]) -> None:
        self.parts = parts

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.parts
