"""`jsd prompt`: how a prompt is read, with the tokenizer alone."""

import argparse
import sys
from pathlib import Path

from jsd.cli.arguments import add_options, as_json, given_options
from jsd.cli.columns import aligned
from jsd.i18n import _
from jsd.models.folder import choose_folder
from jsd.options import SamplingOptions
from jsd.prompting.prompts import PromptReading, read_prompts
from jsd.prompting.tokenizer import VOCABULARY_FILE, JapaneseTokenizer, printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help=_("What to draw, in Japanese."))
    parser.add_argument("--json", action="store_true", help=_("write all of it as JSON"))
    add_options(parser, ("style", "unknown_words", "long_prompt"))
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help=_("model folder, or its tokenizer folder alone (JSD_WEIGHTS, else weights/: rinna, tohoku-sdxl, mini)"),
    )


def run(args: argparse.Namespace) -> None:
    options = SamplingOptions(**{**given_options(args), "prompt": args.text})
    folder = choose_folder(args.weights)
    print(folder, file=sys.stderr)
    alone = (folder.path / VOCABULARY_FILE).is_file()
    tokenizer = JapaneseTokenizer.load(folder.path) if alone else folder.tokenizer
    prompts = read_prompts(tokenizer, options)
    negative = prompts.negative_prompt if prompts.negative_prompt.text else None
    if args.json:
        report = prompts.prompt.to_json() | {"negative_prompt": None if negative is None else negative.to_json()}
        print(as_json(report))
        return
    print(as_text(prompts.prompt))
    if negative is not None:
        print("\n" + _("negative prompt") + f"\n{as_text(negative)}")


def as_text(reading: PromptReading) -> str:
    """A line for each window's pieces, those with a weight followed by it."""
    rows = [(_("tokens"), f"{reading.num_tokens} / {reading.num_tokens_available}")]
    for window in reading.windows:
        weighted = zip(window.pieces, window.weights, strict=False)  # the weights go on over the padding
        pieces = [piece.text if weight == 1 else f"{piece.text}:{weight:g}" for piece, weight in weighted]
        rows.append((_("pieces"), printable(" ".join([*pieces, "</s>"]))))
    rows.append((_("unread"), " ".join(map(printable, reading.unread)) if reading.unread else "-"))
    rows.append((_("cut off"), printable(reading.tail) if reading.tail else "-"))
    return "\n".join([aligned(rows), *map(str, reading.notes())])
