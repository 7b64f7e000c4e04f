"""One Cog server for all tests of this folder, on the toy model folder with a safety checker that flags one picture and
the previews of it."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cog_client import START_SECONDS, UNSAFE, Server, free_port, serve_command
from toy_checker import write_toy_checker


@pytest.fixture(scope="session")
def guarded_folder(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from jsd.options import SamplingOptions
    from jsd.pipeline import Pipeline
    from jsd.preview import load_preview

    pipeline = Pipeline.load(toy_folder)
    preview, job = load_preview(pipeline), pipeline.prepare(SamplingOptions(**UNSAFE))
    previews = [preview.draw(state.predicted) for state in pipeline.denoise(job)]
    (unsafe,) = pipeline.finish_each(job)
    folder = shutil.copytree(toy_folder, tmp_path_factory.mktemp("guarded") / "toy")
    return write_toy_checker(folder, unsafe=[unsafe.image, *previews])


@pytest.fixture(scope="session")
def running_server(guarded_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    temporary = folder / "temporary"
    temporary.mkdir()
    port = free_port()
    server = Server(f"http://127.0.0.1:{port}", folder / "log.txt", temporary)
    # TQDM_MININTERVAL: the log counts every step.
    environment = {**os.environ, "TMPDIR": str(temporary), "JSD_LANG": "en", "TQDM_MININTERVAL": "0"}
    command = serve_command(
        "--port", port, "--weights", guarded_folder, "--log-predictions", "--allow-private-addresses"
    )
    with server.log.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.ready():
            assert process.poll() is None, server.log.read_text("utf-8")
            assert time.monotonic() < deadline, server.log.read_text("utf-8")
            time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    """What the server wrote meanwhile is what pytest shows where the test fails."""
    start = running_server.log.stat().st_size
    yield running_server
    print(running_server.log.read_bytes()[start:].decode("utf-8", "replace"))
