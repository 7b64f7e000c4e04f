"""Styles: the same drawing is the same picture at every call, and every style is a picture of its own."""

import hashlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from jsd.training.corpora.styles import BACKGROUNDS, CORPUS_STYLES, DEFAULT_STYLE, SIZE_PX, Style, over


@pytest.fixture
def drawing() -> Image.Image:
    """A red disc with a blue bar, on nothing."""
    canvas = Image.new("RGBA", (SIZE_PX, SIZE_PX))
    ImageDraw.Draw(canvas).ellipse((20, 20, 108, 108), fill=(210, 40, 40, 255))
    ImageDraw.Draw(canvas).rectangle((50, 30, 70, 100), fill=(30, 60, 200, 255))
    return canvas


@pytest.mark.parametrize("style", CORPUS_STYLES.values(), ids=list(CORPUS_STYLES))
def test_a_style_renders_rgb_at_128_px_and_twice_the_same(style: Style, drawing: Image.Image) -> None:
    picture = style.render(drawing)
    assert (picture.mode, picture.size) == ("RGB", (128, 128))
    assert picture.tobytes() == style.render(drawing).tobytes()


@pytest.mark.parametrize("style", CORPUS_STYLES.values(), ids=list(CORPUS_STYLES))
def test_a_style_leaves_the_drawing_as_it_was(style: Style, drawing: Image.Image) -> None:
    before = drawing.tobytes()
    style.render(drawing)
    assert drawing.tobytes() == before


def test_filters_of_one_drawing_are_all_different(drawing: Image.Image) -> None:
    filters = [style for style in CORPUS_STYLES.values() if style.picture_set == "3d"]
    digests = {hashlib.sha256(style.render(drawing).tobytes()).hexdigest() for style in filters}
    assert len(digests) == len(filters) == 6


@pytest.mark.parametrize("name", ["mono", "line"])
def test_black_and_white_has_no_colour(name: str, drawing: Image.Image) -> None:
    red, green, blue = CORPUS_STYLES[name].render(drawing).split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def test_a_background_shows_where_the_drawing_does_not(drawing: Image.Image) -> None:
    picture = np.asarray(over(drawing, BACKGROUNDS["red"][2]))
    assert tuple(picture[0, 0]) == BACKGROUNDS["red"][2]
    assert tuple(picture[64, 60]) == (30, 60, 200)


def test_no_two_styles_or_backgrounds_share_a_name() -> None:
    for names in (
        [name for style in CORPUS_STYLES.values() for name in style.names_ja],
        [name for style in CORPUS_STYLES.values() for name in style.names_en],
        [ja for ja, _, _ in BACKGROUNDS.values()],
        [en for _, en, _ in BACKGROUNDS.values()],
    ):
        assert len(names) == len(set(names))


def test_the_default_style_is_a_style() -> None:
    assert DEFAULT_STYLE in CORPUS_STYLES
