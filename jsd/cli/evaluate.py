"""jsd evaluate: draw the prompts, ask the judge, write the report."""

import argparse
from pathlib import Path

MAX_SEEDS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", type=Path, help="model folder (default: as for jsd generate)")
    parser.add_argument("--corpus", type=Path, default=Path("data/mini"), help="made by jsd data build")
    parser.add_argument("--language", choices=("ja", "en"), default="ja")
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="dev to choose, test to report")
    parser.add_argument("--seeds", type=int, default=1, help="drawings of each prompt")
    parser.add_argument("--num-inference-steps", type=int, default=25)
    parser.add_argument("--guidance-scale", type=float, default=7.5)
    parser.add_argument("--output", type=Path, default=Path("outputs/evaluation"))


def run(args: argparse.Namespace) -> None:
    from jsd.data.corpus import Corpus
    from jsd.errors import InvalidInputError
    from jsd.evaluation.evaluate import evaluate
    from jsd.pipeline import Pipeline

    if not 1 <= args.seeds <= MAX_SEEDS:
        raise InvalidInputError("options.whole", field="seeds", low=1, high=MAX_SEEDS, value=args.seeds)
    corpus = Corpus.load(args.corpus)
    report = evaluate(
        Pipeline.load(args.weights), corpus, args.language, args.split, seeds=args.seeds,
        num_inference_steps=args.num_inference_steps, guidance_scale=args.guidance_scale, output=args.output,
    )  # fmt: skip
    for row in ("accuracy", "chance"):
        cells = [f"{group} {v['top1']} / {v['top5']} ({v['drawings']})" for group, v in report[row].items()]  # type: ignore[attr-defined]
        print(f"{row}, top-1 / top-5 in percent (drawings): " + ", ".join(cells))
    print(args.output / "report.json")
