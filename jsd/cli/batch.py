"""jsd batch FILE.jsonl|.csv|.txt --output-dir FOLDER: a picture for every row; run again, it goes on."""

import argparse
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsd.batch.rows import Row, read_rows
from jsd.cli.arguments import (
    add_model_arguments,
    add_options,
    add_output_arguments,
    check_folder,
    chosen_model,
    given_options,
    say,
)
from jsd.cli.engine import add_engine_arguments, check_engine
from jsd.errors import JsdError
from jsd.i18n import _
from jsd.models.folder import open_model_folder
from jsd.options import SamplingOptions
from jsd.prompting.styles import check_style, readable_styles
from jsd.prompting.tokenizer import printable

if TYPE_CHECKING:
    from tqdm import tqdm

    from jsd.batch.drawing import Drawn
    from jsd.batch.results import Results

# Options that the command line may set for the rows that do not name them.
DEFAULTS_OF_ROWS = ("style", "output_format", "output_quality")
SECONDS_BETWEEN_LOG_LINES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "file",
        type=Path,
        metavar="FILE",
        help=_(
            "JSON lines or CSV (columns are sampling options: prompt, seed, width, ...), or .txt: one prompt a line"
        ),
    )
    add_options(parser, DEFAULTS_OF_ROWS)
    add_engine_arguments(parser)
    add_model_arguments(parser, has_engine=False)  # its --engine is another: where, not by what
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> None:
    check_folder(args.output_dir, "output_dir")
    check_engine(args)
    defaults = _defaults(args)
    rows, wrong = read_rows(args.file, defaults, {"no_metadata": True} if args.no_metadata else {})
    total = len(rows) + len(wrong)
    failures = {number: str(error) for number, error in wrong.items()}
    for number, words in failures.items():
        say(_("row {number}", number=number) + f": {words}")

    from jsd.batch.results import Results
    from jsd.batch.sheet import write_grid, write_page

    args.output_dir.mkdir(parents=True, exist_ok=True)
    with closing(Results(args.output_dir)) as results:
        finished = results.finished()
        left = [row for row in rows if row.key not in finished]
        if len(left) < len(rows):
            say(
                _(
                    "{count} of {total} rows are finished already; going on with the others",
                    count=len(rows) - len(left),
                    total=len(rows),
                )
            )
        if left:
            drawn = _engine(args, left, results, num_digits=len(str(max([*failures, rows[-1].number]))))
            with closing(drawn), progress_bar(len(rows), num_finished=len(rows) - len(left)) as bar:
                failures |= _record(drawn, results, bar)
        finished = results.finished()
    records = [{**finished[row.key], "row": row.number} for row in rows if row.key in finished]
    if records:
        print(write_grid(args.output_dir, [name for record in records for name in record["files"]]))
    page = write_page(args.output_dir, args.file.name, records, sorted(failures.items()))
    print(page)
    if failures:
        raise JsdError(
            "batch.failed",
            "{count} of {total} rows failed, each named above and in {page}; correct them and "
            "run the same command again: finished rows are kept",
            count=len(failures),
            total=total,
            page=page,
        )


def _defaults(args: argparse.Namespace) -> dict[str, Any]:
    """What the command line sets for all rows; a value that breaks its rule is refused here, before any row."""
    values = given_options(args)
    options = SamplingOptions(**{"prompt": "", **values})
    if options.style != "":
        check_style(readable_styles(chosen_model(args).tokenizer), options.style)
    return values


def _engine(
    args: argparse.Namespace, rows: Sequence[Row], results: "Results", num_digits: int
) -> "Generator[Drawn, None, None]":
    """What draws `rows`, once it is iterated."""
    from jsd.batch.drawing import FileChoice, ModelChoice, draw_locally

    folder = chosen_model(args)
    model = ModelChoice(folder=replace(folder, path=folder.path.absolute()), device=args.device, dtype=args.dtype)
    files = FileChoice(with_metadata=not args.no_metadata, num_digits=num_digits)
    if args.engine == "local":
        return draw_locally(rows, model, files, results.check_model)

    from jsd.batch.ray_engine import draw_on_cluster
    from jsd.models.record import folder_digest

    opened = open_model_folder(model.folder)
    digest = folder_digest(opened.path, opened.parts.get("vae"))
    results.check_model(digest)
    return draw_on_cluster(rows, model, files, digest=digest, num_workers=args.workers, address=args.ray_address)


class _Lines:
    """Standard error where it is a file: a line for each state of the bar, which elsewhere is drawn over the last."""

    def write(self, text: str) -> None:
        if text.strip() != "":
            print(text.strip(), file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


def progress_bar(num_rows: int, num_finished: int) -> "tqdm":
    """With an estimate, which counts only what this run draws."""
    from tqdm import tqdm

    bar = partial(tqdm, total=num_rows, initial=num_finished, unit=_("row"))
    return bar() if sys.stderr.isatty() else bar(file=_Lines(), mininterval=SECONDS_BETWEEN_LOG_LINES)


def _record(drawn_rows: "Iterable[Drawn]", results: "Results", bar: "tqdm") -> dict[int, str]:
    """Write what is drawn and tell it; {number: why} of the rows that failed."""
    failures = {}
    for drawn in drawn_rows:
        record = drawn.record
        results.append(record, drawn.files)
        bar.update()
        if "error" in record:
            failures[record["row"]] = record["error"]["message"]
            sentences = [record["error"]["message"]]
        else:
            sentences = [note["message"] for note in (*record["notes"], *record["withheld"])]
            for name, seed in zip(record["files"], record["seeds"], strict=True):
                bar.write(f"{results.path.parent / name}  seed {seed}")
        for sentence in sentences:
            bar.write("jsd: " + _("row {number}", number=record["row"]) + f": {printable(sentence)}", file=sys.stderr)
    return failures
