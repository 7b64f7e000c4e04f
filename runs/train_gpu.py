"""The scenes stage from one model folder to the next, within some minutes of a GPU and without a network.

    python -m runs.train_gpu START SPRITES RESULT [--seconds 480 | --steps N] [options of jsd train]

START is a model folder, SPRITES the folder of `jsd data sprites`. RESULT gets the UNet in bfloat16, in parts
that are laid over a copy of START: `cat RESULT/scenes.tar.* | tar -x -C FOLDER`. Where that is the START of the
next run, give another --seed: its scenes are others.
"""

import argparse
import json
import shutil
import tarfile
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from runs.export_mini import FOLDERS, forget_origin

STAGE, COMPONENTS = "scenes", ("unet",)
PART_BYTES = 15_000_000
# The steps of the row's warm-up, in which the rate of learning does not depend on how many follow.
TIMED_STEPS = 100
QUIET = (20, 60)  # between these steps no scenes are painted, between the last and TIMED_STEPS one shard
RESERVE_SECONDS, MARGIN = 30, 0.9  # to load once more and to write; of what is left, what is planned with
CHECKPOINTING_STEPS = 1000  # samples take seconds


def steps_within(log: Path, seconds: float) -> int:
    """To how many steps a run with this log.jsonl may go on for so many seconds more, painting on the way."""
    from jsd.training.scenery import STEPS_PER_SHARD

    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    at = {line["step"]: line["seconds"] for line in lines}
    first, last = QUIET
    step = (at[last] - at[first]) / (last - first)
    shard = max(0.0, at[TIMED_STEPS] - at[last] - step * (TIMED_STEPS - last))
    return TIMED_STEPS + max(0, int(MARGIN * (seconds - RESERVE_SECONDS) / (step + shard / STEPS_PER_SHARD)))


def pack(stage: Path, result: Path) -> None:
    """What `stage` trained, into `result`: parts of an archive, the log, the last samples."""
    from jsd.atomic import write_json
    from jsd.models.convert import convert_folder

    file = BytesIO()
    with TemporaryDirectory() as folder, tarfile.open(fileobj=file, mode="w") as archive:
        model = Path(folder) / "model"
        convert_folder(stage / "model", model, "bfloat16")
        run = json.loads((stage / "run.json").read_text("utf-8"))
        run["options"] = {name: value for name, value in run["options"].items() if name not in FOLDERS}
        write_json(model / "run.json", run)
        for component in COMPONENTS:
            forget_origin(model / component / "config.json")
        for name in (*COMPONENTS, "run.json"):
            archive.add(model / name, name)
    data = file.getvalue()
    for number, first in enumerate(range(0, len(data), PART_BYTES)):
        (result / f"{STAGE}.tar.{number:02}").write_bytes(data[first : first + PART_BYTES])
    samples = max((stage / "samples").iterdir())
    for path in (stage / "log.jsonl", samples):
        shutil.copyfile(path, result / path.name)


def jsd(*arguments: str) -> None:
    from jsd.cli import main

    code = main(arguments)
    if code != 0:
        raise SystemExit(code)


def main(argv: Sequence[str] | None = None) -> None:
    began = time.monotonic()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    for name in ("start", "sprites", "result"):
        parser.add_argument(name, type=Path, metavar=name.upper())
    parser.add_argument("--seconds", type=float, default=480, help="for all of it; default: %(default)s")
    parser.add_argument("--steps", type=int, help="so many instead, however long they take")
    args, more = parser.parse_known_args(argv)
    args.result.mkdir(parents=True, exist_ok=True)
    if any(args.result.iterdir()):
        raise SystemExit(f"RESULT must be an empty folder, and {args.result} is not; name another")
    with TemporaryDirectory() as work:
        corpus, output = str(Path(work) / "mini"), Path(work) / "checkpoints"
        jsd("data", "build", "--from-sprites", str(args.sprites), "--corpus", corpus)
        train = ["train", "--recipe", "mini", "--stage", STAGE, "--output", str(output), "--corpus", corpus]
        train += ["--start-from", str(args.start), "--sprites", str(args.sprites)]
        train += ["--checkpointing-steps", str(CHECKPOINTING_STEPS), *more, "--max-train-steps"]
        steps = args.steps
        if steps is None:
            jsd(*train, str(TIMED_STEPS))
            left = args.seconds - (time.monotonic() - began)
            steps = steps_within(output / STAGE / "log.jsonl", left)
        jsd(*train, str(steps))
        pack(output / STAGE, args.result)
    print(f"{steps} steps, {time.monotonic() - began:.0f} s: {args.result}")


if __name__ == "__main__":
    main()
