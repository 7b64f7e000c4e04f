"""What guidance within an interval of noise levels costs and gives (arXiv 2404.07724), on the embedded model.

    python -m benchmarks.guidance_interval [--weights FOLDER]

Of each interval: how many pictures the UNet was given, of those of guidance all the way, and how well the finished
pictures fit their prompts by the repository's own scorer: the mean cosine, and the standard error of its difference.
"""

import argparse
from pathlib import Path

import numpy as np

from runs.blocks import ROOT

INTERVALS = ((0.0, 1.0), (0.2, 1.0), (0.0, 0.8), (0.2, 0.8), (0.4, 0.6))
NUM_PROMPTS, BATCH = 32, 8
PROMPTS = ROOT / "jsd" / "training" / "evaluation" / "sets" / "known.txt"


def main() -> None:
    from jsd import Pipeline, SamplingOptions
    from jsd.scoring import load_scorer

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    pipeline, scorer = Pipeline.load(parser.parse_args().weights), load_scorer()
    rows = 0

    def count(module: object, inputs: tuple[object, ...]) -> None:
        nonlocal rows
        rows += len(inputs[0])  # type: ignore[arg-type]

    pipeline.unet.register_forward_pre_hook(count)
    lines = [line for line in PROMPTS.read_text("utf-8").splitlines() if not line.startswith("#")]
    prompts = [line.partition(": ")[2].partition(" = ")[0] for line in lines[:: len(lines) // NUM_PROMPTS]][
        :NUM_PROMPTS
    ]
    texts = scorer.text_features(prompts)
    print(
        f"{pipeline}, model {str(pipeline.provenance['model_sha256'])[:10]}, {len(prompts)} prompts, seed 0, 25 steps"
    )
    print("| interval | UNet's pictures | fit | standard error of the difference |\n| --- | --- | --- | --- |")
    whole, first = 0, np.zeros(len(prompts))
    for start, end in INTERVALS:
        rows, pictures = 0, []
        for index in range(0, len(prompts), BATCH):
            values = {"seed": 0, "guidance_start": start, "guidance_end": end}
            requests = [SamplingOptions(prompt=prompt, **values) for prompt in prompts[index : index + BATCH]]  # type: ignore[arg-type]
            pictures += [one.image for one in pipeline.generate(requests)]
        fit = (scorer.image_features(pictures) * texts).sum(dim=-1).cpu().numpy()
        whole, first = (rows, fit) if whole == 0 else (whole, first)
        error = (fit - first).std() / len(prompts) ** 0.5
        print(f"| {start} to {end} | {rows / whole:.0%} | {fit.mean():.3f} | {error:.3f} |", flush=True)


if __name__ == "__main__":
    main()
