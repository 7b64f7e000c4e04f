"""`--help` of every command: each argument says what it is, in the same way everywhere."""

import argparse
from collections.abc import Iterator

import pytest

from jsd.cli import build_parser


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


def test_every_default_is_shown() -> None:
    hidden = [
        (prog, action)
        for prog, action in WITH_VALUE
        if action.option_strings and action.default not in (None, [], "")
        if f"({action.default})" not in str(action.help).replace("%(default)s", str(action.default))
    ]
    assert named(hidden) == []


@pytest.mark.parametrize("prog", COMMANDS)
def test_what_is_unset_is_not_called_none(prog: str) -> None:
    assert "None" not in COMMANDS[prog].format_help()


def test_a_model_folder_is_called_folder_everywhere() -> None:
    names = {str(action.metavar) for _, action in ARGUMENTS if "--weights" in action.option_strings}
    assert names == {"FOLDER"}
