"""The `jsd` command. Each command is one file here; it answers `--help` without importing torch."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from jsd import __version__
from jsd.errors import JsdError
from jsd.messages import message as sentence
from jsd.tokenizer import printable

# command -> one line of help; the module jsd.cli.<command> has add_arguments(parser) and run(args).
COMMANDS = {
    "generate": "draw pictures from a Japanese prompt",
    "batch": "draw a picture for every row of a file; run again, it goes on where it was",
    "info": "show what made a picture, as its file says",
    "rerun": "draw a picture again from what its file says",
    "prompt": "show how a prompt is read: its tokens, and what is unread or cut off",
    "weights": "list, verify, fetch, convert model folders, or write one with random weights",
    "serve": "serve the Cog predictor over HTTP, without Docker",
    "web": "open a web page that draws: previews, a gallery, parameters of a picture",
    "data": "build the training corpus, or describe it",
    "train": "train a model, stage by stage",
    "evaluate": "measure how well a model draws what its prompts say",
}


class _Parser(argparse.ArgumentParser):
    """Subcommands are parsed by the class of their parent."""

    def __init__(self, **settings: Any) -> None:
        # An abbreviation would change its meaning as soon as another option begins like it.
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise SystemExit(_say(sentence("cli.arguments", reason=message, command=self.prog), 2))


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="jsd", description="Japanese Stable Diffusion.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}", help="print the version")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = importlib.import_module(f"jsd.cli.{name}")
        subparser = subparsers.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error becomes one line on standard error and an exit code, here and nowhere else."""
    # File names and strangers' files hold half surrogate pairs, and not every locale has Japanese.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except JsdError as error:
        return _say(str(error), error.exit_code)
    except BrokenPipeError:
        return _close_output()
    except OSError as error:
        reason = str(error) if error.strerror is None else error.strerror
        if error.filename is not None:
            return _say(sentence("system.file", path=error.filename, reason=reason))
        return _say(sentence("system.output", reason=reason), _close_output())
    except KeyboardInterrupt:
        return 130
    return 0


def _say(sentence: str, exit_code: int = 1) -> int:
    # What it names may be a stranger's text: nothing in it may steer the terminal.
    print(f"jsd: {printable(sentence)}", file=sys.stderr)
    return exit_code


def _close_output() -> int:
    """The interpreter writes what is left on its way out, and would complain once more."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
