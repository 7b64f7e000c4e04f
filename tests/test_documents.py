"""The documents: commands parse, Python runs, links lead somewhere, tables are the code's, both languages agree."""

import ast
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from inspect import signature
from pathlib import Path

import pytest

from benchmarks.run import build_parser as build_benchmark_parser
from jsd.cli import COMMANDS, build_parser
from jsd.options import OPTIONS, SamplingOptions
from predict import Predictor
from runs import licences_table, options_table, results_table, scale, strip
from runs.blocks import DOCS, MODEL_CARD, README, README_JA, ROOT, TRAINING, read_block
from runs.results_table import NATURAL_ROWS, embedded_block, load_reports, natural_block, results_block

PAGES = [README, *(page for page in sorted(DOCS.glob("*.md")) if not page.name.endswith(".ja.md"))]
TRANSLATED = [page for page in PAGES if page.name != "training-log.md"]  # the record of what was tried
DOCUMENTS = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), ROOT / "weights" / "README.md", MODEL_CARD]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# Folders that a command makes; git does not hold them.
MADE = ("outputs/", "checkpoints/", "data/", "build/", "weights/rinna", "weights/tohoku-sdxl")
# block -> its pages, what the command that writes it says now
BLOCKS: dict[str, tuple[Sequence[Path], Callable[[], str]]] = {
    "strip": ((README, README_JA), strip.strip_block),
    "sheet": (TRAINING, strip.sheet_block),
    "options": ((DOCS / "options.md",), partial(options_table.options_block, "en")),
    "options in Japanese": ((DOCS / "options.ja.md",), partial(options_table.options_block, "ja")),
    "sources": (licences_table.PAGES, licences_table.sources_block),
    "packages": (licences_table.PAGES, licences_table.packages_block),
    "results": (results_table.PAGES, lambda: results_block(load_reports())),
    "natural": (results_table.PAGES, lambda: natural_block(load_reports(rows=NATURAL_ROWS))),
    "embedded": (results_table.READMES, lambda: embedded_block(load_reports(rows=NATURAL_ROWS))),
    "scored": (results_table.SCORED_PAGES, results_table.scored_block),
    "corpus": ((MODEL_CARD,), results_table.corpus_block),
    "scale": (scale.PAGES, scale.scale_block),
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    return [text for found, text in FENCED.findall(path.read_text("utf-8")) if found == language]


def prose(path: Path) -> str:
    return FENCED.sub("", path.read_text("utf-8"))


def commands(path: Path) -> Iterator[list[str]]:
    """Each command of the page's shell blocks as its words; a pipe's programs one by one."""
    for line in "\n".join(blocks(path, "sh")).replace("\\\n", " ").splitlines():
        for part in shlex.join(shlex.split(line, comments=True)).split("'|'"):
            if part.strip():
                yield shlex.split(part)


def check_make(arguments: list[str]) -> None:
    found = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert found is not None and set(arguments) <= set(found[1].split()), "no such target"
    subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)


def check_python(arguments: list[str]) -> None:
    if arguments[0] == "-c":
        ast.parse(arguments[1])
    elif arguments[1] == "benchmarks.run":
        build_benchmark_parser().parse_args(arguments[2:])
    else:
        assert arguments[0] == "-m" and (ROOT / f"{arguments[1].replace('.', '/')}.py").is_file()


def check_curl(arguments: list[str]) -> None:
    if "-d" in arguments and '"input"' in (body := arguments[arguments.index("-d") + 1]):
        given = json.loads(body)["input"]
        assert set(given) <= set(signature(Predictor.run).parameters)
        SamplingOptions(**{"prompt": "", **{name: value for name, value in given.items() if name in OPTIONS}})


def check_pip(arguments: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    # Without -e pip would replace make's editable install by a copy, far from weights/ and predict.py.
    assert arguments[:2] == ["install", "-e"] and arguments[2] in {f".[{extra}]" for extra in extras}


CHECKS: dict[str, Callable[[list[str]], object]] = {
    "jsd": lambda arguments: arguments == ["--help"] or build_parser().parse_args(arguments),
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
    "curl": check_curl,
    "accelerate": lambda arguments: build_parser().parse_args(arguments[arguments.index("jsd") + 1 :]),
}
NOT_OURS = {".", "cd", "cog", "docker", "export", "git"}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_the_commands_exist_and_take_what_they_are_given(path: Path) -> None:
    for program, *arguments in commands(path):
        assert program in CHECKS or program in NOT_OURS, f"nobody checks what {program} takes"
        CHECKS.get(program, bool)(arguments)


def test_every_command_of_jsd_is_shown() -> None:
    shown = {words[1] for path in DOCUMENTS for words in commands(path) if words[0] == "jsd"}
    assert set(COMMANDS) - shown == set()


# Those of these ask a server: tests/serving runs them.
@pytest.mark.parametrize("path", [page for page in PAGES if page.stem not in ("api", "clients", "page")], ids=name)
def test_the_python_runs(path: Path, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSD_WEIGHTS", str(toy_folder))
    for text in blocks(path, "python"):
        exec(compile(text, path.name, "exec"), {})
        assert "save(" not in text or {"salaryman-0.png", "salaryman-1.png"} == {one.name for one in tmp_path.iterdir()}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_what_it_links_and_names_is_there(path: Path) -> None:
    text = prose(path)
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", text):
        page = path.parent / target if target else path
        assert page.exists(), target
        heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
    ours = tuple(f"{entry.name}/" for entry in ROOT.iterdir() if entry.is_dir())
    named = [word for word in re.findall(r"`([^`\n ]+)`", text) if word.startswith(ours) and not word.startswith(MADE)]
    assert [word for word in named if not list(ROOT.glob(word))] == []
    assert re.findall(r"(?<![\w.:/-])/(?:home|root|work|Users|mnt)/\S*", text) == [], "a folder of one machine"


def links(path: Path) -> set[str]:
    return set(re.findall(r"\]\(([^)#]*)", prose(path).replace(".ja.md", ".md")))


@pytest.mark.parametrize("english", TRANSLATED, ids=name)
def test_both_languages_have_the_same_parts(english: Path) -> None:
    """Comments are translated; headings' levels, commands, examples and the files that are linked are the same."""
    for parts in (
        links,
        lambda path: re.findall(r"^#+(?= )", prose(path), re.MULTILINE),
        lambda path: list(commands(path)),
        lambda path: [ast.dump(ast.parse(text)) for text in blocks(path, "python")],
        lambda path: blocks(path, "js") + blocks(path, "json"),
    ):
        assert parts(english.with_suffix(".ja.md")) == parts(english)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_written_blocks_are_what_their_commands_write(block: str) -> None:
    pages, write = BLOCKS[block]
    for page in pages:
        text = read_block(page.read_text("utf-8"), block.split()[0])
        assert text == write(), f"{name(page)}: run the command that the block names"


def test_the_readme_is_one_page_that_leads_to_all_others() -> None:
    assert README.stat().st_size < 7_000
    assert {name(page) for page in TRANSLATED} <= links(README) | {"README.md"}
