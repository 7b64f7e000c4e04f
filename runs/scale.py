"""What each step of docs/scale.md costs: records a second of one core, bytes a record, and the memory of training.

python -m runs.scale [--records 400] [--folder build/scale]   writes docs/results/scale.json and the tables of scale.md

Times are of the processor, not of the clock, so that a busy machine measures the same.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from jsd.atomic import write_json
from runs.blocks import DOCS, ROOT, clear, write_block

RESULTS = DOCS / "results" / "scale.json"
PAGES = (DOCS / "scale.md", DOCS / "scale.ja.md")
PICTURE_PX, LATENT_PX = 512, 128
STREAMED = (1_000, 100_000)  # records whose memory is measured
BATCHES, BATCH = 150, 64


def write_pictures(folder: Path, count: int) -> None:
    """JPEG files with captions: coloured blobs, as large as photographs on the web."""
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True)
    for number in range(count):
        small = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        picture = Image.fromarray(small).resize((PICTURE_PX, PICTURE_PX), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:06}.jpg", quality=90)
        (folder / f"{number:06}.txt").write_text(f"色のついた模様、{number} 番の写真", "utf-8")


def timed(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def measure_steps(folder: Path, count: int) -> dict[str, dict[str, float]]:
    from jsd.cli import main as jsd
    from jsd.models.folder import weights_root

    clear(folder)
    write_pictures(folder / "pictures", count)
    mine, scores = folder / "mine", folder / "scores.parquet"
    mini = str(weights_root() / "mini")
    steps = {
        "import": ["data", "import", str(folder / "pictures"), "--output", str(mine)],
        "score": ["data", "score", str(mine), "--output", str(scores), "--device", "cpu"],
        "filter": ["data", "filter", str(mine), "--scores", str(scores), "--output", str(folder / "kept")],
        "latents": ["data", "latents", str(mine), "--weights", mini, "--device", "cpu"],
    }
    jsd(["data", "score", str(mine)])  # refused: what is loaded once is not counted
    seconds = {name: timed(lambda words=words: jsd(words)) for name, words in steps.items()}  # type: ignore[misc]
    places = {
        "import": mine / "shards",
        "score": scores,
        "filter": folder / "kept" / "shards",
        "latents": mine / "latents",
    }
    sizes = {
        name: sum(one.stat().st_size for one in [place, *place.rglob("*")] if one.is_file())
        for name, place in places.items()
    }
    return {
        name: {
            "records a second of a core": round(count / seconds[name], 1),
            "bytes a record": round(sizes[name] / count),
        }
        for name in steps
    }


def stream(folder: Path, count: int) -> dict[str, float]:
    """Peak memory and rate of training's batches over so many records, in a process of its own."""
    import numpy as np

    from jsd.models.folder import weights_root
    from jsd.prompting.tokenizer import JapaneseTokenizer
    from jsd.training import modules
    from jsd.training.corpora.records import Record
    from jsd.training.corpora.shards import RECORDS_A_SHARD, close_output, open_output, shard_bytes, shard_path
    from jsd.training.recipes import MINI
    from jsd.training.streaming import LatentsTask, StreamedLatents, latents_paths

    mini = weights_root() / "mini"
    open_output(folder, {})
    counts = [min(RECORDS_A_SHARD, count - first) for first in range(0, count, RECORDS_A_SHARD)]
    for shard, size in enumerate(counts):
        records = [
            Record(f"{shard}/{n}", b"", (f"色のついた模様、{n} 番の写真",), columns={"digest": f"{shard}/{n}"})
            for n in range(size)
        ]
        shard_path(folder, shard).write_bytes(shard_bytes(records, {}))
    shards = close_output(folder, {}, counts)
    vae = modules.load("vae", mini)
    paths = latents_paths(shards, vae, LATENT_PX)
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    for path, size in zip(paths, counts, strict=True):
        np.save(path, np.zeros((size, 4, LATENT_PX // 8, LATENT_PX // 8), np.float16))
    tokenizer = JapaneseTokenizer.load(mini / "tokenizer")
    task = LatentsTask(shards, mini, LATENT_PX, "cpu")
    batches = StreamedLatents(task, vae, MINI.stages["stage2"], tokenizer, 0, 0.1)
    assert batches.stage.train_batch_size == BATCH
    began = time.process_time()
    for step in range(BATCHES):
        batches.batch(step * 7)  # over all shards
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"records": count, "peak MiB": round(peak), "records a second of a core": round(BATCHES * BATCH / seconds)}


def scale_block() -> str:
    results = json.loads(RESULTS.read_text("utf-8"))
    lines = [
        "| | records a second of a core | 100 million, core hours | bytes a record | 100 million, TB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, found in results["steps"].items():
        rate, size = found["records a second of a core"], found["bytes a record"]
        lines.append(
            f"| `jsd data {name}` | {rate:g} | {1e8 / rate / 3600:,.0f} | {size:,} | {size * 1e8 / 1e12:.2g} |"
        )
    lines += ["", "| records | peak memory, MiB | records a second of a core |", "| --- | --- | --- |"]
    lines += [
        f"| {one['records']:,} | {one['peak MiB']:,} | {one['records a second of a core']:,} |"
        for one in results["streaming"]
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--records", type=int, default=400, help="pictures that the steps work on; default: %(default)s"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "scale", help="default: build/scale")
    parser.add_argument("--stream", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stream is not None:
        print(json.dumps(stream(args.folder, args.stream)))
        return
    steps = measure_steps(args.folder, args.records)
    streamed = []
    for count in STREAMED:
        place = args.folder / f"stream-{count}"
        command = [sys.executable, "-m", "runs.scale", "--folder", str(place), "--stream", str(count)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        streamed.append(json.loads(done.stdout.splitlines()[-1]))
        shutil.rmtree(place)
    sizes = {"picture": f"{PICTURE_PX} px JPEG", "latents": f"{LATENT_PX} px"}
    results: dict[str, object] = {**sizes, "steps": steps, "streaming": streamed}
    write_json(RESULTS, results)
    for page in PAGES:
        write_block(page, "scale", scale_block())
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
