"""The documentation is executed: its commands parse, its tables are the code's, what it names exists."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.run import build_parser as build_benchmark_parser
from jsd.cli import build_parser
from jsd.data.sources import SOURCES
from jsd.options import SamplingOptions
from jsd.serving.schema import PredictorInput, read_inputs
from runs import strip
from runs.blocks import MODEL_CARD, README, README_JA, ROOT, read_block
from runs.results_table import corpus_block, load_reports, results_block

COG = ROOT / "docs" / "cog.md"
DOCUMENTS = [README, README_JA, ROOT / "CHANGELOG.md", ROOT / "weights" / "README.md", MODEL_CARD, COG]
INPUTS = {row.name: row for row in read_inputs(ROOT / "predict.py")}
# What the tables of inputs say in Japanese.
JAPANESE = {
    "text": "文字列",
    "whole number": "整数",
    "number": "数値",
    "yes or no": "はい・いいえ",
    "picture": "画像",
    "required": "必須",
    "unset": "未指定",
    "empty": "空",
}
TYPES = {"str": "text", "int": "whole number", "float": "number", "bool": "yes or no", "Path": "picture"}
# Inputs about the file, not the picture: no fields of SamplingOptions.
OUTPUT_INPUTS = {"output_format", "output_quality", "preview_every"}
# Folders that a command of the README makes; git does not hold them.
MADE_BY_COMMANDS = ("outputs/", "checkpoints/", "data/", "weights/rinna", "/tmp/")
# A document is text; these are programs that it may call beside ours.
OTHER_PROGRAMS = {"cog", "docker"}


def code_blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), re.DOTALL)


def command_lines(text: str) -> Iterator[list[str]]:
    """Each command of a shell snippet as its words; a pipe's programs one by one."""
    for line in text.replace("\\\n", " ").splitlines():
        command: list[str] = []
        for word in [*shlex.split(line, comments=True), "|"]:
            if word != "|":
                command.append(word)
            elif command:
                yield command
                command = []


def commands() -> list[tuple[str, list[str]]]:
    return [
        (shlex.join(command), command)
        for path in DOCUMENTS
        for block in code_blocks(path, "sh")
        for command in command_lines(block)
    ]


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


def test_every_stage_of_the_embedded_model_is_shown_in_order() -> None:
    from jsd.training.recipes import RECIPES

    lines = [command for block in code_blocks(README, "sh") for command in command_lines(block)]
    shown = [words[5] for words in lines if words[:4] == ["jsd", "train", "--recipe", "mini"] and len(words) == 6]
    assert shown == list(RECIPES["mini"].stages)


