"""The set-up: pinned versions that agree, and commands that exist."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
NAMED = sorted({*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)})


FILES = ("requirements.txt", "requirements-cog.txt")


def pins(file: str = "requirements.txt") -> dict[str, str]:
    lines = (ROOT / file).read_text("utf-8").splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in rows}


def test_an_installed_package_has_every_file_that_the_code_reads() -> None:
    """setuptools takes modules along, and of other files only those that it is told of."""
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    taken = {
        path
        for name, patterns in globs.items()
        for pattern in patterns
        for path in ROOT.joinpath(*name.split(".")).glob(pattern)
    }
    others = {
        path
        for path in (ROOT / "jsd").rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert others - taken == set()


@pytest.mark.parametrize("file", FILES)
def test_requirements_hold_versions_that_pyproject_admits(file: str) -> None:
    brought = {"cog"} if file == "requirements-cog.txt" else set()  # by Cog itself
    refused = {
        line
        for line in PROJECT["dependencies"]
        if (name := canonicalize_name(Requirement(line).name)) not in brought
        and pins(file).get(name, "nothing") not in Requirement(line).specifier
    }
    assert not refused, "run: make requirements"


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


@pytest.mark.parametrize("file", FILES)
def test_requirements_name_no_build_and_no_index(file: str) -> None:
    lines = (ROOT / file).read_text("utf-8").splitlines()[1:]
    unexpected = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)]
    assert not unexpected, "each line is name==version, for every machine"


def test_no_package_is_named_at_two_versions() -> None:
    names = [canonicalize_name(Requirement(line).name) for line in NAMED]
    assert len(names) == len(set(names)), "an extra that repeats another's package repeats its version"


@pytest.mark.parametrize("line", NAMED)
def test_the_tests_run_on_a_version_that_pyproject_admits(line: str) -> None:
    requirement = Requirement(line)
    # torch's wheels carry their build: 2.13.0+cpu.
    assert version(requirement.name).partition("+")[0] in requirement.specifier, "run: make test"


def imported(folder: Path) -> Iterator[tuple[Path, str]]:
    """(file, top-level module) of every import in `folder`, the lazy ones too."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
                yield path, node.module.partition(".")[0]


@pytest.mark.parametrize("folder", ["jsd", "runs", "benchmarks", "tests"])
def test_every_package_that_is_imported_is_pinned(folder: str) -> None:
    """By name: what only comes along with another package changes its version, or goes, without a word."""
    pinned = {*pins(), *(canonicalize_name(Requirement(line).name) for line in NAMED), "jsd"}
    packages = packages_distributions()
    unpinned = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, name in imported(ROOT / folder)
        if name in packages
        and name not in sys.stdlib_module_names
        and not {canonicalize_name(package) for package in packages[name]} & pinned
    }
    assert not unpinned


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
    plan = subprocess.run(["make", "--dry-run", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'jsd generate "サラリーマン 油絵"' in plan


def test_ci_checks_then_tests() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text("utf-8")
    assert script.stat().st_mode & 0o111, ".ci/run must be executable"
    assert "set -euo pipefail" in text
    assert text.index("make check") < text.index("make test")
