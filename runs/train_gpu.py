"""The stages parts and scenes from one model folder to the next, within some minutes of a GPU and without a network.

    python -m runs.train_gpu START SPRITES RESULT [--seconds 480] [--parts-share 0.25] [--parts OPTIONS]
        [--scenes OPTIONS] [options of jsd train for both]

START is a model folder, SPRITES the folder of `jsd data sprites`. While the text encoder reads, scenes are painted.
RESULT gets both in bfloat16, in pieces that are laid over a copy of START:
`cat RESULT/trained.tar.* | tar -x -C FOLDER`. Where that is the START of the next run, give another --seed: its scenes
are others.
"""

import argparse
import json
import multiprocessing
import os
import shlex
import shutil
import tarfile
import time
from collections.abc import Sequence
from io import BytesIO
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from jsd.training.scenery import FIRST_SHARDS, scenes_folder
from runs.export_mini import FOLDERS, forget_origin

STAGES = {"parts": "text_encoder", "scenes": "unet"}
PART_BYTES = 15_000_000
# In the rows' warm-up the rate of learning does not depend on how many steps follow; between which ones is timed.
TIMED_STEPS, QUIET = 100, (40, 100)
RESERVE_SECONDS, MARGIN = 20, 0.9  # to load once more and to write; of what is left, what is planned with
READERS = 3  # of the processes: to make the texts is little work
CHECKPOINTING_STEPS = 1_000_000  # samples take seconds, and there is nothing to go on from


def steps_within(log: Path, seconds: float) -> int:
    """To how many steps a run with this log.jsonl may go on for so many seconds more."""
    at = {line["step"]: line["seconds"] for line in map(json.loads, log.read_text("utf-8").splitlines())}
    first, last = QUIET
    step = (at[last] - at[first]) / (last - first)
    return TIMED_STEPS + max(0, int(MARGIN * (seconds - RESERVE_SECONDS) / step))


def paint(args: argparse.Namespace, corpus: str, output: Path, shards: int) -> None:
    """The scenes that the stage is going to draw from, into its output folder."""
    import torch

    from jsd.training import modules
    from jsd.training.corpora.corpus import Corpus
    from jsd.training.corpora.scenes import Scenes
    from jsd.training.corpora.sprites import SPRITES_FILE, Sprites
    from jsd.training.recipes import MINI
    from jsd.training.scenery import SceneLatents

    torch.set_num_threads(1)  # there are as many processes as cores
    vae = modules.load("vae", args.start).to(args.device)
    sprites, drawn = Sprites.load(args.sprites / SPRITES_FILE), MINI.stages["scenes"].drawn
    scenes = Scenes(Corpus.load(Path(corpus)).concepts, sprites, args.seed, drawn)
    latents = SceneLatents(scenes, vae, vae.config.sample_size, scenes_folder(output, args.seed))
    latents.paint_ahead(shards, max(1, args.dataloader_num_workers - READERS))


def stop(painted: SpawnProcess, folder: Path) -> int:
    """How many shards there are, once nobody adds any."""
    while painted.is_alive() and not any(folder.glob(f"*/{FIRST_SHARDS - 1:05}.pt")):
        time.sleep(0.1)
    if painted.exitcode not in (None, 0):
        raise SystemExit("the scenes could not be painted; the reason is above")
    painted.terminate()
    painted.join()
    return len(list(folder.glob("*/[0-9]*.pt")))


def pack(output: Path, result: Path) -> None:
    """What was trained, into `result`: parts of an archive, the logs, the last samples."""
    from jsd.atomic import write_json
    from jsd.models.convert import convert_folder

    file = BytesIO()
    with TemporaryDirectory() as folder, tarfile.open(fileobj=file, mode="w") as archive:
        model = Path(folder) / "model"
        convert_folder(output / "scenes" / "model", model, "bfloat16")
        for stage, component in STAGES.items():
            run = json.loads((output / stage / "run.json").read_text("utf-8"))
            run["options"] = {name: value for name, value in run["options"].items() if name not in FOLDERS}
            write_json(model / f"{stage}.json", run)
            forget_origin(model / component / "config.json")
            archive.add(model / component, component)
            archive.add(model / f"{stage}.json", f"{stage}.json")
            shutil.copyfile(output / stage / "log.jsonl", result / f"{stage}.jsonl")
    data = file.getvalue()
    for number, first in enumerate(range(0, len(data), PART_BYTES)):
        (result / f"trained.tar.{number:02}").write_bytes(data[first : first + PART_BYTES])
    samples = max((output / "scenes" / "samples").iterdir())
    shutil.copyfile(samples, result / samples.name)


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
    parser.add_argument("--parts-share", type=float, default=0.25, help="of that, for parts; default: %(default)s")
    for stage in STAGES:
        parser.add_argument(f"--{stage}", default="", metavar="OPTIONS", help=f"of jsd train, for {stage} alone")
    said = "of 1,024 scenes, painted while the text encoder reads, as far as they come; default: %(default)s"
    parser.add_argument("--shards", type=int, default=384, help=said)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dataloader-num-workers", type=int, default=max(1, (os.cpu_count() or 1) - 2))
    args, more = parser.parse_known_args(argv)
    args.result.mkdir(parents=True, exist_ok=True)
    if any(args.result.iterdir()):
        raise SystemExit(f"RESULT must be an empty folder, and {args.result} is not; name another")
    with TemporaryDirectory() as work:
        corpus, output = str(Path(work) / "mini"), Path(work) / "checkpoints"
        jsd("data", "build", "--from-sprites", str(args.sprites), "--corpus", corpus)
        workers = args.dataloader_num_workers
        # Forked, a process could not use the GPU.
        spawned = multiprocessing.get_context("spawn")
        painted = spawned.Process(target=paint, args=(args, corpus, output, args.shards))
        painted.start()
        start, ends = args.start, {"parts": began + args.parts_share * args.seconds, "scenes": began + args.seconds}
        for stage, component in STAGES.items():
            shards = args.shards
            if stage == "scenes":
                shards = stop(painted, scenes_folder(output, args.seed))
                print(f"{shards} shards, {time.monotonic() - began:.0f} s so far", flush=True)
            train = ["train", "--recipe", "mini", "--stage", stage, "--output", str(output), "--corpus", corpus]
            train += ["--start-from", str(start), "--sprites", str(args.sprites), "--seed", str(args.seed)]
            train += ["--checkpointing-steps", str(CHECKPOINTING_STEPS), "--device", args.device]
            train += ["--scene-shards", str(shards)]
            train += ["--dataloader-num-workers", str(min(READERS, workers) if stage == "parts" else workers)]
            train += [*more, *shlex.split(getattr(args, stage)), "--max-train-steps"]
            jsd(*train, str(TIMED_STEPS))
            steps = steps_within(output / stage / "log.jsonl", ends[stage] - time.monotonic())
            # An estimate may be wrong, and what is late is lost.
            limit = max(1.0, ends[stage] - RESERVE_SECONDS / 2 - time.monotonic())
            jsd(*train, str(steps), "--max-train-seconds", f"{limit:.1f}")
            print(f"{stage}: {time.monotonic() - began:.0f} s so far", flush=True)
            # The next stage starts from this one's component and the others of START.
            start = Path(shutil.copytree(args.start, Path(work) / "start", dirs_exist_ok=True))
            shutil.copytree(output / stage / "model" / component, start / component, dirs_exist_ok=True)
        pack(output, args.result)
    print(f"{time.monotonic() - began:.0f} s: {args.result}")


if __name__ == "__main__":
    main()
