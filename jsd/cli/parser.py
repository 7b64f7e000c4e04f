"""argparse in the user's language: what it says by itself is taken from the table of sentences."""

import argparse
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from jsd.cli.columns import wrapped
from jsd.i18n import N_, _
from jsd.prompting.tokenizer import printable

# argparse's words -> ours
_FAULTS = {
    r"the following arguments are required: (?P<names>.+)": N_("these must be given: {names}"),
    r"unrecognized arguments: (?P<words>.+)": N_("these arguments are unknown: {words}"),
    r"argument (?P<name>.+?): expected one argument": N_("{name} needs a value"),
    r"argument (?P<name>.+?): ignored explicit argument (?P<value>.+)": N_("{name} takes no value, got {value}"),
    r"argument (?P<name>.+?): invalid choice: (?P<value>.+) \(choose from (?P<choices>.+)\)": N_(
        "{name} must be one of {choices}, got {value}"
    ),
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
        super().add_usage(usage, actions, groups, _("usage") + ": " if prefix is None else prefix)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in wrapped(text, width - len(indent)))


class Parser(argparse.ArgumentParser):
    """Subcommands are parsed by the class of their parent."""

    def __init__(self, **settings: Any) -> None:
        # An abbreviation would change its meaning as soon as another option begins like it.
        super().__init__(allow_abbrev=False, add_help=False, formatter_class=_Formatter, **settings)
        # A shell leaves ~ as it is behind "=", and the clients of `jsd mcp` have none. Path's own fails at ~x.
        self.register("type", Path, lambda text: Path(os.path.expanduser(text)))  # noqa: PTH111
        self._positionals.title, self._optionals.title = _("positional arguments"), _("options")
        self.add_argument("-h", "--help", action="help", help=_("show this help and exit"))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """What is unknown is so to the subcommand, whose help is asked for then, not to the command above it."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        reason = _in_our_words(message)
        # What was typed may be a stranger's text: nothing in it may steer the terminal.
        said = printable(_("{reason}; {command} --help lists what there is", reason=reason, command=self.prog))
        print(f"jsd: {said}", file=sys.stderr)
        raise SystemExit(2)


def _in_our_words(fault: str) -> str:
    for pattern, words in _FAULTS.items():
        found = re.fullmatch(pattern, fault, re.DOTALL)
        if found is not None:
            return _(words, **found.groupdict())
    return fault
