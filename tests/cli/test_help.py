"""`--help` of every command: each argument says what it is, in the same way everywhere."""

import argparse
import re
from collections.abc import Iterator

import pytest

from jsd.cli import build_parser, main
from jsd.options import MAX_SEED


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
WITH_VALUE = [(prog, action) for prog, action in ARGUMENTS if action.nargs != 0]


def named(arguments: list[tuple[str, argparse.Action]]) -> list[str]:
    return [f"{prog} {'/'.join(action.option_strings) or action.dest}" for prog, action in arguments]


def test_every_argument_says_what_it_is() -> None:
    assert named([(prog, action) for prog, action in ARGUMENTS if not action.help]) == []


def test_every_value_has_a_name_that_says_its_kind() -> None:
    """Not argparse's own, which is the option's name again."""
    nameless = [(prog, action) for prog, action in WITH_VALUE if action.metavar is None and action.choices is None]
    assert named(nameless) == []


@pytest.mark.parametrize("prog", COMMANDS)
def test_what_is_unset_is_not_called_none(prog: str) -> None:
    assert "None" not in COMMANDS[prog].format_help()


def test_a_model_folder_is_called_folder_everywhere() -> None:
    names = {str(action.metavar) for _, action in ARGUMENTS if "--weights" in action.option_strings}
    assert names == {"FOLDER"}


JAPANESE = re.compile("[ぁ-んァ-ヶ一-鿿]")


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
def test_all_of_the_help_is_in_the_users_language(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    # The styles are Japanese words in either language.
    said = [
        (where, text.partition(".")[0].partition("。")[0] if "--style" in where else text)
        for where, text in texts(build_parser())
    ]
    assert len(said) > 100
    assert [where for where, text in said if (JAPANESE.search(text) is not None) != (language == "ja")] == []


@pytest.mark.parametrize("words", [[], ["generate"], ["weights", "fetch"]])
def test_argparses_own_words_are_japanese_too(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSD_LANG", "ja")
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and said.startswith("使い方: jsd")
    assert not re.search("usage|options:|positional|show", said)


@pytest.mark.parametrize(
    ("words", "english", "japanese"),
    [
        (["generate"], "these must be given: PROMPT", "指定が必要なもの: PROMPT"),
        (["generate", "猫", "--colour", "red"], "unknown: --colour red", "使えない引数: --colour red"),
        (["generate", "猫", "--seed"], "--seed needs a value", "--seed に値がありません"),
        (["info", "a.png", "--json=1"], "--json takes no value, got '1'", "--json に値は付けられません"),
        (["evaluate", "--split", "x\ny"], "must be one of", "--split は次のいずれか"),
        (["paint"], "COMMAND must be one of", "COMMAND は次のいずれか"),
    ],
)
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_fault_in_the_arguments_is_told_in_the_users_language(
    language: str,
    words: list[str],
    english: str,
    japanese: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    with pytest.raises(SystemExit) as ended:
        main(words)
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2 and (english, japanese)[language == "ja"] in line
    assert not re.search("argument |expected|required|unrecognized|invalid|ignored", line), "argparse's own words"


@pytest.mark.parametrize(
    ("option", "limits"),
    [
        ("--width", "1-16383"),
        ("--height", "1-16383"),
        ("--num-outputs", "1-4"),
        ("--num-inference-steps", "1-500"),
        ("--guidance-scale", "1-20"),
        ("--seed", f"0-{MAX_SEED}"),
        ("--prompt-strength", "0-1 "),
        ("--safety-threshold", "-0.1-0.1"),
        ("--output-quality", "0-100"),
    ],
)
def test_a_numbers_limits_are_in_its_help(option: str, limits: str) -> None:
    (action,) = [one for one in COMMANDS["jsd generate"]._actions if option in one.option_strings]
    assert f" {limits}" in str(action.help)
