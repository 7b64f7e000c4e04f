"""The set-up: pinned versions that agree, and commands that exist."""

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in rows}


def test_an_installed_package_has_every_file_that_the_code_reads() -> None:
    """setuptools takes modules along, and of other files only those that it is told of."""
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    taken = {
        path for name, patterns in globs.items() for pattern in patterns
        for path in ROOT.joinpath(*name.split(".")).glob(pattern)
    }  # fmt: skip
    others = {
        path for path in (ROOT / "jsd").rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }  # fmt: skip
    assert others - taken == set()


@pytest.mark.parametrize("dependency", PROJECT["dependencies"])
def test_requirements_hold_the_version_of_pyproject(dependency: str) -> None:
    name, version = dependency.split("==")
    assert pins().get(canonicalize_name(name)) == version, "run: make requirements"


def test_requirements_hold_nothing_that_the_core_does_not_bring() -> None:
    wanted = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    unread = list(wanted)
    while unread:
        for line in installed_requirements(unread.pop()):
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and name not in wanted:
                wanted.add(name)
                unread.append(name)
    assert not set(pins()) - wanted, "run: make requirements"


def installed_requirements(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:  # a CUDA library of another build of torch
        return []


def test_requirements_name_no_build_and_no_index() -> None:
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()[1:]
    unexpected = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)]
    assert not unexpected, "each line is name==version, for every machine"


def test_all_pins_of_pyproject_are_exact() -> None:
    extras = [line for group in PROJECT["optional-dependencies"].values() for line in group]
    loose = [line for line in [*PROJECT["dependencies"], *extras] if "==" not in line]
    assert not loose


def test_the_version_is_the_packages() -> None:
    import jsd

    assert PROJECT["version"] == jsd.__version__


@pytest.mark.parametrize("target", ["demo", "test", "check"])
def test_make_sets_up_before_it_runs(target: str) -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert plan.index("-m venv .venv") < plan.index("pip install") < plan.index("touch .venv/.installed")
    assert "-r requirements.txt" in plan, "the versions must be the pinned ones"


def test_demo_draws_the_default_prompt() -> None:
    plan = subprocess.run(
        ["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert 'jsd generate "サラリーマン 油絵"' in plan


def test_ci_checks_then_tests() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text("utf-8")
    assert script.stat().st_mode & 0o111, ".ci/run must be executable"
    assert "set -euo pipefail" in text
    assert text.index("make check") < text.index("make test")
