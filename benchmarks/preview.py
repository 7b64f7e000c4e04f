"""What a preview costs, beside the step that it shows.

python -m benchmarks.preview [--weights FOLDER] [--device cuda] [--steps N] [--output FILE]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.measure import PROMPT, ROOT, hardware
from jsd.atomic import write_json
from jsd.models.record import folder_digest


def measure(folder: Path, device: str, num_steps: int) -> tuple[float, float]:
    """(median seconds of a step, median seconds of its preview drawn and written), the first of each left out."""
    from jsd.devices import synchronize
    from jsd.images import save_image
    from jsd.options import SamplingOptions
    from jsd.pipeline import Pipeline
    from jsd.preview import load_preview
    from jsd.safety import blank_unsafe

    pipeline = Pipeline.load(folder, device=device)
    drawing = load_preview(pipeline)
    job = pipeline.prepare(SamplingOptions(prompt=PROMPT, num_inference_steps=num_steps, seed=0))
    steps, previews = [], []
    with TemporaryDirectory() as scratch:
        began = perf_counter()
        for state in pipeline.denoise(job):
            synchronize(pipeline.device)
            drawn = perf_counter()
            picture = blank_unsafe(pipeline.safety_checker, drawing.draw(state.predicted), job.options)
            save_image(picture, Path(scratch) / f"preview-{state.step}.png")
            ended = perf_counter()
            steps.append(drawn - began)
            previews.append(ended - drawn)
            began = ended
    return median(steps[1:]), median(previews[1:])


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preview", description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--output", type=Path, default=Path("outputs") / "preview.json")
    args = parser.parse_args(argv)
    step, preview = measure(args.weights, args.device, args.steps)
    report = {"model_sha256": folder_digest(args.weights), "steps": args.steps, "hardware": hardware(args.device)}
    write_json(args.output, {**report, "step_seconds": step, "preview_seconds": preview, "share": preview / step})
    print(f"step {step * 1000:.2f} ms, preview {preview * 1000:.2f} ms, {preview / step:.2%} of a step")


if __name__ == "__main__":
    main()
