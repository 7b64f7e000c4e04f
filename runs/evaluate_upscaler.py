"""The upscaler beside Lanczos' filter, on drawings of things that no stage was shown, at 512 px.

python -m runs.evaluate_upscaler [--weights FOLDER] [--sources FOLDER] [--corpus FOLDER]

Each drawing is made small, goes through the VAE and back, and is enlarged. Prints and writes to
docs/results/upscaler.json: the mean difference of pixels, and of their gradients (edges), in 255ths; and how steep the
steepest edges are, one in a thousand pixels, as a share of the drawing's own.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runs.blocks import DOCS, ROOT

NUM_DRAWINGS = 40  # of each design
DESIGNS = ("flat", "noto", "twemoji")


def main() -> None:
    from jsd import Pipeline
    from jsd.atomic import write_json
    from jsd.training.corpora.corpus import Corpus
    from jsd.upscaling import enlarge_image

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: weights/mini")
    parser.add_argument("--sources", type=Path, default=Path("data/sources"), help="default: %(default)s")
    parser.add_argument("--corpus", type=Path, default=Path("data/mini"), help="default: %(default)s")
    args = parser.parse_args()
    pipeline = Pipeline.load(args.weights, "cpu", "float32")
    shown = set(Corpus.load(args.corpus).concepts)
    ways: dict[str, Any] = {"upscaler": pipeline.upscaler, "lanczos": None}
    found: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for large, small in pairs(args.sources, shown, pipeline.vae):
        for way, upscaler in ways.items():
            enlarged = enlarge_image(upscaler, Image.fromarray(small), large.shape[1] // small.shape[1])
            found[way].append(compare(np.asarray(enlarged), large))
    report = {
        way: {name: round(np.mean([one[name] for one in some]).item(), 3) for name in some[0]}
        for way, some in found.items()
    }
    write_json(DOCS / "results" / "upscaler.json", {"drawings": len(found["lanczos"]), **report})
    print(json.dumps(report, indent=1))


def pairs(sources: Path, shown: set[str], vae: Any) -> Any:
    """Yields (large, small): drawings of what is not `shown`, and the same as the VAE gives them back."""
    from jsd.training.corpora.enlarged import lay_out, shrink
    from jsd.training.corpora.sources import SOURCES, SPRITE_SOURCES, fetch_source
    from jsd.training.corpora.sprites import DESIGNS as PACKAGES
    from jsd.training.corpora.sprites import icon_names, read_drawings

    names = icon_names(sources)
    rng = random.Random(0)
    codes = set(rng.sample(sorted(set(names.values()) - shown), 4 * NUM_DRAWINGS))
    for design in DESIGNS:
        package = fetch_source({**SOURCES, **SPRITE_SOURCES}[PACKAGES[design]], sources)
        drawings = (drawing for _code, drawing in read_drawings(package, codes, names, 512))
        for drawing, _number in zip(drawings, range(NUM_DRAWINGS), strict=False):
            large = lay_out(drawing, 512, rng)
            yield large, shrink(large, vae, rng.randrange(2**31))


def compare(enlarged: NDArray[np.uint8], large: NDArray[np.uint8]) -> dict[str, float]:
    one, other = enlarged.astype(float), large.astype(float)
    edges = [(np.diff(one, axis=axis), np.diff(other, axis=axis)) for axis in (0, 1)]
    steep = [np.percentile(np.abs(np.concatenate([pair[i].ravel() for pair in edges])), 99.9) for i in (0, 1)]
    return {
        "pixels": float(np.abs(one - other).mean()),
        "gradients": float(np.mean([np.abs(a - b).mean() for a, b in edges])),
        "steepness": float(steep[0] / max(1.0, steep[1])),
    }


if __name__ == "__main__":
    main()
