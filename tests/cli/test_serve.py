"""jsd serve, as far as it goes without a server; tests/serving/test_cog_server.py starts one."""

import argparse
import sys
from pathlib import Path

import pytest

from jsd.cli import serve
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.serving import cog_server


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser.parse_args(arguments)


def test_only_this_machine_reaches_it_unless_asked() -> None:
    assert (parsed().host, parsed().port) == ("127.0.0.1", 5000)


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_out_of_range(port: int, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="port must be 1 to 65535") as error:
        serve.run(parsed(f"--port={port}", "--weights", str(tmp_path)))
    assert error.value.field == "port"


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="nowhere"):
        serve.run(parsed("--weights", str(tmp_path / "nowhere")))


def test_a_folder_that_cannot_be_loaded_is_told_before_there_is_a_server(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="has 8 problem"):
        serve.run(parsed("--weights", str(tmp_path)))


def test_the_worker_is_this_python(tmp_path: Path) -> None:
    path = cog_server.server_environment(5000, tmp_path)["PATH"]
    assert path.split(":")[0] == str(Path(sys.executable).parent)


def test_the_predictor_is_the_one_of_cog_yaml(tmp_path: Path) -> None:
    stub = cog_server.server_environment(5000, tmp_path)["COG_PREDICT_TYPE_STUB"]
    text = (Path(__file__).parents[2] / "cog.yaml").read_text("utf-8")
    assert f'run: "{stub}"' in text
