"""jsd evaluate: draw the prompts, ask the judge, write the report."""

import argparse
from pathlib import Path

from jsd.cli.generate import check_folder
from jsd.cli.numbers import check_whole, number, whole
from jsd.messages import message
from jsd.options import SamplingOptions

MAX_SEEDS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weights", type=Path, metavar="FOLDER", help=message("help.weights"))
    corpus, output = Path("data/mini"), Path("outputs/evaluation")
    add("--corpus", type=Path, default=corpus, metavar="FOLDER", help=f"{message('help.corpus')} (%(default)s)")
    add("--language", choices=("ja", "en"), default="ja", help=f"{message('help.language')} (%(default)s)")
    add("--split", choices=("dev", "test"), default="test", help=f"{message('help.split')} (%(default)s)")
    add("--seeds", type=whole, default=1, metavar="N", help=f"{message('help.seeds')} (%(default)s)")
    add(
        "--num-inference-steps",
        type=whole,
        default=25,
        metavar="N",
        help=f"{message('input.num_inference_steps')} (%(default)s)",
    )
    add("--guidance-scale", type=number, metavar="W", help=message("input.guidance_scale"))
    add("--output", type=Path, default=output, metavar="FOLDER", help=f"{message('help.report_folder')} (%(default)s)")


def run(args: argparse.Namespace) -> None:
    from jsd.pipeline import Pipeline
    from jsd.training.corpora.corpus import Corpus
    from jsd.training.evaluation.evaluate import evaluate

    check_whole("seeds", args.seeds, 1, MAX_SEEDS)
    SamplingOptions(prompt="", num_inference_steps=args.num_inference_steps, guidance_scale=args.guidance_scale)
    check_folder(args.output, "output")
    corpus = Corpus.load(args.corpus)
    report = evaluate(
        Pipeline.load(args.weights),
        corpus,
        args.language,
        args.split,
        seeds=args.seeds,
        num_inference_steps=args.num_inference_steps,
        guidance_scale=args.guidance_scale,
        output=args.output,
    )
    for row in ("accuracy", "chance"):
        cells = [f"{group} {v['top1']} / {v['top5']} ({v['drawings']})" for group, v in report[row].items()]  # type: ignore[attr-defined]
        print(message("evaluate.row", row=message(f"label.{row}"), cells=", ".join(cells)))
    print(args.output / "report.json")
