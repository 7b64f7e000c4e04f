"""The `jsd` command. Each command is one file here; it answers `--help` without importing torch."""

import importlib
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from jsd import __version__
from jsd.cli.parser import Parser
from jsd.errors import JsdError
from jsd.messages import message
from jsd.prompting.tokenizer import printable

# The module jsd.cli.<command> has add_arguments(parser) and run(args).
COMMANDS = ("generate", "batch", "info", "rerun", "prompt", "weights", "serve", "web", "data", "train", "evaluate")


def build_parser() -> Parser:
    parser = Parser(prog="jsd", description=message("command.jsd"))
    shown = f"%(prog)s {__version__}"
    parser.add_argument("--version", action="version", version=shown, help=message("help.version"))
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        summary = message(f"command.{name}")
        command = importlib.import_module(f"jsd.cli.{name}")
        subparser = subparsers.add_parser(name, help=summary, description=summary)
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
            return _say(message("system.file", path=error.filename, reason=reason))
        return _say(message("system.output", reason=reason), _close_output())
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
