"""The `jsd` command. Each command is one file here; it answers `--help` without importing torch."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from jsd.errors import JsdError

# command -> one line of help; the module jsd.cli.<command> has add_arguments(parser) and run(args).
COMMANDS = {
    "generate": "draw pictures from a Japanese prompt",
    "batch": "draw a picture for every row of a file; run again, it goes on where it was",
    "info": "show what made a picture, as its file says",
    "rerun": "draw a picture again from what its file says",
    "prompt": "show how a prompt is read: its tokens, and what is unread or cut off",
    "weights": "list, verify, fetch, convert model folders, or write one with random weights",
    "serve": "serve the Cog predictor over HTTP, without Docker",
    "data": "build the training corpus, or describe it",
    "train": "train a model, stage by stage",
    "evaluate": "measure how well a model draws what its prompts say",
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jsd", description="Japanese Stable Diffusion.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in COMMANDS.items():
        command = importlib.import_module(f"jsd.cli.{name}")
        subparser = subparsers.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; a `JsdError` becomes one line on standard error and its exit code, here and nowhere else."""
    args = build_parser().parse_args(argv)
    try:
        args.run(args)
    except JsdError as error:
        print(f"jsd: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
