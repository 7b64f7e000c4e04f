"""The embedded model's own pictures as a source like any other: its corpus, and scenes composed from a seed."""

import random
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.records import Record, encoded
from jsd.training.corpora.scenes import Scenes
from jsd.training.corpora.sprites import Sprites
from jsd.training.corpora.styles import BACKGROUNDS, CORPUS_STYLES, DEFAULT_STYLE
from jsd.training.corpora.words import read_vocabulary

NAME, KEYWORD = 3.0, 1.0  # weights of captions, as `jsd.training.corpora.captions` draws them


def read_corpus(folder: Path) -> Iterator[Record]:
    """A corpus of jsd data build, its captions in Japanese; concept, style, split and the rest are columns."""
    corpus = Corpus.load(folder)
    words = corpus.words("ja")
    for record in corpus.records:
        style, known = CORPUS_STYLES[record.style], words[record.code]
        around = "{}"
        if record.background is not None:
            around = f"{{}}、{BACKGROUNDS[record.background][0]}"
        if record.style != DEFAULT_STYLE:
            around += f"、{style.names_ja[0]}"
        spoken = {known.name: NAME, **{word: KEYWORD / len(known.keywords) for word in known.keywords}}
        columns = {
            "concept": record.code,
            "style": record.style,
            "background": record.background,
            "split": "unseen" if record.unseen else "japan" if record.japan else "train",
            "source": record.source,
            "licence": record.licence,
        }
        yield Record(
            f"{record.index:06}-{record.code}-{record.style}.png",
            encoded(Image.fromarray(corpus.pictures[record.index])),
            tuple(around.format(word) for word in spoken),
            tuple(spoken.values()),
            columns,
        )


def compose_scenes(sprites: Path, corpus: Path, seed: int, count: int) -> Iterator[Record]:
    """The first `count` scenes of a seed, each with a caption."""
    loaded = Corpus.load(corpus)
    scenes = Scenes(loaded.concepts, Sprites.load(sprites), seed)
    phrases = Phrases(loaded, read_vocabulary())
    for number in range(count):
        scene, canvas = scenes.scene(number)
        text = phrases.of_scene(scene, random.Random(f"{seed}/{number}"))
        picture = Image.fromarray(scenes.paint(scene, canvas))
        yield Record(f"scene-{seed}-{number:07}.png", encoded(picture), (text,), columns={"style": scene.style})
