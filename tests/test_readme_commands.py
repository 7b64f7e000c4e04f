"""Every command that a document shows parses, and every command that there is is shown."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from typing import get_args

import pytest
from documents import INPUTS, commands

from benchmarks.run import build_parser as build_benchmark_parser
from jsd.cli import build_parser
from jsd.options import SamplingOptions
from runs.blocks import ROOT

# Inputs about the file, not the picture: no fields of SamplingOptions.
OUTPUT_INPUTS = {"output_format", "output_quality", "preview_every"}
# A document is text; these are programs that it may call beside ours.
OTHER_PROGRAMS = {"cog", "docker"}


def check_jsd(arguments: list[str]) -> None:
    build_parser().parse_args(arguments)


def check_make(arguments: list[str]) -> None:
    found = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    # A name that is no target may still be a folder, and make content with it.
    assert set(arguments) <= set(found[1].split())
    subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)


def check_python_module(arguments: list[str]) -> None:
    assert arguments[0] == "-m", "the README runs modules only"
    if arguments[1] == "benchmarks.run":
        build_benchmark_parser().parse_args(arguments[2:])
    else:
        assert (ROOT / f"{arguments[1].replace('.', '/')}.py").is_file()
        assert not arguments[2:], "options of this module are not checked; leave them out or check them here"


def check_python_program(arguments: list[str]) -> None:
    assert arguments[0] == "-c"
    ast.parse(arguments[1])


def check_curl(arguments: list[str]) -> None:
    """A prediction, of `jsd serve` or of Replicate."""
    request = json.loads(arguments[arguments.index("-d") + 1])
    assert set(request["input"]) <= set(INPUTS)
    SamplingOptions(**{name: value for name, value in request["input"].items() if name not in OUTPUT_INPUTS})


def check_activation(arguments: list[str]) -> None:
    assert arguments == [".venv/bin/activate"]


def check_export(arguments: list[str]) -> None:
    assert arguments[0].split("=")[0] in {"HF_TOKEN", "JSD_WEIGHTS", "JSD_LANG"}


def check_pip(arguments: list[str]) -> None:
    """An extra of this package."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    # Without -e pip would replace make's editable install by a copy, far from weights/ and predict.py.
    assert arguments[:2] == ["install", "-e"]
    assert arguments[2] in {f".[{extra}]" for extra in extras}


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "jsd": check_jsd,
    "make": check_make,
    "pip": check_pip,
    "python": check_python_module,
    "python3": check_python_program,
    "curl": check_curl,
    ".": check_activation,
    "export": check_export,
}


@pytest.mark.parametrize(("line", "command"), commands(), ids=[line for line, _ in commands()])
def test_the_command_parses(line: str, command: list[str]) -> None:
    program, *arguments = command
    assert program in CHECKS or program in OTHER_PROGRAMS, f"nobody checks what `{program}` takes: {line}"
    if program in CHECKS:
        CHECKS[program](arguments)


def test_every_command_of_jsd_is_shown() -> None:
    from jsd.cli import COMMANDS

    shown = {command[1] for _, command in commands() if command[0] == "jsd"}
    assert set(COMMANDS) == shown


# A command prints no picture half drawn.
@pytest.mark.parametrize("name", sorted(set(INPUTS) - {"prompt", "preview_every"}))
def test_an_input_is_an_option_of_the_command_line(name: str) -> None:
    kind = (*get_args(INPUTS[name].annotation), INPUTS[name].annotation)[0]
    value = {"int": "1", "float": "1", "str": "x", "Path": "x", "bool": None}[kind.__name__]
    if INPUTS[name].default.choices:
        value = INPUTS[name].default.choices[0]
    option = f"--{name.replace('_', '-')}"
    args = build_parser().parse_args(["generate", "猫", option, *([] if value is None else [value])])
    assert hasattr(args, name)
