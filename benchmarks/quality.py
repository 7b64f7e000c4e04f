"""What fewer steps, another scheduler or guidance within an interval (arXiv 2404.07724) cost and give.

    python -m benchmarks.quality [--prompts N] [--steps ...] [--schedulers ...] [--intervals ...]

The reference draws the same prompts and seeds with 50 steps of the default scheduler, guidance all the way. Of each
row: how many pictures the UNet was given, of the reference's; how far its pictures are from the reference's, of 255,
and by the scorer's eye (cosine); how well they fit their prompts by the repository's scorer, with the standard error of
the difference to the reference's.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.measure import ROOT, hardware
from jsd import Pipeline, SamplingOptions
from jsd.atomic import write_json
from jsd.options import OPTIONS
from jsd.scoring import Scorer, load_scorer

PROMPTS = ROOT / "jsd" / "training" / "evaluation" / "sets" / "known.txt"
BATCH = 8
DEFAULT = "DPMSolverMultistep"
Interval = tuple[float, float]


@dataclass(frozen=True)
class Way:
    """Of drawing; (0, 1) is guidance all the way."""

    scheduler: str
    steps: int
    interval: Interval

    def options(self, prompt: str) -> SamplingOptions:
        return SamplingOptions(
            prompt=prompt,
            seed=0,
            upscale=1,
            scheduler=self.scheduler,
            num_inference_steps=self.steps,
            guidance_start=self.interval[0],
            guidance_end=self.interval[1],
            disable_safety_checker=True,  # the model is measured
        )


@dataclass(frozen=True, kw_only=True)
class Drawn:
    pictures: "np.ndarray[Any, Any]"  # (N, H, W, 3) uint8
    seconds: float
    unet_pictures: int
    features: torch.Tensor  # (N, D), the scorer's
    fit: "np.ndarray[Any, Any]"  # (N,)


def draw(pipeline: Pipeline, scorer: Scorer, way: Way, prompts: Sequence[str]) -> Drawn:
    given = 0

    def count(module: object, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal given
        given += len(inputs[0])

    hook = pipeline.unet.register_forward_pre_hook(count)
    began, images = perf_counter(), []
    try:
        for index in range(0, len(prompts), BATCH):
            requests = [way.options(prompt) for prompt in prompts[index : index + BATCH]]
            images += [one.image for one in pipeline.generate(requests, progress=False)]
    finally:
        hook.remove()
    seconds = perf_counter() - began
    features = scorer.image_features(images)
    fit = (features * scorer.text_features(prompts)).sum(dim=-1).cpu().numpy()
    pictures = np.stack([np.asarray(image) for image in images])
    return Drawn(pictures=pictures, seconds=seconds, unet_pictures=given, features=features, fit=fit)


def compare(drawn: Drawn, reference: Drawn) -> dict[str, float]:
    difference = drawn.pictures.astype(float) - reference.pictures
    return {
        "unet_share": drawn.unet_pictures / reference.unet_pictures,
        "seconds_a_picture": drawn.seconds / len(drawn.pictures),
        "difference": float(np.abs(difference).mean()),
        "likeness": float((drawn.features * reference.features).sum(dim=-1).mean()),
        "fit": float(drawn.fit.mean()),
        "standard_error": float((drawn.fit - reference.fit).std() / len(drawn.fit) ** 0.5),
    }


def interval(text: str) -> Interval:
    start, _, end = text.partition(":")
    return float(start), float(end)


def spaced(found: Sequence[str], count: int) -> list[str]:
    count = min(count, len(found))
    return [found[number * len(found) // count] for number in range(count)]


def as_table(report: dict[str, Any]) -> str:
    names = ["scheduler", "steps", "guidance", "UNet's pictures", "s a picture", "from the reference", "likeness"]
    names += ["fit ± standard error of the difference"]
    lines = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    for row in report["rows"]:
        start, end = row["interval"]
        cells = [row["scheduler"], str(row["steps"]), f"{start:g} to {end:g}", f"{row['unet_share']:.0%}"]
        cells += [f"{row['seconds_a_picture']:.2f}", f"{row['difference']:.1f}", f"{row['likeness']:.3f}"]
        cells += [f"{row['fit']:.3f} ± {row['standard_error']:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    about = f"{report['pipeline']}, model {report['model_sha256'][:10]}, guidance {report['guidance_scale']:g}"
    return "\n".join([*lines, "", f"{about}, {report['prompts']} prompts, seed 0, {report['hardware']}"])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    add("--prompts", type=int, default=32, help="how many of the known ones, evenly spaced")
    add("--steps", type=int, nargs="+", default=[8, 12, 16, 20, 25, 50])
    schedulers = OPTIONS["scheduler"].choices
    add("--schedulers", nargs="+", default=[DEFAULT, "KarrasDPM", "K_EULER", "DDIM"], choices=schedulers)
    add("--intervals", type=interval, nargs="+", default=[(0.0, 1.0), (0.2, 0.8)], metavar="START:END")
    add("--reference-steps", type=int, default=50)
    add("--output", type=Path, default=Path("outputs") / "quality.json")
    args = parser.parse_args(argv)
    if args.prompts < 1:
        parser.error(f"--prompts must be 1 or more, got {args.prompts}")
    pipeline, scorer = Pipeline.load(args.weights), load_scorer()
    lines = [line for line in PROMPTS.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    texts = [line.partition(": ")[2].partition(" = ")[0] for line in spaced(lines, args.prompts)]
    first = Way(DEFAULT, args.reference_steps, (0.0, 1.0))
    ways = [first]
    ways += [Way(name, steps, part) for name in args.schedulers for part in args.intervals for steps in args.steps]
    report: dict[str, Any] = {
        "pipeline": repr(pipeline),
        "model_sha256": str(pipeline.provenance.get("model_sha256")),
        "guidance_scale": pipeline.guidance_scale,
        "prompts": len(texts),
        "hardware": hardware(pipeline.device.type),
        "rows": [],
    }
    reference = None
    for way in tqdm(list(dict.fromkeys(ways))):
        drawn = draw(pipeline, scorer, way, texts)
        reference = drawn if reference is None else reference
        report["rows"].append({**vars(way), **compare(drawn, reference)})
        write_json(args.output, report)
    print(as_table(report))
    print(f"\n{args.output}")


if __name__ == "__main__":
    main()
