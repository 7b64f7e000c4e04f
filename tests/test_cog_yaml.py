"""cog.yaml against Cog's own schema, and against the files that it names."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COG_SCHEMA = ROOT.parent / "shared" / "data" / "cog" / "config_schema_v1.0.json"


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "cog.yaml").read_text("utf-8"))
    return loaded


def pinned(name: str) -> str:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    return next(line.split("==")[1] for line in lines if line.startswith(f"{name}=="))


@pytest.mark.skipif(not COG_SCHEMA.is_file(), reason=f"Cog's schema is not here: {COG_SCHEMA}")
def test_it_is_valid_for_cog(config: dict[str, Any]) -> None:
    from jsonschema import Draft7Validator

    errors = Draft7Validator(json.loads(COG_SCHEMA.read_text("utf-8"))).iter_errors(config)
    assert not [f"{error.json_path}: {error.message}" for error in errors]


def test_predict_names_a_class_in_a_file_that_exists(config: dict[str, Any]) -> None:
    file, _, name = config["predict"].partition(":")
    assert f"class {name}(" in (ROOT / file).read_text("utf-8")


def test_requirements_file_exists(config: dict[str, Any]) -> None:
    assert (ROOT / config["build"]["python_requirements"]).is_file()


def test_the_image_gets_the_extra_for_kana_spellings(config: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (step,) = config["build"]["run"]
    assert [word for word in step.split() if "==" in word] == project["optional-dependencies"]["readings"]


def test_sdk_is_the_version_that_the_tests_run(config: dict[str, Any]) -> None:
    assert config["build"]["sdk_version"] == pinned("cog")


def test_cuda_is_named_because_cogs_table_ends_before_this_torch(config: dict[str, Any]) -> None:
    # torch 2.11 to 2.13 on PyPI are built for CUDA 13.0.
    assert pinned("torch") == "2.13.0", "another torch: look up the CUDA of its PyPI build, then change both"
    assert config["build"]["gpu"] is True
    assert config["build"]["cuda"] == "13.0"


def test_the_image_holds_the_weights_and_leaves_the_rest_out() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert not [line for line in lines if "weights" in line and not line.startswith("#")]
    assert {".git", ".venv", "/data", "/checkpoints"} <= set(lines)
