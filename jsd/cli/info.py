"""jsd info FILE [--json]: what made a picture, as its file says."""

import argparse
import json
from pathlib import Path

from jsd.cli.arguments import as_json
from jsd.cli.columns import aligned
from jsd.errors import ImageFileError
from jsd.i18n import _
from jsd.images.metadata import PictureFile, read_picture_file
from jsd.prompting.tokenizer import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help=_("a picture by jsd, or with A1111's text"))
    parser.add_argument("--json", action="store_true", help=_("write all of it as JSON"))


def run(args: argparse.Namespace) -> None:
    file = read_picture_file(args.file)
    if file.values == {} and file.digital_source_type is None:
        raise ImageFileError(
            "metadata.none",
            "{field} must be a picture that says what made it, and {value} says nothing; pass "
            "the file as jsd or another tool wrote it",
            field="FILE",
            value=args.file,
        )
    # A stranger's file: nothing in it may steer the terminal.
    print(_escaped(as_json(what_is_said(file))) if args.json else as_text(file))


def what_is_said(file: PictureFile) -> dict[str, object]:
    """`source`: whose record the values are from; "parameters" is the text of A1111's form, of any tool."""
    source = "jsd" if file.record is not None else "parameters" if file.parameters is not None else None
    return {
        "format": file.format,
        "size": list(file.size),
        "source": source,
        "values": file.values,
        "parameters": file.parameters,
        "digital_source_type": file.digital_source_type,
    }


def as_text(file: PictureFile) -> str:
    rows = {_("file"): f"{file.format} {file.size[0]}x{file.size[1]}", **file.values}
    if file.digital_source_type is not None:
        rows["digital_source_type"] = file.digital_source_type
    return aligned([(printable(name), printable(str(value))) for name, value in rows.items() if value is not None])


def _escaped(text: str) -> str:
    """JSON that says the same, with escapes for what JSON lets stand and `printable` does not."""
    return "".join(one if one == "\n" or printable(one) == one else json.dumps(one)[1:-1] for one in text)
