"""The set-up: files of exact versions that pyproject.toml admits, what a wheel holds, what make does."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import jsd

ROOT = Path(__file__).parents[1]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: list(map(Requirement, lines)) for name, lines in PROJECT["optional-dependencies"].items()}
# file of exact versions -> what it must hold
FILES = {
    "requirements.txt": [*CORE, *EXTRAS["readings"]],
    "requirements-cog.txt": [*(one for one in CORE if one.name != "cog"), *EXTRAS["readings"]],  # Cog brings its own
    "requirements-test.txt": [*CORE, *(one for lines in EXTRAS.values() for one in lines)],
}


def pins(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text("utf-8").splitlines()[1:]
    unexpected = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line)]
    assert not unexpected, "each line is name==version, for every machine: no build, no index"
    return {canonicalize_name(name): pinned for name, pinned in (line.split("==") for line in lines)}


@pytest.mark.parametrize("file", FILES)
def test_the_exact_versions_are_admitted_by_pyproject(file: str) -> None:
    pinned = pins(file)
    refused = [str(one) for one in FILES[file] if pinned.get(canonicalize_name(one.name), "0") not in one.specifier]
    assert not refused, "run: make requirements"


def test_the_tests_run_with_the_versions_of_their_file() -> None:
    """torch's wheels carry their build: 2.13.0+cpu."""
    pinned = pins("requirements-test.txt")
    named = {canonicalize_name(one.name) for one in FILES["requirements-test.txt"]}
    differing = {name for name in named if version(name).partition("+")[0] != pinned[name]}
    assert not differing, "run: make test"
    assert pins("requirements.txt").items() <= pinned.items()


def test_an_installed_package_has_every_file_that_the_code_reads() -> None:
    """setuptools takes modules along, and of other files only those that it is told of."""
    globs = SETTINGS["tool"]["setuptools"]["package-data"]
    folders = {name: ROOT.joinpath(*name.split(".")) for name in globs}
    taken = {path for name, patterns in globs.items() for one in patterns for path in folders[name].glob(one)}
    held = {path for path in (ROOT / "jsd").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path for path in held if path.suffix != ".py"} - taken == set()


def imported(folder: Path) -> Iterator[tuple[Path, str]]:
    """(file, top-level module) of every import in `folder`, the lazy ones too."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
                yield path, node.module.partition(".")[0]


@pytest.mark.parametrize("folder", ["jsd", "runs", "benchmarks", "tests"])
def test_every_package_that_is_imported_is_named(folder: str) -> None:
    """What only comes along with another package changes its version, or goes, without a word."""
    # httpx2 is the client of one of the versions of huggingface_hub, and imported as such.
    named = {*(canonicalize_name(one.name) for one in FILES["requirements-test.txt"]), "jsd", "httpx2"}
    packages = packages_distributions()
    unnamed = {
        f"{path.relative_to(ROOT)}: {name}"
        for path, name in imported(ROOT / folder)
        if name in packages
        and name not in sys.stdlib_module_names
        and not {canonicalize_name(package) for package in packages[name]} & named
    }
    assert not unnamed


def test_the_version_is_the_packages() -> None:
    assert PROJECT["version"] == jsd.__version__


@pytest.mark.parametrize("target", ["demo", "test", "test-quick", "check"])
def test_make_installs_exact_versions_before_it_runs(target: str) -> None:
    command = ["make", "--dry-run", "--always-make", target, "PIP_ARGS=--from-elsewhere"]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    file = "requirements.txt" if target == "demo" else "requirements-test.txt"
    assert plan.index("-m venv .venv") < plan.index(f"--from-elsewhere -r {file}") < plan.rindex(".venv/bin/")


def test_ci_checks_then_tests() -> None:
    script = ROOT / ".ci" / "run"
    lines = script.read_text("utf-8").splitlines()
    assert script.stat().st_mode & 0o111 and "set -euo pipefail" in lines
    assert lines.index("make check") < lines.index("make test")
