"""Sprites of the toy corpus: a disc for each concept and design, in the file of the real ones."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from toy_corpus import CONCEPTS

from jsd.training.corpora.concepts import format_concepts
from jsd.training.corpora.sprites import CONCEPTS_FILE, DESIGNS, INDEX_FILE, SPRITES_FILE

LACKING = ("blob", "🚌")  # a design that lacks a concept


def disc(number: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """In a colour of its own, on nothing."""
    picture = Image.new("RGBA", size)
    colour = tuple(int(value) for value in np.random.default_rng(number).integers(60, 256, 3))
    ImageDraw.Draw(picture).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=(*colour, 255))
    return picture


@pytest.fixture(scope="session")
def toy_sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sprites.zip."""
    folder = tmp_path_factory.mktemp("sprites")
    with zipfile.ZipFile(folder / SPRITES_FILE, "w") as archive:
        for row, design in enumerate(DESIGNS):
            for column, concept in enumerate(CONCEPTS):
                if (design, concept.emoji) != LACKING:
                    file = io.BytesIO()
                    disc(10 * row + column).save(file, "WEBP", lossless=True)
                    archive.writestr(f"{design}/{concept.code}.webp", file.getvalue())
        archive.writestr(CONCEPTS_FILE, format_concepts(CONCEPTS))
        archive.writestr(INDEX_FILE, json.dumps({design: {"source": "toys 1", "licence": "MIT"} for design in DESIGNS}))
    return folder


@pytest.fixture(scope="module", autouse=True)
def few_scenes() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jsd.training.scenery.SHARD", 8)
        patch.setattr("jsd.training.scenery.FIRST_SHARDS", 2)
        yield
