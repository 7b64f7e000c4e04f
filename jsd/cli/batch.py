"""jsd batch FILE.jsonl|.csv|.txt --output-dir FOLDER: a picture for every row; run again, it goes on."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from jsd.batch.rows import BadRow, Row, read_rows
from jsd.cli.generate import add_model_arguments, add_output_arguments, check_output
from jsd.errors import JsdError
from jsd.messages import message

if TYPE_CHECKING:
    from jsd.batch.results import Results
    from jsd.pipeline import Pipeline

# What every further row would meet too.
STOPS = ("image.unwritable", "batch.unwritable")
SECONDS_BETWEEN_LOG_LINES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="JSON lines or CSV (columns are sampling options: prompt, seed, width, ...), or .txt: one prompt a line",
    )
    add_model_arguments(parser)
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> None:
    check_output(args)
    rows = read_rows(args.file)
    failures = {row.number: str(row.error) for row in rows if isinstance(row, BadRow)}
    for number, words in failures.items():
        _say(f"{message('batch.row', number=number)}: {words}")
    good = [row for row in rows if isinstance(row, Row)]

    from jsd.batch.results import Results
    from jsd.batch.sheet import write_grid, write_page

    args.output_dir.mkdir(parents=True, exist_ok=True)
    with closing(Results(args.output_dir)) as results:
        finished = results.finished()
        left = [row for row in good if row.key not in finished]
        if len(left) < len(good):
            _say(message("batch.resumed", count=len(good) - len(left), total=len(good)))
        if left:
            failures |= _draw_rows(args, left, results, num_finished=len(good) - len(left))
        finished = results.finished()
    records = [{**finished[row.key], "row": row.number} for row in good if row.key in finished]
    if records:
        print(write_grid(args.output_dir, [name for record in records for name in record["files"]]))
    print(write_page(args.output_dir, args.file.name, records, sorted(failures.items())))
    if failures:
        raise JsdError("batch.failed", count=len(failures), total=len(rows), results=results.path)


def _draw_rows(
    args: argparse.Namespace, rows: Sequence[Row], results: "Results", num_finished: int
) -> dict[int, str]:
    """Draw and record `rows` one by one; {number: why} of those that failed."""
    from tqdm import tqdm

    from jsd.pipeline import Pipeline

    pipeline = Pipeline.load(args.weights, device=args.device, dtype=args.dtype)
    results.check_model(pipeline.provenance["model_sha256"])
    digits = len(str(rows[-1].number))
    failures = {}
    # In a log file a line now and then; the estimate counts only what this run draws.
    interval = 0.1 if sys.stderr.isatty() else SECONDS_BETWEEN_LOG_LINES
    with tqdm(total=num_finished + len(rows), initial=num_finished, mininterval=interval, unit="row") as bar:
        for row in rows:
            try:
                record = _draw(pipeline, row, args, stem=f"{row.number:0{digits}d}-{row.key[:8]}")
            except JsdError as error:
                if error.code in STOPS:
                    raise
                failures[row.number] = str(error)
                why = {"code": error.code, "message": str(error)}
                results.append({"row": row.number, "key": row.key, "error": why})
                tqdm.write(f"jsd: {message('batch.row', number=row.number)}: {error}", file=sys.stderr)
            else:
                results.append(record)
                for sentence in record["warnings"]:
                    tqdm.write(f"jsd: {message('batch.row', number=row.number)}: {sentence}", file=sys.stderr)
                for name, seed in zip(record["files"], record["seeds"], strict=True):
                    tqdm.write(f"{args.output_dir / name}  seed {seed}", file=sys.stdout)
            bar.update()
    return failures


def _draw(pipeline: "Pipeline", row: Row, args: argparse.Namespace, stem: str) -> dict[str, Any]:
    """The row's pictures in their files, under names that a second try would use again; its record."""
    from jsd.images import save_image

    began = perf_counter()
    job = pipeline.prepare(row.options)
    for _ in pipeline.denoise(job):
        pass
    pictures = pipeline.finish(job)
    names = []
    for number, picture in enumerate(pictures):
        name = f"{stem}{f'-{number}' if len(pictures) > 1 else ''}.{args.output_format}"
        metadata = None if args.no_metadata else picture.metadata
        save_image(picture.image, args.output_dir / name, quality=args.output_quality, metadata=metadata)
        names.append(name)
    drawn = pictures[0].metadata
    return {
        "row": row.number,
        "key": row.key,
        "files": names,
        "seeds": [picture.seed for picture in pictures],
        "options": {**{name: drawn[name] for name in vars(row.options)}, "num_outputs": len(pictures)},
        "model": drawn["model"],
        "model_sha256": drawn["model_sha256"],
        "dtype": drawn["dtype"],
        "warnings": job.prompts[0].warnings(),
        "seconds": round(perf_counter() - began, 3),
    }


def _say(sentence: str) -> None:
    print(f"jsd: {sentence}", file=sys.stderr)
