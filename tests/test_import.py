"""Nothing heavy happens on import; what imports what, and how long a module is."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "diffusers", "transformers")


@pytest.mark.parametrize(
    "program",
    [
        "import jsd",
        "import jsd.options, jsd.schedulers, jsd.errors, jsd.i18n",
        "from jsd import SamplingOptions; SamplingOptions(prompt='猫')",
        "from jsd.cli import main; main(['--help'])",
        "from jsd.cli import main; main(['generate', '--help'])",
        "from jsd.cli import main; main(['generate', '猫', '--num-inference-steps', '0'])",
    ],
)
def test_it_does_not_import_torch(program: str) -> None:
    check = f"import sys; print('heavy:', [name for name in {HEAVY} if name in sys.modules])"
    wrapped = f"try:\n    {program}\nexcept SystemExit:\n    pass\n{check}"
    result = subprocess.run([sys.executable, "-c", wrapped], capture_output=True, text=True)
    assert "heavy: []" in result.stdout, f"{program}: {result.stdout[-200:]}{result.stderr[-2000:]}"


def test_python_m_jsd_answers_help() -> None:
    result = subprocess.run([sys.executable, "-m", "jsd", "--help"], capture_output=True, text=True)
    assert result.returncode == 0 and "generate" in result.stdout, result.stderr


@cache
def trees() -> dict[str, ast.Module]:
    """Of every module: jsd.pipeline, …; a package goes by its own name."""
    paths = {path: path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "jsd").rglob("*.py")}
    return {".".join(parts).removesuffix(".__init__"): ast.parse(path.read_text()) for path, parts in paths.items()}


@cache
def imports() -> dict[str, set[str]]:
    """module -> those of jsd that it imports, within functions and for typing too; the public face left out."""
    found = {}
    for module, tree in trees().items():
        named = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module is not None]
        names = {(str(node.module), alias.name) for node in named for alias in node.names}
        both = {f"{source}.{name}" if f"{source}.{name}" in trees() else source for source, name in names}
        found[module] = {name for name in both if name in trees()} - {module, "jsd"}
    return {**found, "jsd": set()}


def test_no_modules_import_each_other() -> None:
    order = list(TopologicalSorter(imports()).static_order())  # CycleError names a circle
    assert set(order) == set(trees()) and len(imports()["jsd.pipeline"]) > 10


def test_what_draws_knows_nothing_of_training() -> None:
    houses = {"training": "jsd.training", "commands": "jsd.cli"}
    of = {
        house: {module for module, names in imports().items() if any(name.startswith(start) for name in names)}
        for house, start in houses.items()
    }
    assert {name for name in of["training"] if not name.startswith(("jsd.training", "jsd.cli"))} == set()
    assert {name for name in of["commands"] if not name.startswith("jsd.cli")} == {"jsd.__main__"}


def test_a_module_and_a_function_can_be_read_at_a_sitting() -> None:
    """CONTRIBUTING.md; `run` of predict.py, Cog's literals, is no part of the package."""
    long = [name for name, tree in trees().items() if tree.body and (tree.body[-1].end_lineno or 0) > 350]
    functions = [
        f"{name}.{node.name}"
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == [] and functions == []
