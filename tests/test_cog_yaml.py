"""cog.yaml by Cog's own rules and schema, and beside the files that it names."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cog_rules import RULES, problems
from jsonschema import Draft7Validator

ROOT = Path(__file__).parents[1]
COG_SCHEMA = ROOT.parent / "shared" / "data" / "cog" / "config_schema_v1.0.json"

Config = dict[str, Any]


@pytest.fixture
def config() -> Config:
    loaded: Config = yaml.safe_load((ROOT / "cog.yaml").read_text("utf-8"))
    return loaded


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def test_cog_accepts_it(config: Config) -> None:
    assert problems(config, ROOT) == []


if COG_SCHEMA.is_file():  # a copy beside the repository; its rules are among those of `problems`

    def test_it_is_valid_by_cogs_schema(config: Config) -> None:
        errors = Draft7Validator(json.loads(COG_SCHEMA.read_text("utf-8"))).iter_errors(config)
        assert not [f"{error.json_path}: {error.message}" for error in errors]


def without(config: Config, key: str) -> None:
    del config["build"][key]


# rule, what is done to a good cog.yaml
FAULTS: list[tuple[int, Callable[[Config], object]]] = [
    (1, lambda config: config.update(predictor="predict.py:Predictor")),
    (1, lambda config: config["build"].update(python="3.11")),
    (1, lambda config: config.update(predict="predict.py:Predictor")),
    (2, lambda config: config["environment"].append("PYTHONUNBUFFERED=1")),
    (2, lambda config: config["environment"].append("CUDA_VISIBLE_DEVICES=0")),
    (2, lambda config: config["environment"].append("HF_HUB_OFFLINE=0")),
    (2, lambda config: config["environment"].append("NAME")),
    (2, lambda config: config["environment"].append("NAME=two words")),
    (2, lambda config: config["environment"].append("NAME=$HOME")),
    (3, lambda config: config.update(run="predict:Predictor")),
    (4, lambda config: config["build"].update(python_version="3.9")),
    (4, lambda config: config["build"].update(cuda="12.7")),
    (5, lambda config: config["build"].update(python_packages=["numpy==2.4.6"])),
    (5, lambda config: config["build"].update(python_requirements="nowhere.txt")),
    (6, lambda config: (config["build"].update(python_requirements="requirements.txt"), without(config, "cuda"))),
    (7, lambda config: config.update(concurrency={"max": 2})),
    (8, lambda config: config.update(weights=[{"name": "mini"}])),
    (9, lambda config: config["build"].update(sdk_version="0.15.9")),
    (9, lambda config: config["build"].update(run=["true\ntrue"])),
    (10, lambda config: config.update(run="predict.py:Runner")),
]


@pytest.mark.parametrize(("rule", "break_it"), FAULTS)
def test_the_rules_find_the_fault(config: Config, rule: int, break_it: Callable[[Config], object]) -> None:
    broken = copy.deepcopy(config)
    break_it(broken)
    assert rule in problems(broken, ROOT)


def test_every_rule_has_a_fault() -> None:
    assert {rule for rule, _ in FAULTS} == set(range(1, len(RULES) + 1))


def test_a_python_version_that_is_missing_is_a_fault(config: Config) -> None:
    without(config, "python_version")
    assert 1 in problems(config, ROOT)


def test_the_image_gets_what_the_tests_run_but_for_torch_of_cogs_table(config: Config) -> None:
    tested, image = pins("requirements.txt"), pins(config["build"]["python_requirements"])
    assert config["build"]["sdk_version"] == tested["cog"]
    assert not {"cog", "coglet"} & set(image), "Cog installs them itself, and warns of any other"
    assert {name for name in tested if image.get(name, tested[name]) != tested[name]} <= {"torch", "setuptools"}
    assert set(tested) ^ set(image) == {"cog", "coglet"}
    # The pair that Replicate has a base image of; its kernels include the T4's.
    assert (image["torch"], config["build"]["cuda"], config["build"]["gpu"]) == ("2.11.0", "12.6", True)


def test_jsd_is_a_command_inside_the_image(config: Config, tmp_path: Path) -> None:
    """Its line writes a program that runs the package in /src, here of this folder, from anywhere."""
    (line,) = config["build"]["run"]
    line = line.replace("/usr/local/bin", str(tmp_path)).replace("/src", str(ROOT))
    subprocess.run(["/bin/sh", "-c", line], check=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [tmp_path / "jsd", "--version"]
    said = subprocess.run(command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=True)
    assert said.stdout.startswith("jsd ")


def test_the_image_holds_the_weights_and_leaves_the_rest_out() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [line for line in lines if "weights" in line and not line.startswith("#")] == ["weights/.*"], "half of one"
    assert {".git", ".venv", "/data", "/checkpoints"} <= set(lines)


def test_the_plain_image_serves_is_not_root_and_tells_its_health() -> None:
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.partition(" ") for line in text.splitlines() if line and not line.startswith("#")]
    said = {key: value for key, _, value in lines}
    assert said["FROM"] == "python:3.11-slim" and said["USER"] == "jsd"
    assert json.loads(said["CMD"]) == ["jsd", "serve", "--host", "0.0.0.0"]
    program = json.loads(said["HEALTHCHECK"].partition("CMD ")[2])[2]
    compile(program, "HEALTHCHECK", "exec")
    assert f":{said['EXPOSE']}/health-check" in program
    left_out = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    copied = [word for key, _, value in lines if key == "COPY" for word in value.split()[:-1] if word != "."]
    assert all((ROOT / name).is_file() and f"/{name}" not in left_out for name in [*copied, "README.md", "LICENSE"])
