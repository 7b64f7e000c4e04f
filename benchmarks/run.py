"""Our pipeline and diffusers' StableDiffusionPipeline on one model folder, side by side in one run.

    python -m benchmarks.run [--weights FOLDER] [--steps N] [--rounds N] ...

Each variant runs in a process of its own, all of them in turn and that several times, so that a machine that
slows down slows all of them. A figure is the median; ratios are to the first implementation in the first dtype.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from benchmarks.measure import PHASES, ROOT, difference, measure_apart
from jsd.atomic import write_json
from jsd.models.record import folder_digest

IMPLEMENTATIONS = ("diffusers", "jsd", "openvino")  # the last: ours by that engine
DTYPES = ("float32", "bfloat16", "float16")

Row = dict[str, float]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--implementations", nargs="+", default=["diffusers", "jsd"], choices=IMPLEMENTATIONS)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], choices=DTYPES)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--images", type=int, default=3, help="measured in each process, after one that warms up")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each variant")
    parser.add_argument("--output", type=Path, default=Path("outputs") / "benchmark.json")
    return parser


def run_all(args: argparse.Namespace, scratch: Path) -> dict[str, list[dict[str, Any]]]:
    """variant -> what each of its processes measured; the last picture of each is scratch/VARIANT.png."""
    variants = [(implementation, dtype) for dtype in args.dtypes for implementation in args.implementations]
    found: dict[str, list[dict[str, Any]]] = {" ".join(variant): [] for variant in variants}
    for number in range(args.rounds):
        for implementation, dtype in variants:
            name = f"{implementation} {dtype}"
            print(f"round {number + 1} of {args.rounds}: {name}", file=sys.stderr)
            task = {
                "implementation": implementation,
                "dtype": dtype,
                "device": args.device,
                "folder": str(args.weights.resolve()),
                "steps": args.steps,
                "images": args.images,
                "picture": str(scratch / f"{name}.png"),
            }
            found[name].append(measure_apart(task))
    return found


def summarise(processes: list[dict[str, Any]]) -> Row:
    """The medians of one variant; peak memory is the largest."""
    images = [phases for process in processes for phases in process["phases"]]
    return {
        "import_seconds": median(process["import_seconds"] for process in processes),
        "load_seconds": median(process["load_seconds"] for process in processes),
        **{f"{phase}_seconds": median(image[phase] for image in images) for phase in PHASES},
        "image_seconds": median(sum(image.values()) for image in images),
        "image_least_seconds": min(sum(image.values()) for image in images),
        "image_most_seconds": max(sum(image.values()) for image in images),
        "peak_bytes": max(process["peak_bytes"] for process in processes),
    }


def build_report(args: argparse.Namespace, measured: dict[str, list[dict[str, Any]]], scratch: Path) -> dict[str, Any]:
    rows = {name: summarise(processes) for name, processes in measured.items()}
    baseline = next(iter(rows))
    for name, row in rows.items():
        mean, most = difference(*(Image.open(scratch / f"{one}.png") for one in (name, baseline)))
        row.update(difference=mean, largest_difference=most)
    first = measured[baseline][0]
    return {
        "model": args.weights.name,
        "model_sha256": folder_digest(args.weights),
        "device": args.device,
        "hardware": first["hardware"],
        "versions": first["versions"],
        "steps": args.steps,
        "images": args.images,
        "rounds": args.rounds,
        "baseline": baseline,
        "variants": rows,
        # Above 1: better than the baseline by that factor.
        "ratios": {
            name: {key: rows[baseline][key] / value for key, value in row.items() if "difference" not in key}
            for name, row in rows.items()
        },
    }


def as_table(report: dict[str, Any]) -> str:
    """Markdown: seconds, memory, and in brackets how many times better than the baseline."""
    keys = ("image_seconds", *(f"{phase}_seconds" for phase in PHASES), "peak_bytes")
    names = (
        "imports and load, s",
        "image, s",
        "encode, s",
        "denoise, s",
        "decode, s",
        "peak, GB",
        "image: least to most, s",
    )
    lines = [f"| | {' | '.join(names)} | difference |", f"|{' --- |' * (len(names) + 2)}"]
    starts = {name: row["import_seconds"] + row["load_seconds"] for name, row in report["variants"].items()}
    for variant, row in report["variants"].items():
        ratios = report["ratios"][variant]
        values = {key: row[key] / 1e9 if key == "peak_bytes" else row[key] for key in keys}
        cells = [f"{starts[variant]:.3f} ({starts[report['baseline']] / starts[variant]:.2f}×)"]
        cells += [f"{values[key]:.3f} ({ratios[key]:.2f}×)" for key in keys]
        cells += [f"{row['image_least_seconds']:.3f} to {row['image_most_seconds']:.3f}"]
        lines.append(f"| {variant} | {' | '.join(cells)} | {row['difference']:.2f} ({row['largest_difference']:.0f}) |")
    lines.append("")
    lines.append(
        f"{report['model']}, {report['steps']} steps, {report['hardware']}, torch {report['versions']['torch']}, "
        f"diffusers {report['versions']['diffusers']}. In brackets: times better than {report['baseline']}. "
        "Difference: of the picture from the baseline's, of 255: mean (most)."
    )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as scratch:
        report = build_report(args, run_all(args, Path(scratch)), Path(scratch))
    write_json(args.output, report)
    print(as_table(report))
    print(f"\n{args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
