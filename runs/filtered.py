"""What the filter is worth: pictures of a design that clip_ja has not seen, a share of their captions exchanged, go
through jsd data import, score and filter; the same stage is then trained on all and on what was kept, equally long.

python -m runs.filtered [--exchanged 0.4] [--steps 100] [--folder build/filtered]     writes docs/results/filtered.json

Needs data/mini and data/scenes (jsd data build, jsd data sprites). Judged as docs/training.md's natural prompts are.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from jsd.atomic import write_json
from runs.blocks import DOCS, ROOT, clear

PROMPTS = ROOT / "jsd" / "training" / "evaluation" / "sets" / "natural.txt"
RATE, BATCH, SEED = "3e-4", "32", 1


def write_pictures(folder: Path, exchanged: float) -> dict[str, str]:
    """A picture and its caption for each concept; file name -> its group, for those whose caption is another's."""
    import numpy as np
    from PIL import Image, ImageOps

    from jsd.training.clip import HELD_OUT
    from jsd.training.corpora.corpus import Corpus
    from jsd.training.corpora.sprites import SPRITES_FILE, Sprites

    sprites = Sprites.load(ROOT / "data" / "scenes" / SPRITES_FILE)
    concepts = [
        one for code, one in Corpus.load(ROOT / "data" / "mini").concepts.items() if HELD_OUT in sprites.designs(code)
    ]
    order = np.random.default_rng(SEED).permutation(len(concepts))[: round(exchanged * len(concepts))]
    captions = [one.name_ja for one in concepts]
    for row, other in zip(order, np.roll(order, 1), strict=True):
        captions[row] = concepts[other].name_ja
    folder.mkdir(parents=True)
    for concept, caption in zip(concepts, captions, strict=True):
        sprite = Image.fromarray(sprites.get(HELD_OUT, concept.code))
        square = ImageOps.pad(sprite, (120, 120))
        picture = Image.new("RGB", (128, 128), "white")
        picture.paste(square, (4, 4), square)
        picture.save(folder / f"{concept.code}.png")
        (folder / f"{concept.code}.txt").write_text(caption, "utf-8")
    return {f"{concepts[row].code}.png": "japan" if concepts[row].japan else "general" for row in order}


def measure(scores: Path, kept: Path, wrong: dict[str, str], japan: set[str]) -> dict[str, Any]:
    """How well the exchanged captions are found, whole and of each split; how many of them were kept."""
    import numpy as np
    import pyarrow.parquet

    from jsd.training.corpora.filtering import area_under_curve
    from jsd.training.corpora.shards import Shards

    table = pyarrow.parquet.read_table(scores).to_pydict()
    keys, similarity = table["key"], np.array(table["similarity"], float)
    is_wrong = np.array([key in wrong for key in keys])
    is_japan = np.array([key in japan for key in keys])
    splits = {"all": np.ones(len(keys), bool), "general": ~is_japan, "japan": is_japan}
    areas = {
        name: round(area_under_curve(similarity[mask & ~is_wrong], similarity[mask & is_wrong]), 4)
        for name, mask in splits.items()
    }
    left = [record.key for index in range(len(Shards.load(kept).counts)) for record in Shards.load(kept).records(index)]
    return {
        "AUC": areas,
        "pictures": len(keys),
        "exchanged": len(wrong),
        "kept": len(left),
        "kept and exchanged": sum(key in wrong for key in left),
    }


def main() -> None:
    from jsd.cli import main as jsd
    from jsd.training.corpora.corpus import Corpus

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exchanged", type=float, default=0.4, help="share of the captions; default: %(default)s")
    parser.add_argument("--steps", type=int, default=100, help="of each training, 0 for none; default: %(default)s")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "filtered", help="default: build/filtered")
    args = parser.parse_args()

    def run(*words: object) -> None:
        if jsd([str(word) for word in words]) != 0:
            raise SystemExit(f"failed: jsd {' '.join(map(str, words))}")

    place: Path = args.folder
    clear(place)
    wrong = write_pictures(place / "pictures", args.exchanged)
    concepts = Corpus.load(ROOT / "data" / "mini").concepts
    japan = {f"{code}.png" for code, one in concepts.items() if one.japan}
    run("data", "import", place / "pictures", "--output", place / "all")
    run("data", "score", place / "all", "--output", place / "scores.parquet")
    run("data", "filter", place / "all", "--scores", place / "scores.parquet", "--output", place / "kept")
    report = measure(place / "scores.parquet", place / "kept", wrong, japan)
    print(json.dumps(report))
    for name in ("all", "kept") if args.steps > 0 else ():
        train = ["train", "--recipe", "mini", "--stage", "stage2", "--start-from", ROOT / "weights" / "mini"]
        train += ["--max-train-steps", args.steps, "--learning-rate", RATE, "--train-batch-size", BATCH]
        run(*train, "--corpus", place / name, "--output", place / f"trained-{name}", "--checkpointing-steps", 1000)
        judged = ["--prompts", PROMPTS, "--corpus", ROOT / "data" / "mini", "--sprites", ROOT / "data" / "scenes"]
        weights = place / f"trained-{name}" / "stage2" / "model"
        run(
            "evaluate", "--weights", weights, *judged, "--num-inference-steps", 12, "--output", place / f"report-{name}"
        )
        accuracy = json.loads((place / f"report-{name}" / "report.json").read_text("utf-8"))["accuracy"]
        report[f"trained on {name}"] = {group: [value["top1"], value["top5"]] for group, value in accuracy.items()}
    report = {"exchanged share": args.exchanged, "steps": args.steps, **report}
    write_json(DOCS / "results" / "filtered.json", report)
    print(json.dumps(report, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
