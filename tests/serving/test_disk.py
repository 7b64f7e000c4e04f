"""The Cog server where its folder for pictures is full or gone: one line, and the next prediction works."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cog_client import PROMPT, Server, Stream, opened
from full_disk import small_disk

from jsd.serving.pictures import COG_FOLDERS


@pytest.fixture
def empty_server(server: Server) -> Server:
    """The pictures of its last prediction are gone, as they would be where it finds their folder."""
    server.fail(width=33)
    return server


@contextmanager
def moved_away(folder: Path) -> Iterator[None]:
    away = folder.rename(folder.with_name("away"))
    try:
        yield
    finally:
        away.rename(folder)


def check(error: str, server: Server, reason: str) -> None:
    """One line with what is wrong, where, and what to do; the next prediction works."""
    assert f"cannot be written to: {reason}; make room" in error, error
    assert str(server.temporary) in error, error
    assert "\n" not in error and "Traceback" not in error, error
    (uri,) = server.predict()["output"]
    assert opened(uri).size == (32, 32)


@pytest.mark.parametrize(
    "inputs", [{}, {"preview_every": 1}, {"num_outputs": 4, "output_format": "jpg"}], ids=["picture", "preview", "four"]
)
def test_a_full_disk_is_one_line_and_the_next_prediction_works(empty_server: Server, inputs: dict[str, Any]) -> None:
    with small_disk(empty_server.temporary) as fill:
        fill()
        error = empty_server.fail(**inputs)
    check(error, empty_server, "No space left on device")


def test_a_disk_that_becomes_full_while_it_draws_is_one_line(empty_server: Server) -> None:
    inputs = {**PROMPT, "num_inference_steps": 500, "width": 64, "height": 64, "preview_every": 1}
    with small_disk(empty_server.temporary) as fill:
        stream = Stream(empty_server, inputs, "filling")
        last: dict[str, Any] = {}
        for event, data in stream:
            if event == "output":
                fill()
            last = data
        stream.close()
        assert last["status"] == "failed", last
    check(last["error"], empty_server, "No space left on device")


def test_where_cogs_own_folder_is_full_it_keeps_its_slot(server: Server) -> None:
    """Cog's server would lose it for good."""
    with small_disk(COG_FOLDERS, num_files=3) as fill:
        fill()
        (COG_FOLDERS / "last").mkdir()
        error = server.fail()
        status = server.request("GET", "/health-check")[1]["status"]
    assert "No space left on device; make room" in error and str(COG_FOLDERS) in error and "\n" not in error
    assert status == "READY"
    assert server.predict()["output"]


def test_a_folder_that_is_gone_is_one_line_and_the_next_prediction_works(empty_server: Server) -> None:
    with moved_away(empty_server.temporary):
        error = empty_server.fail()
    check(error, empty_server, "No such file or directory")
