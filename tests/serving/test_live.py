"""Previews, cancelling, health and webhooks on the real Cog server."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cog_client import PROMPT, START_SECONDS, Server, Stream, file_bytes, free_port, opened, wait_for

from jsd.serving.cog_server import PREDICTOR, SCHEMA, SCHEMA_PLACE, server_environment

# Steps that take longer than a request to cancel them: four pictures of the largest size.
SLOW = {**PROMPT, "width": 64, "height": 64, "num_outputs": 4, "preview_every": 1, "num_inference_steps": 500}
NUM_STEPS_AT_THE_END = 8


def events(stream: Stream) -> list[tuple[str, Any]]:
    try:
        return list(stream)
    finally:
        stream.close()


def chunks(found: list[tuple[str, Any]]) -> list[str]:
    return [data["chunk"] for event, data in found if event == "output"]


def test_a_stream_begins_with_start_and_ends_with_completed(server: Server) -> None:
    found = events(Stream(server, PROMPT, "whole"))
    assert found[0][0] == "start"
    assert found[-1][0] == "completed"
    assert found[-1][1]["status"] == "succeeded"
    assert {event for event, _ in found} == {"start", "output", "log", "metric", "completed"}


def test_previews_come_every_so_many_steps_then_the_pictures(server: Server) -> None:
    inputs = {**PROMPT, "num_inference_steps": 7, "preview_every": 3, "num_outputs": 2}
    sizes = [opened(uri).size for uri in chunks(events(Stream(server, inputs, "previews")))]
    # A pixel a latent, the two pictures side by side; after the steps 3 and 6.
    assert sizes == [(16, 8), (16, 8), (32, 32), (32, 32)]


def test_the_last_step_has_no_preview(server: Server) -> None:
    outputs = server.predict(num_inference_steps=4, preview_every=2)["output"]
    assert [opened(uri).size for uri in outputs] == [(8, 8), (32, 32)]


def test_previews_change_nothing_in_the_picture(server: Server) -> None:
    plain = server.predict(seed=3, num_inference_steps=4)["output"]
    assert server.predict(seed=3, num_inference_steps=4, preview_every=1)["output"][-1:] == plain


def test_pictures_come_one_by_one(server: Server) -> None:
    inputs = {**PROMPT, "num_outputs": 3}
    found = events(Stream(server, inputs, "one-by-one"))
    assert [data["index"] for event, data in found if event == "output"] == [0, 1, 2]
    assert len({file_bytes(uri) for uri in chunks(found)}) == 3


@pytest.mark.parametrize("way", ["request", "dropped connection"])
@pytest.mark.parametrize(
    ("num_previews", "num_steps"),
    [(0, 500), (3, 500), (NUM_STEPS_AT_THE_END - 1, NUM_STEPS_AT_THE_END)],
    ids=["start", "middle", "end"],
)
def test_cancelling_stops_within_a_step_and_the_next_prediction_is_right(
    server: Server, way: str, num_previews: int, num_steps: int
) -> None:
    expected = server.predict(seed=11)["output"]
    logged = server.log.stat().st_size
    name = f"{way.split()[0]}-{num_previews}"
    stream = Stream(server, {**SLOW, "num_inference_steps": num_steps}, name)
    seen = 0
    for event, _ in stream:
        seen += event == "output"
        if event != "start" and seen == num_previews:
            break
    if way == "request":
        assert server.request("POST", f"/predictions/{name}/cancel")[0] == 200
        rest = events(stream)
        assert rest[-1][1]["status"] == "canceled"
        # The preview that was on its way, and that of the step under way.
        assert len(chunks(rest)) <= 2, "it must stop within a step"
    else:
        stream.close()
    wait_for(lambda: server.request("GET", "/health-check")[1]["status"] == "READY")
    assert b"500/500" not in server.log.read_bytes()[logged:], "it must stop, not run to its end"
    assert not any(server.temporary.rglob("*.png")), "the files of a cancelled prediction must be gone"
    assert server.predict(seed=11)["output"] == expected


@pytest.mark.parametrize("way", ["request", "dropped connection"])
def test_cancelling_after_the_first_picture_of_four_keeps_the_others_back(server: Server, way: str) -> None:
    expected = server.predict(seed=11)["output"]
    name = f"first-{way.split()[0]}"
    logged = server.log.stat().st_size
    stream = Stream(server, {**SLOW, "num_inference_steps": 2, "preview_every": 0}, name)
    first = next((data["chunk"] for event, data in stream if event == "output"), None)
    if way == "request":
        assert server.request("POST", f"/predictions/{name}/cancel")[0] == 200
        rest = events(stream)
        assert rest[-1][1]["status"] == "canceled"
        # The picture that was on its way.
        assert len(chunks(rest)) <= 1, "the last two must not be sent"
    else:
        stream.close()
        wait_for(lambda: b"Prediction cancelled" in server.log.read_bytes()[logged:])
    assert first is not None and opened(first).size == (64, 64), "it must be a finished picture"
    wait_for(lambda: server.request("GET", "/health-check")[1]["status"] == "READY")
    assert not any(server.temporary.rglob("*.png")), "the files of a cancelled prediction must be gone"
    assert server.predict(seed=11)["output"] == expected


def num_steps(server: Server, start: int) -> int:
    """How many steps the progress bar has counted since the log was `start` bytes long."""
    counted = re.findall(rb"\b(\d+)/500 \[", server.log.read_bytes()[start:])
    return int(counted[-1]) if counted else 0


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
@pytest.mark.parametrize("num_before", [0, 3], ids=["start", "middle"])
def test_after_a_dropped_connection_at_most_one_step_runs(server: Server, accept: str, num_before: int) -> None:
    inputs = {**SLOW, "preview_every": 0}
    wait_for(server.ready)
    logged = server.log.stat().st_size
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=60)
    headers = {"Content-Type": "application/json", "Accept": accept}
    connection.request("POST", "/predictions", json.dumps({"input": inputs}), headers)
    wait_for(lambda: b" 0/500 [" in server.log.read_bytes()[logged:] and num_steps(server, logged) >= num_before)
    if accept == "text/event-stream":
        connection.getresponse().close()  # else it keeps the socket open
    connection.close()
    drawn = num_steps(server, logged)
    wait_for(lambda: b"Prediction cancelled" in server.log.read_bytes()[logged:])
    assert num_steps(server, logged) - drawn <= 1, server.log.read_bytes()[logged:].decode()


def test_repeated_prompts_give_the_same_bytes_as_the_first(server: Server) -> None:
    first, *others = (server.predict(prompt="富士山と桜の水彩画", seed=2)["output"] for _ in range(3))
    assert others == [first, first]


def test_a_server_that_computes_is_healthy(server: Server) -> None:
    health = server.request("GET", "/health-check")[1]
    assert health["status"] == "READY"
    assert not health.get("user_healthcheck_error")


# Its device is lost once the model is loaded, as after a fault of CUDA.
LOST = """
import torch
import predict
from jsd import Pipeline

