"""Webhooks of a server that strangers reach: the front calls what was checked, and nothing that it leads to."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cog_client import PROMPT, Server, free_port, serving_process, wait_for
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from test_pictures import dribbling

from jsd.serving.cog_server import CogServer
from jsd.serving.front.figures import Figures
from jsd.serving.front.line import Line
from jsd.serving.front.predictions import Predictions
from jsd.serving.front.requests import read_request
from jsd.serving.front.webhooks import AGAIN, Webhooks, origin, post


class Receiver(BaseHTTPRequestHandler):
    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, body))
        self.send_response({"/away": 307, "/busy": 503}.get(self.path, 200))
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    received: list[tuple[str, bytes]] = []
    port = free_port()
    server = ThreadingHTTPServer(("127.0.0.1", port), type("Received", (Receiver,), {"received": received}))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{port}", received
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("path", "status"), [("/done", 200), ("/busy", 503), ("/away", 502)])
def test_what_cog_sends_goes_on_and_nowhere_else(
    path: str, status: int, receiver: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_ALLOW_PRIVATE_ADDRESSES", "1")
    url, received = receiver
    webhooks = Webhooks("http://testserver")
    client = TestClient(webhooks.before(PlainTextResponse("inside")), follow_redirects=False)
    assert client.post(webhooks.address(url + path), content=b"{}").status_code == status
    assert received == [(path, b"{}")]
    assert client.post("/webhooks/guessed", content=b"{}").text == client.get("/").text == "inside"


def test_a_name_that_has_moved_into_a_network_of_its_own_is_not_called(
    receiver: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was checked when the request came; it is once more when it is called."""
    monkeypatch.delenv("JSD_ALLOW_PRIVATE_ADDRESSES", raising=False)
    url, received = receiver
    webhooks = Webhooks("http://testserver")
    client = TestClient(webhooks.before(PlainTextResponse("inside")))
    assert client.post(webhooks.address(url), content=b"{}").status_code == 502 and received == []


def test_a_host_that_dribbles_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_ALLOW_PRIVATE_ADDRESSES", "1")
    monkeypatch.setattr("jsd.serving.front.webhooks.DEADLINE_SECONDS", 0.5)
    began = time.monotonic()
    with dribbling(lambda connection: connection.sendall(b"H")) as url:
        assert asyncio.run(post(url, b"{}", "")) == AGAIN and time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("0.0.0.0", "http://127.0.0.1:5000"),
        ("::", "http://[::1]:5000"),
        ("192.0.2.7", "http://192.0.2.7:5000"),
        ("localhost", "http://localhost:5000"),
    ],
)
def test_where_cog_reaches_the_front(host: str, found: str) -> None:
    assert origin(host, 5000) == found


def test_a_server_behind_a_proxy_calls_webhooks(
    receiver: tuple[str, list[tuple[str, bytes]]], toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_ALLOW_PRIVATE_ADDRESSES", "1")
    url, received = receiver
    with serving_process(tmp_path, "--weights", toy_folder, "--allow-host", "draw.example") as server:
        body = {"input": PROMPT, "webhook": f"{url}/done"}
        status, answer = server.request("POST", "/predictions", body)
        assert status == 200 and answer["status"] == "succeeded", answer
        wait_for(lambda: any(json.loads(content)["status"] == "succeeded" for _, content in received))
    assert {path for path, _ in received} == {"/done"}
    assert json.loads(received[-1][1])["output"] == answer["output"]


def test_one_that_is_cancelled_while_it_waits_is_told_to_its_webhook(
    receiver: tuple[str, list[tuple[str, bytes]]], server: Server
) -> None:
    url, received = receiver
    asked = {"input": {**PROMPT, "num_inference_steps": 300}}
    server.request("PUT", "/predictions/before", asked, Prefer="respond-async")
    for name, wanted in (("told", ["completed"]), ("silent", ["start"])):
        body = {**asked, "webhook": f"{url}/{name}", "webhook_events_filter": wanted}
        assert server.request("PUT", f"/predictions/{name}", body, Prefer="respond-async")[0] == 202
        server.request("POST", f"/predictions/{name}/cancel", {})
    server.request("POST", "/predictions/before/cancel", {})
    wait_for(lambda: bool(received))
    assert [(path, json.loads(content)["status"]) for path, content in received] == [("/told", "canceled")]


@pytest.mark.parametrize("of_strangers", [False, True])
def test_a_server_that_ends_tells_the_webhooks_of_those_that_wait(
    of_strangers: bool, receiver: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_ALLOW_PRIVATE_ADDRESSES", "1")
    url, received = receiver

    async def end() -> None:
        cog, line, figures = CogServer(Path("nowhere")), Line(length=2, wait_seconds=9), Figures()
        predictions = Predictions(cog, line, figures, of_strangers=of_strangers)
        await line.enter()  # somebody is drawn for
        body = json.dumps({"webhook": f"{url}/done"}).encode()
        # What Cog is told is an address of a server that no longer listens.
        told = (lambda _: "http://127.0.0.1:9/") if of_strangers else None
        predictions.draw_unattended(predictions.begin(read_request(body, {}, "waits", told)))
        await asyncio.sleep(0.1)
        await predictions.close()
        assert predictions.under_way == {}

    asyncio.run(end())
    ((path, content),) = received
    said = json.loads(content)
    assert (path, said["id"], said["status"]) == ("/done", "waits", "failed") and "ending" in said["error"]
