"""`--help` of every command, and what is said of arguments that do not parse: in the user's language, in one line."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

import jsd as package
from cli.conftest import Jsd
from jsd.cli import build_parser, numbers
from jsd.images import save_image
from jsd.options import OPTIONS

JAPANESE = re.compile("[ぁ-んァ-ヶ一-鿿]")


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands that do something, those with actions one by one."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield parser
    for action in nested:
        for subparser in action.choices.values():
            yield from parsers(subparser)


COMMANDS = {parser.prog: parser for parser in parsers(build_parser())}
ARGUMENTS = [(prog, action) for prog, parser in COMMANDS.items() for action in parser._actions]


def named(arguments: list[tuple[str, argparse.Action]]) -> list[str]:
    return [f"{prog} {'/'.join(action.option_strings) or action.dest}" for prog, action in arguments]


def test_every_argument_says_what_it_is_and_names_its_value() -> None:
    assert named([(prog, action) for prog, action in ARGUMENTS if not action.help]) == []
    # Not by argparse's own name, which is the option's again.
    nameless = [one for one in ARGUMENTS if one[1].nargs != 0 and one[1].metavar is None and one[1].choices is None]
    assert named(nameless) == []
    assert {str(action.metavar) for _, action in ARGUMENTS if "--weights" in action.option_strings} == {"FOLDER"}
    assert [prog for prog, parser in COMMANDS.items() if "None" in parser.format_help()] == []


def test_the_limits_of_every_numeric_option_are_in_its_help() -> None:
    said = {action.dest: str(action.help) for action in COMMANDS["jsd generate"]._actions}
    numeric = [rule for rule in OPTIONS.values() if rule.type in (int, float)]
    assert [rule.name for rule in numeric if f" {rule.low}-{rule.high}" not in said[rule.name]] == []


def texts(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    """What `--help` says, where: of the program, its commands, their actions and arguments."""
    yield parser.prog, str(parser.description)
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            yield f"{parser.prog} {'/'.join(action.option_strings) or action.dest}", str(action.help)
            continue
        yield from ((f"{parser.prog} {one.dest}", str(one.help)) for one in action._choices_actions)
        for subparser in action.choices.values():
            yield from (text for text in texts(subparser) if text[1] != "None")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_all_of_the_help_is_in_the_users_language(language: str, jsd: Jsd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    # The styles are Japanese words in either language, a list of models' names in neither.
    said = [
        (where, text.partition(".")[0].partition("。")[0] if "--style" in where else text)
        for where, text in texts(build_parser())
        if not text.startswith("rinna, ")
    ]
    assert len(said) > 100
    assert [where for where, text in said if (JAPANESE.search(text) is not None) != (language == "ja")] == []
    # argparse's own words too.
    frame = "\n".join(jsd("--help").out)
    assert (re.search("usage|options:|positional|show", frame) is None) == (language == "ja")


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(
    ("words", "named", "command"),
    [
        (["generate"], "PROMPT", "jsd generate"),
        (["generate", "猫", "--colour", "red"], "--colour red", "jsd generate"),
        (["generate", "猫", "--heig", "8"], "--heig", "jsd generate"),  # no option is abbreviated
        (["weights", "list", "--verbose"], "--verbose", "jsd weights list"),
        (["--vers", "weights", "list"], "--vers", "jsd"),
        (["generate", "猫", "--seed"], "--seed", "jsd generate"),
        (["info", "a.png", "--json=1"], "--json", "jsd info"),
        (["batch", "a.txt", "--no-metadata=1"], "--no-metadata", "jsd batch"),
        (["evaluate", "--split", "x\ny"], "--split", "jsd evaluate"),
        (["paint"], "COMMAND", "jsd"),
    ],
)
def test_arguments_that_do_not_parse_are_one_line_in_the_users_language(
    words: list[str], named: str, command: str, language: str, jsd: Jsd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    said = jsd(words)
    assert said.refuses(named, f"{command} --help")
    assert (JAPANESE.search(said.err[0]) is not None) == (language == "ja")
    assert not re.search("argument |expected|required|unrecognized|invalid|ignored", said.err[0]), "argparse's words"


# command, what it needs besides, option, a value out of range
NUMBERS = [
    *(("generate", ["猫"], f"--{rule.name.replace('_', '-')}", str(rule.type(rule.high + 1)))
      for rule in OPTIONS.values() if rule.type in (int, float)),
    ("batch", ["nowhere.txt"], "--workers", "0"),
    ("batch", ["nowhere.txt"], "--output-quality", "101"),
    ("rerun", ["a.png"], "--output-quality", "101"),
    ("weights", ["random", "new"], "--seed", "-1"),
    ("serve", [], "--port", "65536"),
    ("web", [], "--port", "65536"),
    ("train", ["--stage", "vae"], "--seed", "-1"),
    ("train", ["--stage", "vae"], "--max-train-steps", "0"),
    ("train", ["--stage", "vae"], "--learning-rate", "-1.0"),
    ("train", ["--stage", "vae"], "--train-batch-size", "0"),
    ("train", ["--stage", "vae"], "--checkpointing-steps", "0"),
    ("evaluate", [], "--seeds", "101"),
    ("evaluate", [], "--num-inference-steps", "0"),
    ("evaluate", [], "--guidance-scale", "0.5"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "needed", "option", "value"), NUMBERS)
def test_what_is_no_number_gets_the_sentence_of_one_out_of_range(
    command: str, needed: list[str], option: str, value: str, jsd: Jsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_image(Image.new("RGB", (16, 8)), tmp_path / "a.png", metadata={"prompt": "猫 油絵", "seed": 0})
    of_number, of_text = jsd(command, needed, option, value), jsd(command, needed, option, "abc")
    assert of_number.refuses() and of_text.refuses("'abc'")
    assert of_text.err[0].replace("'abc'", value) == of_number.err[0]
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("text", ["２５", " 25 ", "25"])
def test_a_number_may_be_in_any_digits(text: str) -> None:
    assert (numbers.whole(text), numbers.number(text)) == (25, 25.0)


def test_the_version_is_the_packages(jsd: Jsd) -> None:
    said = jsd("--version")
    assert (said.code, said.out) == (0, [f"jsd {package.__version__}"])
