"""The `jsd` command. Each command is one file here; it answers `--help` without importing torch."""

import importlib
import io
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jsd import __version__
from jsd.cli.parser import Parser
from jsd.errors import JsdError, Note
from jsd.i18n import N_, _
from jsd.prompting.tokenizer import printable

# The module jsd.cli.<command> has add_arguments(parser) and run(args).
COMMANDS = {
    "generate": N_("draw pictures from a Japanese prompt"),
    "batch": N_("draw a picture for every row of a file; run again, it goes on where it was"),
    "info": N_("show what made a picture, as its file says"),
    "score": N_("say how well a picture goes with a text"),
    "rerun": N_("draw a picture again from what its file says"),
    "prompt": N_("show how a prompt is read: its tokens, and what is unread or cut off"),
    "concepts": N_("list what the model knows, or search in it"),
    "weights": N_("list, verify, fetch, convert model folders, or write one with random weights"),
    "serve": N_("serve the Cog predictor over HTTP, without Docker"),
    "web": N_("open a web page that draws: previews, a gallery, parameters of a picture"),
    "mcp": N_("draw for programs that speak the Model Context Protocol, as Claude Desktop"),
    "data": N_("make a corpus of pictures; describe, score, filter it"),
    "train": N_("train a model, stage by stage"),
    "evaluate": N_("measure how well a model draws what its prompts say"),
}


def build_parser() -> Parser:
    parser = Parser(prog="jsd", description=_("Japanese Stable Diffusion: pictures from Japanese prompts"))
    shown = f"%(prog)s {__version__}"
    parser.add_argument("--version", action="version", version=shown, help=_("print the version and exit"))
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, said in COMMANDS.items():
        summary = _(said)
        command = importlib.import_module(f"jsd.cli.{name}")
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error becomes one line on standard error and an exit code, here and nowhere else."""
    # Read when torch is loaded: threads that spin take 3.5 times as long beside a busy process, docs/benchmarks.md.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    warnings.showwarning = _show_warning  # type: ignore[assignment]  # without the two arguments that nobody passes
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, or a program without a console
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    # File names and strangers' files hold half surrogate pairs, and not every locale has Japanese.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            args = build_parser().parse_args(argv)
        except SystemExit:  # after --help, --version
            sys.stdout.flush()
            raise
        args.run(args)
        sys.stdout.flush()
    except JsdError as error:
        return _say(str(error), error.exit_code)
    except BrokenPipeError:
        return _close_output()
    except OSError as error:
        reason = str(error) if error.strerror is None else error.strerror
        if error.filename is not None:
            return _say(
                _(
                    "{path} must be a place that can be read and written, and is not: {reason}; make "
                    "room or choose another, then run the same command again",
                    path=error.filename,
                    reason=reason,
                )
            )
        return _say(
            _(
                "the output must go where it can be written, and it cannot: {reason}; make room or "
                "choose another place, then run the same command again",
                reason=reason,
            ),
            _close_output(),
        )
    except RuntimeError as error:  # what pathlib says of links in a circle
        if not str(error).startswith("Symlink loop"):
            raise
        return _say(
            _("{path} must be a file or a folder, and is a link that leads to itself", path=str(error).split("'")[1])
        )
    except KeyboardInterrupt:
        return 130
    return 0


def _show_warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
    """One of ours as a line; others as Python has it."""
    shown = str(message) if isinstance(message, Note) else warnings.formatwarning(message, category, filename, lineno)
    _say(shown.rstrip())


def _say(sentence: str, exit_code: int = 1) -> int:
    # What it names may be a stranger's text: nothing in it may steer the terminal.
    print(f"jsd: {printable(sentence)}", file=sys.stderr)
    return exit_code


def _close_output() -> int:
    """The interpreter writes what is left on its way out, and would complain once more."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
