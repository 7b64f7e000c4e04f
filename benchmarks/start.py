"""From the shell to the picture: `jsd generate`, loading alone, and the predictor's import and setup() as Cog's worker
runs them, beside those of an earlier version, in one run.

    python -m benchmarks.start --before COMMIT [--weights FOLDER] [--steps N] [--rounds N]

Both versions draw with the same folder in the same environment, in turn, each time in a new process; the first round
warms the disk's cache and is left out. What is computed, on all cores together, depends less on what else runs than the
seconds do. Memory is the most that the process held.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
# As the programs of each version load a model.
LOAD = """
import pathlib, sys
if pathlib.Path("jsd/lean.py").exists():  # an import would find that of an editable install of the other version
    from jsd.lean import load_alone as load
else:
    from jsd import Pipeline
    load = Pipeline.load
load(sys.argv[1], "cpu", sys.argv[2])
"""
SETUP = "import predict; predict.Predictor().setup()"


def run_once(tree: Path, arguments: Sequence[str], **variables: str) -> tuple[float, float, float]:
    """A Python process that imports the jsd in `tree`: (seconds, those that a core computed, peak of memory in GB)."""
    began = perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(tree), **variables}
    process = subprocess.Popen([sys.executable, *arguments], cwd=tree, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(arguments)} failed in {tree}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    return perf_counter() - began, usage.ru_utime + usage.ru_stime, peak


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", required=True, metavar="COMMIT", help="the version to compare with")
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, default=25, help="0: loading alone")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    weights = str(args.weights.resolve())
    model = ["--weights", weights, "--device", "cpu", "--dtype", args.dtype]
    with TemporaryDirectory() as scratch:
        trees = {"before": Path(scratch) / "before", "now": ROOT}
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(trees["before"]), args.before], check=True)
        tasks = {"load": ["-c", LOAD, weights, args.dtype], "setup": ["-c", SETUP]}
        if args.steps > 0:
            drawing = ["猫", "--seed", "1", "--num-inference-steps", str(args.steps), "--output-dir", scratch]
            tasks["generate"] = ["-m", "jsd", "generate", *drawing, *model]
        measured: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        try:
            for _ in range(args.rounds + 1):
                for task, arguments in tasks.items():
                    for version, tree in trees.items():
                        measured.setdefault((task, version), []).append(run_once(tree, arguments, JSD_WEIGHTS=weights))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(trees["before"])], check=True)
    print("| | seconds: least | median | most | of them computing, median | peak, GB |\n|" + 6 * " --- |")
    for (task, version), rounds in measured.items():
        seconds, computing, peaks = zip(*rounds[1:], strict=True)
        figures = f"{min(seconds):.2f} | {median(seconds):.2f} | {max(seconds):.2f} | {median(computing):.2f}"
        print(f"| {task}, {version} | {figures} | {max(peaks):.2f} |")


if __name__ == "__main__":
    main()