def test_the_python_example_runs(toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = code_blocks(README, "python")  # README.ja.md has the same, but for its comments
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSD_WEIGHTS", str(toy_folder))
    exec(compile(example, "README.md", "exec"), {})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["salaryman-0.png", "salaryman-1.png"]


def table_rows(path: Path = README) -> dict[str, list[str]]:
    """input -> its type, limits and default, as the README has them."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", path.read_text("utf-8"), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")[:3]] for name, rest in rows}


def expected_row(row: PredictorInput) -> list[str]:
    keywords = row.keywords
    limits = ", ".join(f"`{choice}`" for choice in keywords.get("choices", ()))
    if "ge" in keywords:
        limits = f"{keywords['ge']} to {keywords['le']}"
    default = f"`{keywords.get('default')}`"
    if row.required:
        default = "required"
    elif keywords["default"] is None:
        default = "unset"
    elif keywords["default"] == "":
        default = "empty"
    return [TYPES[row.type], limits, default]


def test_the_table_of_inputs_has_every_input_and_no_other() -> None:
    assert set(table_rows()) == set(INPUTS)


@pytest.mark.parametrize("name", INPUTS)
def test_the_row_of_an_input_is_the_predictors(name: str) -> None:
    expected = expected_row(INPUTS[name])
    assert table_rows().get(name) == expected, f"| `{name}` | {' | '.join(expected)} | ... |"


@pytest.mark.parametrize("name", INPUTS)
def test_the_row_of_an_input_is_the_same_in_japanese(name: str) -> None:
    cells = [JAPANESE.get(cell, cell).replace(" to ", "〜") for cell in expected_row(INPUTS[name])]
    assert table_rows(README_JA).get(name) == cells, f"| `{name}` | {' | '.join(cells)} | ... |"


def test_the_japanese_readme_has_the_same_inputs_in_the_same_order() -> None:
    assert list(table_rows(README_JA)) == list(table_rows())


def test_the_japanese_readme_has_the_same_commands() -> None:
    """Comments are translated; the commands are not, nor their order."""
    english, japanese = (
        [list(command_lines(block)) for block in code_blocks(path, "sh")] for path in (README, README_JA)
    )
    assert japanese == english


def test_the_japanese_readme_has_the_same_python() -> None:
    english, japanese = (
        [ast.dump(ast.parse(block)) for block in code_blocks(path, "python")] for path in (README, README_JA)
    )
    assert japanese == english


@pytest.mark.parametrize("name", ["strip", "results"])
def test_the_japanese_readme_has_the_same_generated_block(name: str) -> None:
    english, japanese = (read_block(path.read_text("utf-8"), name) for path in (README, README_JA))
    assert japanese == english, f"run: python -m runs.{'strip' if name == 'strip' else 'results_table'}"


def test_the_japanese_readme_has_the_same_sections() -> None:
    english, japanese = (
        re.findall(r"^#+(?= )", re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL), re.MULTILINE)
        for path in (README, README_JA)
    )
    assert japanese == english


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (README, "weight of {low} to {high}"),
        (README, "one of {styles} styles"),
        (README, "(at most {windows} parts)"),
        (README, "at most {characters} characters"),
        (README_JA, "{low} から {high} までの重み"),
        (README_JA, "スタイルは {styles} 種類"),
        (README_JA, "（最大 {windows} 個）"),
        (README_JA, "{characters} 文字まで"),
    ],
)
def test_a_limit_of_prompts_is_the_codes(path: Path, sentence: str) -> None:
    from jsd.options import MAX_CHARACTERS
    from jsd.prompting.emphasis import HIGHEST_WEIGHT, LOWEST_WEIGHT
    from jsd.prompting.presets import STYLES
    from jsd.prompting.windows import MAX_WINDOWS

    said = sentence.format(
        low=f"{LOWEST_WEIGHT:g}",
        high=f"{HIGHEST_WEIGHT:g}",
        styles=len(STYLES),
        windows=MAX_WINDOWS,
        characters=f"{MAX_CHARACTERS:,}",
    )
    # Wherever the lines break.
    assert " ".join(said.split()) in " ".join(path.read_text("utf-8").split())


def test_the_styles_of_the_examples_are_styles() -> None:
    from jsd.prompting.presets import STYLES

    named = re.findall(r"--style (\w+)", README.read_text("utf-8") + README_JA.read_text("utf-8"))
    assert named and set(named) <= set(STYLES)


def test_the_api_examples_of_the_cog_notes_parse() -> None:
    (python,), (javascript,) = code_blocks(COG, "python"), code_blocks(COG, "js")
    ast.parse(python)
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed: the JavaScript example is not checked")
    subprocess.run([node, "--input-type=module", "--check"], input=javascript, text=True, check=True)


# A command prints no picture half drawn.
@pytest.mark.parametrize("name", sorted(set(INPUTS) - {"prompt", "preview_every"}))
def test_an_input_is_an_option_of_the_command_line(name: str) -> None:
    value = {"int": "1", "float": "1", "str": "x", "Path": "x", "bool": None}[INPUTS[name].type]
    if "choices" in INPUTS[name].keywords:
        value = INPUTS[name].keywords["choices"][0]
    option = f"--{name.replace('_', '-')}"
    args = build_parser().parse_args(["generate", "猫", option, *([] if value is None else [value])])
    assert hasattr(args, name)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_it_links_exist(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text("utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_paths_it_names_exist(path: Path) -> None:
    """Names in code type that look like a path of this repository, and modules after `python -m`."""
    named = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL))
    ours = tuple(f"{entry.name}/" for entry in ROOT.iterdir() if entry.is_dir())
    paths = [name for name in named if name.startswith(ours) and not name.startswith(MADE_BY_COMMANDS)]
    modules = [name.split()[2].partition(":")[0] for name in named if name.startswith("python -m ")]
    missing = [name for name in paths if not (ROOT / name).exists()]
    missing += [m for m in modules if m.startswith(("runs.", "benchmarks.")) and not _module_path(m).is_file()]
    assert not missing


def _module_path(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_names_no_folder_of_one_machine(path: Path) -> None:
    assert not re.findall(r"(?<![\w.:/-])/(?:home|root|work|Users|mnt)/\S*", path.read_text("utf-8"))


@pytest.mark.parametrize("path", [README, MODEL_CARD], ids=["README", "model card"])
def test_the_results_are_those_of_the_reports(path: Path) -> None:
    assert read_block(path.read_text("utf-8"), "results") == results_block(load_reports()), (
        "run: python -m runs.results_table"
    )


def test_the_card_describes_the_corpus_as_the_command_does() -> None:
    assert read_block(MODEL_CARD.read_text("utf-8"), "corpus") == corpus_block(), "run: python -m runs.results_table"


@pytest.mark.parametrize("path", [README, MODEL_CARD], ids=["README", "model card"])
def test_the_round_number_of_concepts_is_the_corpus(path: Path) -> None:
    found = re.search(r"pictures of (\d+) concepts", corpus_block())
    assert found is not None
    rounded = int(found[1]) // 10 * 10
    assert set(re.findall(r"some (\d+) concepts", path.read_text("utf-8"))) == {str(rounded)}


def test_the_card_lists_the_sources_of_the_corpus() -> None:
    rows = [f"| `{s.name}` | {s.version} | {s.licence} | {s.brings} |" for s in SOURCES.values()]
    table = [line for line in MODEL_CARD.read_text("utf-8").splitlines() if line in rows]
    assert table == rows


def test_the_card_counts_what_the_lists_hold() -> None:
    from jsd.data.concepts import read_list

    text = MODEL_CARD.read_text("utf-8")
    assert f"the {len(read_list('left_out'))} concepts of `jsd/data/lists/left_out.txt`" in text
    assert f"The Japan split is {len(read_list('japan'))} concepts" in text


def test_the_readme_says_of_the_strip_what_its_file_says() -> None:
    assert read_block(README.read_text("utf-8"), "strip") == strip.strip_block(), "run: python -m runs.strip"


def test_the_pictures_of_the_strip_are_those_of_the_command() -> None:
    if not strip.STRIP.is_file():
        pytest.skip("docs/strip.png is not drawn yet: python -m runs.strip")
    from PIL import Image

    with Image.open(strip.STRIP) as image:
        pictures = json.loads(image.info["jsd"])["pictures"]
    assert [(p["prompt"], p["seed"]) for p in pictures] == [(prompt, strip.SEED) for prompt in strip.PROMPTS]
