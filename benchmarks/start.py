"""From the shell to the picture: `jsd generate`, and loading alone, beside those of an earlier version, in one run.

    python -m benchmarks.start --before COMMIT [--weights FOLDER] [--steps N] [--rounds N]

Both versions draw with the same folder in the same environment, in turn, each time in a new process; the first round
warms the disk's cache and is left out. Memory is the most that the process held.
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
import sys
try:
    from jsd.lean import load_alone as load
except ImportError:
    from jsd import Pipeline
    load = Pipeline.load
load(sys.argv[1], "cpu", sys.argv[2])
"""


def run_once(tree: Path, arguments: Sequence[str]) -> tuple[float, float]:
    """A Python process that imports the jsd in `tree`: (seconds, its peak of memory in GB)."""
    began = perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    process = subprocess.Popen([sys.executable, *arguments], cwd=tree, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(arguments)} failed in {tree}")
    return perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


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
        tasks = {"load": ["-c", LOAD, weights, args.dtype]}
        if args.steps > 0:
            drawing = ["猫", "--seed", "1", "--num-inference-steps", str(args.steps), "--output-dir", scratch]
            tasks["generate"] = ["-m", "jsd", "generate", *drawing, *model]
        measured: dict[tuple[str, str], list[tuple[float, float]]] = {}
        try:
            for _ in range(args.rounds + 1):
                for task, arguments in tasks.items():
                    for version, tree in trees.items():
                        measured.setdefault((task, version), []).append(run_once(tree, arguments))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(trees["before"])], check=True)
    print("| | seconds: least | median | most | peak, GB |\n| --- | --- | --- | --- | --- |")
    for (task, version), rounds in measured.items():
        seconds = [one for one, _ in rounds[1:]]
        figures = f"{min(seconds):.2f} | {median(seconds):.2f} | {max(seconds):.2f}"
        print(f"| {task}, {version} | {figures} | {max(peak for _, peak in rounds):.2f} |")


if __name__ == "__main__":
    main()
