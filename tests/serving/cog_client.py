"""A client of the Cog server that `jsd serve` starts, and of its server-sent events."""

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from PIL import Image

# Of a server, on a machine that has other work; and so the most that an answer of one that is started anew takes.
START_SECONDS = 300
# What the server's safety checker flags; 160 other drawings of the toy model were at least 0.05 below.
UNSAFE: dict[str, Any] = {"prompt": "猫", "seed": 77_777, "num_inference_steps": 2}
PROMPT = {"prompt": "サラリーマン 油絵", "num_inference_steps": 2}


@dataclass(frozen=True)
class Server:
    url: str
    log: Path
    temporary: Path
    process: "subprocess.Popen[bytes]"

    def ask(
        self, method: str, path: str, body: Any = None, timeout: float = START_SECONDS, **headers: str
    ) -> tuple[int, Any, Message]:
        """HTTP status, the JSON of the answer, and its headers; `body` is made JSON unless it is bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        try:
            with urlopen(Request(self.url + path, data, headers, method=method), timeout=timeout) as response:
                return response.status, json.load(response), response.headers
        except HTTPError as error:
            with error:
                return error.code, json.load(error), error.headers

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        return self.ask(method, path, body, **headers)[:2]

    def run(self, inputs: dict[str, Any]) -> tuple[int, Any]:
        """One prediction."""
        return self.request("POST", "/predictions", {"input": inputs})

    def predict(self, **inputs: Any) -> dict[str, Any]:
        """A prediction that must succeed."""
        status, answer = self.run({**PROMPT, **inputs})
        assert (status, answer.get("status")) == (200, "succeeded"), answer
        return dict(answer)

    def fail(self, **inputs: Any) -> str:
        """The message of a prediction that must fail."""
        status, answer = self.run({**PROMPT, **inputs})
        assert (status, answer.get("status")) == (200, "failed"), answer
        return str(answer["error"])

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            status = self.request("GET", "/health-check")[1]["status"]
            assert "FAILED" not in status, self.log.read_text("utf-8")
            return bool(status == "READY")
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "jsd", "serve", *map(str, arguments)]


@contextlib.contextmanager
def serving_process(folder: Path, *arguments: object) -> Iterator[Server]:
    """`jsd serve` with its log and its temporary files in `folder`, ready to draw."""
    (folder / "temporary").mkdir()
    port = free_port()
    # TQDM_MININTERVAL: the log counts every step.
    environment = {**os.environ, "TMPDIR": str(folder / "temporary"), "JSD_LANG": "en", "TQDM_MININTERVAL": "0"}
    log = folder / "log.txt"
    with log.open("w") as file:
        process = subprocess.Popen(
            serve_command("--port", port, *arguments), stdout=file, stderr=subprocess.STDOUT, env=environment
        )
    server = Server(f"http://127.0.0.1:{port}", log, folder / "temporary", process)

    def ready() -> bool:
        assert process.poll() is None, log.read_text("utf-8")
        return server.ready()

    try:
        wait_for(ready, START_SECONDS)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Stream:
    """The server-sent events of one prediction; closing it drops the connection."""

    def __init__(self, server: Server, inputs: dict[str, Any], name: str) -> None:
        self.connection = HTTPConnection(server.url.removeprefix("http://"), timeout=START_SECONDS)
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        self.connection.request("PUT", f"/predictions/{name}", json.dumps({"input": inputs}), headers)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """(event, data) until the server ends the stream."""
        event = ""
        for line in self.response:
            field, _, value = line.decode().rstrip("\r\n").partition(": ")
            if field == "event":
                event = value
            elif field == "data":
                yield event, json.loads(value)

    def close(self) -> None:
        self.response.close()
        self.connection.close()


def wait_for(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def file_bytes(uri: str) -> bytes:
    return base64.b64decode(uri.partition(";base64,")[2])


def opened(uri: str) -> Image.Image:
    image = Image.open(BytesIO(file_bytes(uri)))
    image.load()
    return image
