"""argparse in the user's language: what it says by itself is taken from the table of sentences."""

import argparse
import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from jsd.cli.columns import wrapped
from jsd.messages import message as sentence
from jsd.prompting.tokenizer import printable

# argparse's words -> the code of ours
_FAULTS = {
    r"the following arguments are required: (?P<names>.+)": "cli.required",
    r"unrecognized arguments: (?P<words>.+)": "cli.unrecognized",
    r"argument (?P<name>.+?): expected one argument": "cli.no_value",
    r"argument (?P<name>.+?): ignored explicit argument (?P<value>.+)": "cli.switch",
    r"argument (?P<name>.+?): invalid choice: (?P<value>.+) \(choose from (?P<choices>.+)\)": "cli.choice",
}


class _Formatter(argparse.HelpFormatter):
    """Wraps by columns: argparse counts letters, and breaks at spaces, of which Japanese has none."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        super().add_usage(usage, actions, groups, f"{sentence('help.usage')}: " if prefix is None else prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in wrapped(text, width - len(indent)))


class Parser(argparse.ArgumentParser):
    """Subcommands are parsed by the class of their parent."""

    def __init__(self, **settings: Any) -> None:
        # An abbreviation would change its meaning as soon as another option begins like it.
        super().__init__(allow_abbrev=False, add_help=False, formatter_class=_Formatter, **settings)
        self._positionals.title, self._optionals.title = sentence("help.positionals"), sentence("help.options")
        self.add_argument("-h", "--help", action="help", help=sentence("help.help"))

    def error(self, message: str) -> NoReturn:
        reason = _in_our_words(message)
        # What was typed may be a stranger's text: nothing in it may steer the terminal.
        said = printable(sentence("cli.arguments", reason=reason, command=self.prog))
        print(f"jsd: {said}", file=sys.stderr)
        raise SystemExit(2)


def _in_our_words(fault: str) -> str:
    for pattern, code in _FAULTS.items():
        found = re.fullmatch(pattern, fault, re.DOTALL)
        if found is not None:
            return sentence(code, **found.groupdict())
    return fault
