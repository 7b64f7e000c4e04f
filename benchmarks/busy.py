"""Drawing alone, and beside a process that keeps every core busy: by OMP_WAIT_POLICY, in one run.

    python -m benchmarks.busy [--weights FOLDER] [--steps N] [--images N] [--rounds N]

jsd's programs set passive where nothing is set; active is OpenMP's own. Each figure is of a process of its own, which
draws once before it is measured.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import ROOT, measure_apart

POLICIES = ("passive", "active")
# One process with as many threads as torch takes by itself.
NEIGHBOUR = "import torch; a = torch.randn(2000, 2000); print('computes', flush=True)\nwhile True: a @ a"


@contextmanager
def neighbour(*, is_there: bool) -> Iterator[None]:
    if not is_there:
        yield
        return
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    with subprocess.Popen([sys.executable, "-c", NEIGHBOUR], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def drawing_seconds(task: dict[str, object], policy: str) -> list[float]:
    """Of each picture."""
    return [sum(phases.values()) for phases in measure_apart(task, OMP_WAIT_POLICY=policy)["phases"]]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.busy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    measured: dict[tuple[str, bool], list[float]] = {}
    with TemporaryDirectory() as scratch:
        task: dict[str, object] = {
            "implementation": "jsd",
            "dtype": args.dtype,
            "device": "cpu",
            "folder": str(args.weights.resolve()),
            "steps": args.steps,
            "images": args.images,
            "picture": str(Path(scratch) / "picture.png"),
        }
        for _ in range(args.rounds):
            for policy in POLICIES:
                for is_busy in (False, True):
                    with neighbour(is_there=is_busy):
                        measured.setdefault((policy, is_busy), []).extend(drawing_seconds(task, policy))
    print("| OMP_WAIT_POLICY | | seconds a picture: least | median | most | times alone |\n|" + 6 * " --- |")
    for (policy, is_busy), seconds in measured.items():
        ratio = median(seconds) / median(measured[policy, False])
        figures = f"{min(seconds):.2f} | {median(seconds):.2f} | {max(seconds):.2f} | {ratio:.2f}"
        print(f"| {policy} | {'beside a busy process' if is_busy else 'alone'} | {figures} |")


if __name__ == "__main__":
    main()
