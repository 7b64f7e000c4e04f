"""What a server is told before it begins, without one: bounds and folders of the environment, the image's own."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jsd.cli import serve
from jsd.cli.arguments import add_output_arguments, offer_loras
from jsd.errors import InvalidInputError
from jsd.serving.cog_server import server_environment
from jsd.serving.loras import lora_names
from jsd.serving.prediction import Service
from runs.blocks import ROOT


def serve_nothing() -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    serve.run(parser.parse_args(["--weights", "/nowhere"]))


@pytest.mark.parametrize("start", [serve_nothing, Service.load])
@pytest.mark.parametrize("value", ["much", "nan", "inf", "0", "-1"])
def test_a_bound_that_is_none_is_told_at_the_start(
    value: str, start: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_MAX_MEGAPIXEL_STEPS", value)
    monkeypatch.setenv("JSD_WEIGHTS", "/nowhere")
    with pytest.raises(InvalidInputError) as error:
        start()
    assert error.value.params == {"field": "JSD_MAX_MEGAPIXEL_STEPS", "value": repr(value)}


def test_lora_files_of_the_environment_are_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cog's server runs in one of its own."""
    (tmp_path / "loras").mkdir()
    (tmp_path / "loras" / "cat.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSD_LORAS", "loras")
    offer_loras(None)
    assert server_environment(5000, tmp_path)["JSD_LORAS"] == str(tmp_path.resolve() / "loras")
    monkeypatch.chdir("/")
    assert lora_names() == ["cat.safetensors"]


def test_a_folder_of_the_environment_that_is_not_there_is_named_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_LORAS", str(tmp_path / "gone"))
    with pytest.raises(InvalidInputError, match=r"JSD_LORAS must be a folder.*gone; check the path"):
        offer_loras(None)


def test_the_plain_images_user_may_write_pictures_where_they_go_by_default() -> None:
    parser = argparse.ArgumentParser()
    add_output_arguments(parser)
    text = (ROOT / "Dockerfile").read_text("utf-8")
    (workdir,), (made,) = re.findall(r"^WORKDIR (.*)", text, re.MULTILINE), re.findall(r"install -d -o jsd (.*)", text)
    assert f"{workdir}/{parser.parse_args([]).output_dir}" in made.split()
