"""One Cog server for all tests of this folder, on the toy model folder with a safety checker that flags one picture and
the previews of it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cog_client import UNSAFE, Server, serving_process
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
    arguments = ("--weights", guarded_folder, "--log-predictions", "--allow-private-addresses")
    with serving_process(tmp_path_factory.mktemp("server"), *arguments) as server:
        yield server


@pytest.fixture
def server(running_server: Server) -> Iterator[Server]:
    """What the server wrote meanwhile is what pytest shows where the test fails."""
    start = running_server.log.stat().st_size
    yield running_server
    print(running_server.log.read_bytes()[start:].decode("utf-8", "replace"))
