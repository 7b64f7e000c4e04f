"""`jsd prompt`: how a prompt is read, with the tokenizer alone."""

import argparse
import json
import sys

from jsd.tokenizer import VOCABULARY_FILE, JapaneseTokenizer, PromptReport, printable
from jsd.weights import choose_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help="the prompt")
    parser.add_argument("--json", action="store_true", help="write the whole report as JSON")
    parser.add_argument("--weights", metavar="FOLDER", help="a model folder, or its tokenizer folder alone")


def run(args: argparse.Namespace) -> None:
    folder, reason = choose_folder(args.weights)
    print(f"{folder} ({reason})", file=sys.stderr)
    alone = (folder / VOCABULARY_FILE).is_file()
    report = JapaneseTokenizer.load(folder if alone else folder / "tokenizer").describe(args.text)
    print(json.dumps(report.to_json(), ensure_ascii=False, indent=2) if args.json else as_text(report))


def as_text(report: PromptReport) -> str:
    unread = " ".join(printable(character.text) for character in report.unread)
    rows = [
        ("tokens", f"{report.num_tokens} / {report.model_max_length}"),
        ("pieces", printable(" ".join([*(piece.text for piece in report.pieces), "</s>"]))),
        ("unread", unread if report.unread else "-"),
        ("cut off", printable(report.tail) if report.tail_start is not None else "-"),
    ]
    return "\n".join([*(f"{name:8} {value}" for name, value in rows), *report.warnings()])
