"""One Cog server for all tests of this folder, on the toy model folder with a safety checker that flags one picture and
the previews of it; one page and one browser, in which the tests follow each other."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cog_client import UNSAFE, Server, serving_process
from listening import LISTENING
from toy_checker import write_toy_checker
from visitor import Visitor

from runs.blocks import ROOT
from runs.screenshot import browser, free_port, serving


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


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the page, and a folder with its log and its temporary files."""
    folder, port = tmp_path_factory.mktemp("web"), free_port()
    (folder / "temporary").mkdir()
    command = [sys.executable, "-c", LISTENING, "web", "--port", str(port), "--weights", str(ROOT / "weights" / "mini")]
    environment = {"JSD_LANG": "", "TMPDIR": str(folder / "temporary")}
    with serving(command, port, folder / "log.txt", **environment) as url:
        yield url, folder


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="session")
def driver(downloads: Path) -> Iterator[Any]:
    with browser(downloads, language="en") as driver:
        yield driver


@pytest.fixture
def page(driver: Any, web: tuple[str, Path]) -> Visitor:
    visitor = Visitor(driver, web[0])
    visitor.open()
    return visitor
