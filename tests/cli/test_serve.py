"""jsd serve, as far as it goes without a server; tests/serving starts one."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from jsd.cli import serve
from jsd.errors import InvalidInputError, ModelFolderError, ServingError
from jsd.serving import cog_server, pictures
from jsd.serving.address import check_address

ROOT = Path(__file__).parents[2]


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser.parse_args(arguments)


def test_only_this_machine_reaches_it_unless_asked() -> None:
    assert (parsed().host, parsed().port) == ("127.0.0.1", 5000)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["--port=0"], "port"),
        (["--port=65536"], "port"),
        (["--port=http"], "port"),
        (["--queue=-1"], "queue"),
        (["--queue-seconds=0"], "queue_seconds"),
        (["--max-megapixel-steps=0"], "max_megapixel_steps"),
        (["--max-megapixel-steps=much"], "max_megapixel_steps"),
        (["--loras=/nowhere"], "loras"),
        (["--weights=/nowhere"], "weights"),
    ],
)
def test_what_cannot_be_served_with_is_refused_by_name(arguments: list[str], field: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError) as error:
        serve.run(parsed("--weights", str(tmp_path), *arguments))
    assert error.value.field == field


def test_weights_that_are_to_be_fetched_are_there_before_a_folder_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[Path] = []
    monkeypatch.setattr("jsd.models.fetch.fetch_folder", lambda folder, **_: fetched.append(folder))
    monkeypatch.setenv("JSD_FETCH", "accept-licence")
    monkeypatch.setenv("JSD_WEIGHTS", str(tmp_path / "rinna"))
    with pytest.raises(InvalidInputError):
        serve.run(parsed())
    assert fetched == [tmp_path / "rinna"]


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [([], True), (["--allow-host", "draw.example"], False), (["--allow-host", "draw.example", "--clients"], True)],
)
def test_clients_of_other_machines_are_answered_where_that_is_asked_for(
    arguments: list[str], answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    monkeypatch.setattr("jsd.serving.front.app.run", lambda *_, model, **__: given.append(model))
    monkeypatch.setattr("jsd.serving.address.check_address", lambda *_, **__: None)
    serve.run(parsed("--weights", str(ROOT / "weights" / "mini"), *arguments))
    assert [one is not None for one in given] == [answers]


@pytest.mark.parametrize("host", ["あ" * 64, "あ..b"])
def test_a_name_that_no_host_can_have_is_one_line(host: str) -> None:
    with pytest.raises(ServingError, match="--port") as error:
        check_address(host, 5000)
    assert "\n" not in str(error.value) and error.value.params["reason"]


def test_a_folder_that_cannot_be_loaded_is_told_before_there_is_a_server(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="has 8 problem"):
        serve.run(parsed("--weights", str(tmp_path)))


def test_a_place_of_another_user_is_told_before_there_is_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coglet").touch()
    monkeypatch.setattr(pictures, "COG_FOLDERS", tmp_path / "coglet" / "predictions")
    with pytest.raises(ServingError, match="let this user write there"):
        serve.run(parsed())


def test_the_worker_is_this_python_on_the_predictor_of_cog_yaml(tmp_path: Path) -> None:
    environment = cog_server.server_environment(5000, tmp_path)
    assert environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert environment["COG_PREDICT_TYPE_STUB"] == f"{ROOT}/predict.py:Predictor"
    assert 'run: "predict.py:Predictor"' in (ROOT / "cog.yaml").read_text("utf-8")
    assert environment["OMP_WAIT_POLICY"] == "passive"


def test_the_front_holds_no_model() -> None:
    """A second torch would cost half a gigabyte and seconds at start."""
    program = "import sys; import jsd.serving.front.app; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
