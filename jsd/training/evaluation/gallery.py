"""The pictures that a drawing may look like: the corpus' own, every other design that the sprites have, and where a
prompt asks for a colour, all of them painted in it."""

from dataclasses import replace

import numpy as np
from PIL import Image

from jsd.training.corpora.corpus import Corpus, Record
from jsd.training.corpora.scenes import recolour
from jsd.training.corpora.sprites import Sprite, Sprites
from jsd.training.corpora.styles import CORPUS_STYLES
from jsd.training.corpora.words import Colour
from jsd.training.evaluation.colours import ink_mask
from jsd.training.evaluation.judge import Judge
from jsd.training.evaluation.measures import DESIGNS


def with_designs(corpus: Corpus, sprites: Sprites) -> Corpus:
    """The corpus with a picture more of each concept for each design that is no style of its own."""
    size = corpus.pictures.shape[1]
    records, pictures = list(corpus.records), []
    for design, files in sprites.files.items():
        for code in files if design not in CORPUS_STYLES else ():
            if code in corpus.concepts:
                japan = corpus.concepts[code].japan
                records.append(Record(len(records), code, design, None, False, japan, f"sprites, {design}", ""))
                pictures.append(on_white(sprites.get(design, code), size))
    if not pictures:
        return corpus
    return replace(corpus, pictures=np.concatenate([np.asarray(corpus.pictures), np.stack(pictures)]), records=records)


def painted(picture: np.ndarray, colour: Colour) -> np.ndarray | None:
    """A thing on its ground (H, W, 3) in that colour, as scenes have it; None where it does not take it."""
    ink = ink_mask(picture).astype(np.uint8) * 255
    found = recolour(np.dstack([picture, ink]), colour)
    return None if found is None else found[..., :3]


def in_colour(corpus: Corpus, judge: Judge, colour: Colour) -> tuple[Corpus, Judge]:
    """With every drawing of a thing on white that takes the colour, in it: the right thing's, and all others'.

    The records alone have them, not the pictures.
    """
    records, pictures = list(corpus.records), []
    for record in corpus.records:
        if record.style in DESIGNS and record.background is None:
            picture = painted(corpus.pictures[record.index], colour)
            if picture is not None:
                records.append(replace(record, index=len(records)))
                pictures.append(picture)
    return (replace(corpus, records=records), judge.beside(np.stack(pictures))) if pictures else (corpus, judge)


def on_white(sprite: Sprite, size: int) -> np.ndarray:
    """(H, W, 4) -> (size, size, 3): in the middle of a white square, as large as the corpus' things are in theirs."""
    image = Image.fromarray(sprite)
    scale = size * 120 / 128 / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (size, size), "white")
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    square.paste(image, ((size - width) // 2, (size - height) // 2), image)
    return np.asarray(square)
