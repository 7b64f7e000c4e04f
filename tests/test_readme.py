"""The documentation's tables are the code's, both languages say the same, and what it names exists."""

import ast
import json
import re
from inspect import Parameter
from pathlib import Path
from typing import get_args

import pytest
from documents import DOCUMENTS, INPUTS, code_blocks, command_lines

from jsd.prompting.styles import readable_styles
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.corpora.sources import SOURCES
from runs import strip
from runs.blocks import MODEL_CARD, README, README_JA, ROOT, read_block
from runs.results_table import corpus_block, load_reports, results_block

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
# Folders that a command of the README makes; git does not hold them.
MADE_BY_COMMANDS = ("outputs/", "checkpoints/", "data/", "weights/rinna", "/tmp/")


def test_every_stage_of_the_embedded_model_is_shown_in_order() -> None:
    from jsd.training.recipes import RECIPES

    lines = [command for block in code_blocks(README, "sh") for command in command_lines(block)]
    shown = [words[5] for words in lines if words[:4] == ["jsd", "train", "--recipe", "mini"] and len(words) == 6]
    assert shown == list(RECIPES["mini"].stages)


def test_the_python_example_runs(toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # README.ja.md has the same, but for its comments; the one after it asks a server (tests/serving/test_examples.py).
    example, _ = code_blocks(README, "python")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSD_WEIGHTS", str(toy_folder))
    exec(compile(example, "README.md", "exec"), {})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["salaryman-0.png", "salaryman-1.png"]


def table_rows(path: Path = README) -> dict[str, list[str]]:
    """input -> its type, limits and default, as the README has them."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", path.read_text("utf-8"), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")[:3]] for name, rest in rows}


def expected_row(row: Parameter) -> list[str]:
    said = row.default
    limits = ", ".join(f"`{choice}`" for choice in said.choices or ())
    if said.ge is not None:
        limits = f"{said.ge} to {said.le}"
    default = {None: "unset", "": "empty"}.get(said.default, f"`{said.default}`")
    kind = (*get_args(row.annotation), row.annotation)[0]
    # Of the program and the library; the API has a default prompt.
    return [TYPES[kind.__name__], limits, "required" if row.name == "prompt" else default]


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


def test_the_japanese_readme_has_the_same_javascript() -> None:
    english, japanese = (code_blocks(path, "js") for path in (README, README_JA))
    assert english and japanese == english


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


def test_the_styles_of_the_examples_are_styles() -> None:
    """Of the embedded model: a new user has no other."""
    readable = readable_styles(JapaneseTokenizer.load(MODEL_CARD.parent / "tokenizer"))
    for path, said in ((README, "the embedded model reads {};"), (README_JA, "読めるのは {} 種類")):
        text = path.read_text("utf-8")
        named = set(re.findall(r"--style (\w+)", text))
        assert named and named <= set(readable)
        assert said.format(len(readable)) in text


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
    from jsd.training.corpora.concepts import read_list

    text = MODEL_CARD.read_text("utf-8")
    assert f"the {len(read_list('left_out'))} concepts of `jsd/training/corpora/lists/left_out.txt`" in text
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
