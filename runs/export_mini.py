"""The last stage's model folder -> weights/mini, with the upscaler that was trained, else the one that is
there: bfloat16 safetensors, checked, at most 40 MB without the upscaler; its previews; and what the page shows of it.

python -m runs.export_mini [--source FOLDER] [--destination FOLDER] [--corpus FOLDER]
"""

import argparse
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from runs.blocks import ROOT

SOURCE = Path("checkpoints") / "mini" / "scenes" / "model"
MAX_BYTES = 40_000_000
KEPT = ("README.md", "editions.json")  # from the folder that is replaced
TRAINING = "training.json"  # stage -> its run.json: options, seconds, versions, hardware
# Options that name folders of the machine that trained.
FOLDERS = ("corpus", "output", "base", "start_from", "sprites", "sources")


def export(source: Path, destination: Path, max_bytes: int = MAX_BYTES) -> int:
    """Replace `destination` by `source` in bfloat16, or change nothing. Returns the bytes of all its files."""
    from jsd.atomic import replacing_folder, write_json
    from jsd.models.convert import convert_folder
    from jsd.models.folder import open_model_folder
    from jsd.models.weights import UPSCALER, networks_of

    with replacing_folder(destination) as fresh:
        with TemporaryDirectory() as together:
            whole = Path(together) / "model"
            shutil.copytree(source, whole)
            for upscaler in (source.parents[1] / UPSCALER / "model" / UPSCALER, destination / UPSCALER):
                if upscaler.is_dir():
                    shutil.copytree(upscaler, whole / UPSCALER, dirs_exist_ok=True)
                    break
            convert_folder(whole, fresh, "bfloat16")
        for name in KEPT:
            if (destination / name).is_file():
                shutil.copyfile(destination / name, fresh / name)
        write_json(fresh / TRAINING, {**_earlier_runs(destination), **read_runs(source)})
        for component in networks_of(fresh):
            forget_origin(fresh / component / "config.json")
        open_model_folder(fresh)
        files = (path for path in fresh.rglob("*") if path.is_file() and path.parent.name != UPSCALER)
        size_bytes = sum(path.stat().st_size for path in files)
        if size_bytes > max_bytes:
            raise SystemExit(f"the folder must not exceed {max_bytes:,} bytes, and has {size_bytes:,}")
    return size_bytes


def read_runs(source: Path) -> dict[str, object]:
    """stage -> run.json of the stage whose model `source` is, of those before it, and of the upscaler."""
    from jsd.models.weights import UPSCALER
    from jsd.training.recipes import RECIPES

    stages = list(RECIPES["mini"].stages)
    stages = [*stages[: stages.index(source.parent.name) + 1], UPSCALER]
    paths = {stage: source.parents[1] / stage / "run.json" for stage in stages}
    runs = {stage: json.loads(path.read_text("utf-8")) for stage, path in paths.items() if path.is_file()}
    for run in runs.values():
        run["options"] = {name: value for name, value in run["options"].items() if name not in FOLDERS}
    return runs


def _earlier_runs(destination: Path) -> dict[str, object]:
    """Of stages that were run elsewhere, what the folder that is replaced says."""
    path = destination / TRAINING
    runs: dict[str, object] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return runs


def forget_origin(path: Path) -> None:
    """diffusers writes into a config where the weights were loaded from: a folder of the machine that trained."""
    from jsd.atomic import write_json

    config = json.loads(path.read_text("utf-8"))
    config.pop("_name_or_path", None)
    write_json(path, config)


def write_pictures(corpus: Path, folder: Path, count: int = 64) -> None:
    """So many pictures of the corpus, evenly spaced, as files."""
    from PIL import Image

    from jsd.training.corpora.corpus import Corpus

    pictures = Corpus.load(corpus).pictures
    for number in range(count):
        Image.fromarray(pictures[number * len(pictures) // count]).save(folder / f"{number:02}.png")


def main() -> None:
    from jsd.cli import main as jsd
    from runs.page_pictures import write as write_page_pictures

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=SOURCE, help="default: %(default)s")
    parser.add_argument("--destination", type=Path, default=ROOT / "weights" / "mini", help="default: weights/mini")
    corpus = Path("data/mini")
    parser.add_argument("--corpus", type=Path, default=corpus, help="what previews are fitted to; default: %(default)s")
    args = parser.parse_args()
    with TemporaryDirectory() as pictures:
        write_pictures(args.corpus, Path(pictures))
        size_bytes = export(args.source, args.destination)
        if jsd(["weights", "preview", str(args.destination), pictures]) != 0:
            raise SystemExit(1)
    write_page_pictures(args.destination)
    print(f"{args.destination}: {size_bytes / 1e6:.1f} MB of at most {MAX_BYTES / 1e6:.0f}")


if __name__ == "__main__":
    main()
