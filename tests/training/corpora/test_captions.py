"""Captions: a bare name asks for the default style, so any other style is always named."""

import random
from collections import Counter

import pytest

from jsd.training.corpora.captions import LANGUAGES, Words, caption, in_style
from jsd.training.corpora.styles import BACKGROUNDS, CORPUS_STYLES, DEFAULT_STYLE

WORDS = {"ja": Words("猫", ("ねこ", "にゃんこ")), "en": Words("cat", ("kitty", "tomcat"))}


def style_names(style: str, language: str) -> tuple[str, ...]:
    return CORPUS_STYLES[style].names_ja if language == "ja" else CORPUS_STYLES[style].names_en


def drawn(style: str, background: str | None, language: str, count: int = 300) -> list[str]:
    rng = random.Random(0)
    return [caption(WORDS[language], style, background, language, rng) for _ in range(count)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("style", [style for style in CORPUS_STYLES if style != DEFAULT_STYLE])
def test_a_style_that_is_not_the_default_is_always_named(style: str, language: str) -> None:
    for text in drawn(style, None, language):
        assert any(name in text for name in style_names(style, language)), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_default_style_is_named_in_three_of_ten(language: str) -> None:
    named = [
        any(name in text for name in style_names(DEFAULT_STYLE, language))
        for text in drawn(DEFAULT_STYLE, None, language, 3000)
    ]
    assert 0.25 < sum(named) / len(named) < 0.35


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_coloured_background_is_always_named(background: str, language: str) -> None:
    name = BACKGROUNDS[background][LANGUAGES.index(language)]
    assert all(name in text for text in drawn("flat", background, language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_caption_names_the_thing(language: str) -> None:
    words = (WORDS[language].name, *WORDS[language].keywords)
    assert all(any(word in text for word in words) for text in drawn("oil", "red", language))


def test_name_keyword_and_both_are_drawn_at_their_rates() -> None:
    named = style_names(DEFAULT_STYLE, "ja")
    texts = [text for text in drawn("3d", None, "ja", 6000) if not any(name in text for name in named)]
    shares = Counter("both" if "、" in text else "name" if text == "猫" else "keyword" for text in texts)
    assert {kind: round(count / len(texts), 1) for kind, count in shares.items()} == pytest.approx(
        {"name": 0.6, "keyword": 0.25, "both": 0.15}, abs=0.06
    )


def test_a_thing_without_keywords_is_called_by_its_name() -> None:
    rng = random.Random(0)
    assert all("猫" in caption(Words("猫", ()), "oil", None, "ja", rng) for _ in range(100))


def test_a_caption_depends_on_its_generator_alone() -> None:
    assert drawn("oil", "red", "ja", 50) == drawn("oil", "red", "ja", 50)


def test_the_issues_prompt_is_a_caption() -> None:
    rng = random.Random(0)
    assert "サラリーマン 油絵" in {in_style("サラリーマン", "oil", "ja", rng) for _ in range(100)}


def test_a_sound_word_stands_for_the_name_in_three_of_ten() -> None:
    rng = random.Random(0)
    texts = [caption(Words("星", (), ("キラキラ", "ぴかぴか")), "oil", None, "ja", rng) for _ in range(3000)]
    counts = Counter("星" if "星" in text else "キラキラ" if "キラキラ" in text else "ぴかぴか" for text in texts)
    assert counts["キラキラ"] + counts["ぴかぴか"] == pytest.approx(900, abs=90)
    assert counts["キラキラ"] == pytest.approx(counts["ぴかぴか"], abs=90)
