"""jsd concepts [WORD]: what a model knows, by its own word."""

import argparse
from pathlib import Path

from jsd.cli.columns import aligned
from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.models.folder import choose_folder
from jsd.prompting.concepts import CONCEPTS_FILE, KnownConcepts
from jsd.prompting.tokenizer import printable

MAX_SPELLINGS = 8  # of a concept in a line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("word", nargs="?", metavar="WORD", help=_("show only what is spelled with it"))
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help=_("model folder (JSD_WEIGHTS, else weights/: rinna, tohoku-sdxl, mini)"),
    )


def run(args: argparse.Namespace) -> None:
    folder = choose_folder(args.weights).path
    known = KnownConcepts.load(folder)
    if known is None:
        raise InvalidInputError(
            "concepts.none",
            "{field} must be a model folder that says what it knows, and {value} has no {file}; ask it for anything",
            field="weights",
            value=folder,
            file=CONCEPTS_FILE,
        )
    found = known.concepts if args.word is None else known.search(args.word)
    if not found:
        near = known.near(args.word)
        print(_("nothing is spelled like {word}; near: {near}", word=args.word, near=printable("、".join(near)) or "-"))
        return
    # A folder may be anybody's: nothing in it may steer the terminal.
    rows = [(printable(f"{one.emoji} {one.name}"), printable(_shown(one.spellings))) for one in found]
    print(aligned(rows))
    if args.word is None:
        print(_("{count} concepts; styles: {styles}", count=len(found), styles=printable("、".join(known.styles))))


def _shown(spellings: tuple[str, ...]) -> str:
    return "、".join(spellings if len(spellings) <= MAX_SPELLINGS else (*spellings[:MAX_SPELLINGS], "…"))