class Predictor(predict.Predictor):
    def setup(self) -> None:
        super().setup()
        Pipeline.device = torch.device("meta")
"""


def test_a_server_whose_device_no_longer_computes_is_unhealthy(toy_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lost.py").write_text(LOST, "utf-8")
    (tmp_path / ".cog").mkdir()
    shutil.copyfile(SCHEMA, tmp_path / SCHEMA_PLACE)
    port = free_port()
    environment = server_environment(port, toy_folder)
    environment |= {"COG_PREDICT_TYPE_STUB": f"{tmp_path}/lost.py:Predictor", "PYTHONPATH": str(PREDICTOR.parent)}
    command = [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"]
    log = tmp_path / "log.txt"
    health: dict[str, Any] = {"status": "STARTING"}

    def started() -> bool:
        assert process.poll() is None, log.read_text("utf-8")
        with contextlib.suppress(OSError):
            health.update(server.request("GET", "/health-check")[1])
        return health["status"] != "STARTING"

    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=tmp_path)
    server = Server(f"http://127.0.0.1:{port}", log, tmp_path, process)
    try:
        wait_for(started, START_SECONDS)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    assert health["status"] == "UNHEALTHY", health
    assert health["user_healthcheck_error"], health


def test_the_model_is_named_in_the_metrics(server: Server) -> None:
    assert len(server.predict()["metrics"]["model_sha256"]) == 64


class Receiver(BaseHTTPRequestHandler):
    received: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append(json.loads(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The address of a receiver, and what it has received."""
    received: list[dict[str, Any]] = []
    port = free_port()
    receiver = HTTPServer(("127.0.0.1", port), type("Received", (Receiver,), {"received": received}))
    thread = threading.Thread(target=receiver.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{port}/done", received
    receiver.shutdown()
    thread.join()
    receiver.server_close()


def send(server: Server, url: str, **body: Any) -> None:
    body = {"input": PROMPT, "webhook": url, **body}
    wait_for(lambda: server.request("POST", "/predictions", body, Prefer="respond-async")[0] == 202)


def test_a_webhook_receives_start_and_the_finished_prediction(
    server: Server, webhook: tuple[str, list[dict[str, Any]]]
) -> None:
    url, received = webhook
    send(server, url)
    wait_for(lambda: any(one["status"] == "succeeded" for one in received))
    assert received[0]["status"] in ("starting", "processing")
    (uri,) = received[-1]["output"]
    assert opened(uri).size == (32, 32)
    assert "model_sha256" in received[-1]["metrics"]


def test_a_webhook_receives_what_it_asked_for(server: Server, webhook: tuple[str, list[dict[str, Any]]]) -> None:
    url, received = webhook
    send(server, url, webhook_events_filter=["completed"])
    wait_for(lambda: bool(received))
    assert [one["status"] for one in received] == ["succeeded"]


def test_a_webhook_receives_why_a_prediction_failed(server: Server, webhook: tuple[str, list[dict[str, Any]]]) -> None:
    url, received = webhook
    send(server, url, input={**PROMPT, "width": 33}, webhook_events_filter=["completed"])
    wait_for(lambda: bool(received))
    assert received[0]["status"] == "failed"
    assert "33" in received[0]["error"]


@pytest.mark.parametrize("events_filter", [None, ["completed"]], ids=["every event", "completed"])
def test_a_webhook_receives_that_a_prediction_was_cancelled(
    server: Server, webhook: tuple[str, list[dict[str, Any]]], events_filter: list[str] | None
) -> None:
    url, received = webhook
    chosen = {} if events_filter is None else {"webhook_events_filter": events_filter}
    logged = server.log.stat().st_size
    send(server, url, id="hooked", input=SLOW, **chosen)
    wait_for(lambda: num_steps(server, logged) >= 1)
    assert server.request("POST", "/predictions/hooked/cancel")[0] == 200
    wait_for(lambda: any(one["status"] == "canceled" for one in received))
    assert received[-1]["id"] == "hooked"
    assert "succeeded" not in [one["status"] for one in received]
    if events_filter is not None:
        assert [one["status"] for one in received] == ["canceled"]
    assert server.predict()["output"], "the slot must be free again"
