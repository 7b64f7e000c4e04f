"""Colours as words, sharpness and diversity, on pictures made for it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from jsd.training.corpora.corpus import Corpus
from jsd.training.evaluation.colours import COLOURS, has_colour, ink_mask, shares
from jsd.training.evaluation.drawings import Drawing
from jsd.training.evaluation.measures import measures
from jsd.training.evaluation.prompt_sets import Prompt

NAMED = {
    "赤": (214, 40, 40),
    "オレンジ": (245, 140, 30),
    "黄": (250, 220, 60),
    "緑": (60, 160, 70),
    "水色": (130, 210, 240),
    "青": (40, 80, 210),
    "紫": (140, 70, 190),
    "ピンク": (245, 160, 190),
    "茶": (120, 75, 40),
    "黒": (30, 30, 36),
    "灰": (150, 150, 152),
    "白": (250, 250, 250),
}


def disc(colour: tuple[int, int, int], ground: int = 255) -> np.ndarray:
    """(64, 64, 3): a disc on a grey of that lightness."""
    y, x = np.mgrid[:64, :64] - 32
    picture = np.full((64, 64, 3), ground, dtype=np.uint8)
    picture[x**2 + y**2 < 24**2] = colour
    return picture


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_is_called_by_its_name(name: str) -> None:
    picture = disc(NAMED[name], ground=255 if name != "白" else 120)
    assert has_colour(picture, name)
    assert sum(has_colour(picture, other) for other in COLOURS) <= 3, "neighbours overlap, others do not fit"


def test_ink_is_what_differs_from_the_ground() -> None:
    for ground in (255, 20):
        assert ink_mask(disc((200, 40, 40), ground)).mean() == pytest.approx(np.pi * 24**2 / 64**2, abs=0.02)
    assert not ink_mask(disc((255, 255, 255))).any()
    assert set(shares(disc((255, 255, 255))).values()) == {0.0}


def drawn(corpus: Corpus, change: object = None, **prompt: object) -> list[Drawing]:
    """The 3D picture of each concept, changed, with two seeds."""
    found = []
    for record in corpus.records:
        if (record.style, record.background) == ("3d", None):
            picture = np.asarray(corpus.pictures[record.index])
            asked = replace(Prompt("general", record.code, frozenset([record.code])), **prompt)
            found += [Drawing(asked, seed, picture if change is None else change(picture, seed)) for seed in range(2)]
    return found


def blurred(picture: np.ndarray, seed: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)))


def test_sharpness_is_one_for_the_corpus_and_less_for_a_blur(toy_corpus: Corpus) -> None:
    assert measures(toy_corpus, drawn(toy_corpus))["sharpness"] == 1
    assert measures(toy_corpus, drawn(toy_corpus, blurred))["sharpness"] < 0.8
    assert measures(toy_corpus, drawn(toy_corpus, colour="赤")) == {}, "what names a design or colour does not count"


def test_diversity_is_nothing_for_one_picture_and_one_for_as_many_as_there_are_designs(toy_corpus: Corpus) -> None:
    assert measures(toy_corpus, drawn(toy_corpus))["diversity"] == 0
    designs = {
        (r.code, r.style): np.asarray(toy_corpus.pictures[r.index]) for r in toy_corpus.records if not r.background
    }
    several = [
        Drawing(Prompt("general", code, frozenset([code])), seed, designs[code, style])
        for code in toy_corpus.concepts
        for seed, style in enumerate(("3d", "flat", "noto"))
    ]
    assert measures(toy_corpus, several)["diversity"] == pytest.approx(1, abs=0.01)
