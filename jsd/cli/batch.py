"""jsd batch FILE.jsonl|.csv|.txt --output-dir FOLDER: a picture for every row; run again, it goes on."""

import argparse
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jsd.batch.rows import BadRow, Row, read_rows
from jsd.cli.generate import add_model_arguments, add_output_arguments, check_output
from jsd.cli.numbers import check_whole, whole
from jsd.errors import InvalidInputError, JsdError
from jsd.i18n import _
from jsd.models.folder import choose_folder, open_model_folder
from jsd.prompting.styles import STYLES, with_style
from jsd.prompting.tokenizer import JapaneseTokenizer

if TYPE_CHECKING:
    from tqdm import tqdm

    from jsd.batch.drawing import Drawn
    from jsd.batch.results import Results

ENGINES = ("local", "ray")
MAX_WORKERS = 10_000
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
    add("--style", metavar="NAME", help=_("A style, put behind the prompt:") + f" {' '.join(STYLES)}")
    add(
        "--engine",
        default=ENGINES[0],
        metavar="|".join(ENGINES),
        help=_("ray: over a cluster, the same pictures") + " (%(default)s)",
    )
    add("--workers", type=whole, metavar="N", help=_("with ray: default one for each GPU, else for each machine"))
    add("--ray-address", metavar="HOST:PORT", help=_("with ray: a running cluster (RAY_ADDRESS, else none: start one)"))
    add_model_arguments(parser)
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> None:
    check_output(args)
    _check_engine(args)
    rows = read_rows(args.file, None if args.style is None else _restyle(args), _asked_of_files(args))
    failures = {row.number: str(row.error) for row in rows if isinstance(row, BadRow)}
    for number, words in failures.items():
        _say(_("row {number}", number=number) + f": {words}")
    good = [row for row in rows if isinstance(row, Row)]

    from jsd.batch.results import Results
    from jsd.batch.sheet import write_grid, write_page

    args.output_dir.mkdir(parents=True, exist_ok=True)
    with closing(Results(args.output_dir)) as results:
        finished = results.finished()
        left = [row for row in good if row.key not in finished]
        if len(left) < len(good):
            _say(
                _(
                    "{count} of {total} rows are finished already; going on with the others",
                    count=len(good) - len(left),
                    total=len(good),
                )
            )
        if left:
            drawn = _engine(args, left, results, num_digits=len(str(rows[-1].number)))
            with closing(drawn), progress_bar(len(good), num_finished=len(good) - len(left)) as bar:
                failures |= _record(drawn, results, bar)
        finished = results.finished()
    records = [{**finished[row.key], "row": row.number} for row in good if row.key in finished]
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
            total=len(rows),
            page=page,
        )


def _asked_of_files(args: argparse.Namespace) -> dict[str, object]:
    """What makes other files of the same pictures: these are drawn anew."""
    has_quality = args.output_format != "png"
    asked = {"output_format": args.output_format, "output_quality": args.output_quality} if has_quality else {}
    return {**asked, "no_metadata": True} if args.no_metadata else asked


def _check_engine(args: argparse.Namespace) -> None:
    if args.engine not in ENGINES:
        names, value = ", ".join(ENGINES), repr(args.engine)
        raise InvalidInputError(
            "options.choice",
            "{field} must be one of {choices}; got {value}",
            field="engine",
            choices=names,
            value=value,
        )
    if args.workers is not None:
        check_whole("workers", args.workers, 1, MAX_WORKERS)
    for field in ("workers", "ray_address"):
        if args.engine != "ray" and getattr(args, field) is not None:
            raise InvalidInputError(
                "batch.only_ray",
                "{field} is for the engine ray, and the engine is {value}; add --engine ray, or leave {field} out",
                field=field,
                value=args.engine,
            )


def _restyle(args: argparse.Namespace) -> Callable[[str], str]:
    """A prompt -> the prompt in `--style`; a style that the model cannot read is refused here, before any row."""
    folder = choose_folder(args.weights)[0]
    restyle = partial(with_style, JapaneseTokenizer.load(open_model_folder(folder) / "tokenizer"), style=args.style)
    restyle("")
    return restyle


def _engine(
    args: argparse.Namespace, rows: Sequence[Row], results: "Results", num_digits: int
) -> "Generator[Drawn, None, None]":
    """What draws `rows`, once it is iterated."""
    from jsd.batch.drawing import FileChoice, ModelChoice, draw_locally

    folder = choose_folder(args.weights)[0]
    model = ModelChoice(folder=folder.absolute(), device=args.device, dtype=args.dtype)
    files = FileChoice(
        format=args.output_format,
        quality=args.output_quality,
        with_metadata=not args.no_metadata,
        num_digits=num_digits,
    )
    if args.engine == "local":
        return draw_locally(rows, model, files, results.check_model)

    from jsd.batch.ray_engine import draw_on_cluster
    from jsd.models.record import folder_digest

    digest = folder_digest(open_model_folder(model.folder))
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

    bar = partial(tqdm, total=num_rows, initial=num_finished, unit="row")
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
            sentences = [*record["warnings"], *(withheld["reason"] for withheld in record["withheld"])]
            for name, seed in zip(record["files"], record["seeds"], strict=True):
                bar.write(f"{results.path.parent / name}  seed {seed}")
        for sentence in sentences:
            bar.write("jsd: " + _("row {number}", number=record["row"]) + f": {sentence}", file=sys.stderr)
    return failures


def _say(sentence: str) -> None:
    print(f"jsd: {sentence}", file=sys.stderr)
