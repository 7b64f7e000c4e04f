"""The pictures that a drawing may look like: the corpus' own, and every other design that the sprites have."""

from dataclasses import replace

import numpy as np
from PIL import Image

from jsd.training.corpora.corpus import Corpus, Record
from jsd.training.corpora.sprites import Sprite, Sprites
from jsd.training.corpora.styles import CORPUS_STYLES


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


def on_white(sprite: Sprite, size: int) -> np.ndarray:
    """(H, W, 4) -> (size, size, 3): in the middle of a white square, as large as the corpus' things are in theirs."""
    image = Image.fromarray(sprite)
    scale = size * 120 / 128 / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (size, size), "white")
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    square.paste(image, ((size - width) // 2, (size - height) // 2), image)
    return np.asarray(square)
