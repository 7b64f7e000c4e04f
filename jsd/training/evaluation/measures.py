"""What the judge does not see: how different several seeds are, how sharp a drawing is."""

from collections import defaultdict
from itertools import combinations

import numpy as np
from PIL import Image

from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.styles import DEFAULT_STYLE
from jsd.training.evaluation.drawings import Drawing
from jsd.training.evaluation.judge import lab_thumbnails

DESIGNS = ("3d", "flat", "noto", "blob", "twemoji")  # styles that are drawings of their own, not filters over one


def measures(corpus: Corpus, drawings: list[Drawing]) -> dict[str, float]:
    """Of the drawings that name no style, colour or second thing, where there are any:

    `sharpness`: mean gradient of the luminance over that of the concept's picture in the default style.
    `diversity`: mean distance (12x12 Lab thumbnails) between the seeds of a prompt over that between the designs of
    its concept; of two seeds and more.
    """
    plain = [d for d in drawings if (d.prompt.style, d.prompt.second, d.prompt.colour) == (None, None, None)]
    pictures: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for record in corpus.records:
        if record.background is None and record.style in DESIGNS:
            pictures[record.code][record.style] = corpus.pictures[record.index]
    sharp, between_seeds, between_designs = [], [], []
    by_prompt: dict[str, list[np.ndarray]] = defaultdict(list)
    for drawing in plain:
        right = [pictures[code][DEFAULT_STYLE] for code in drawing.prompt.right if DEFAULT_STYLE in pictures[code]]
        if right:
            sharp.append(gradient(drawing.picture) / np.mean([gradient(one) for one in right]))
        by_prompt[drawing.prompt.text].append(drawing.picture)
        if len(by_prompt[drawing.prompt.text]) == 2:
            between_designs += [
                _spread(list(pictures[c].values())) for c in drawing.prompt.right if len(pictures[c]) > 1
            ]
    between_seeds = [_spread(same) for same in by_prompt.values() if len(same) > 1]
    found = {"sharpness": float(np.mean(sharp))} if sharp else {}
    if between_seeds and between_designs:
        found["diversity"] = float(np.mean(between_seeds) / np.mean(between_designs))
    return {name: round(value, 3) for name, value in found.items()}


def gradient(picture: np.ndarray) -> float:
    """(H, W, 3) -> the mean length of the luminance's gradient."""
    dy, dx = np.gradient(np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float32))
    return float(np.hypot(dx, dy).mean())


def _spread(pictures: list[np.ndarray]) -> float:
    thumbnails = lab_thumbnails(np.stack(pictures))
    return float(np.mean([np.linalg.norm(a - b) for a, b in combinations(thumbnails, 2)]))
