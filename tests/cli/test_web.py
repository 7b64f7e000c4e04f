"""jsd web, as far as it goes without a browser; tests/serving/test_web.py drives one."""

import argparse
import socket
import sys
from pathlib import Path

import pytest

from jsd.cli import main, web


def test_only_this_machine_reaches_it_unless_asked() -> None:
    parser = argparse.ArgumentParser()
    web.add_arguments(parser)
    args = parser.parse_args([])
    assert (args.host, args.port) == ("127.0.0.1", 7860)


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        assert main(["web", "--port", str(other.getsockname()[1])]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "choose another with --port" in error


def test_a_port_out_of_range_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "--port", "65536"]) == 2
    assert "port must be a whole number from 1 to 65535, got 65536" in capsys.readouterr().err


def test_without_gradio_it_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toy_folder: Path
) -> None:
    monkeypatch.delitem(sys.modules, "jsd.serving.page", raising=False)
    monkeypatch.setitem(sys.modules, "gradio", None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert main(["web", "--port", str(port), "--weights", str(toy_folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "pip install -e '.[web]'" in error
