"""The tables of words: read whole, without conflicts, in kana that people type."""

import re

import pytest

from jsd.training.corpora.styles import STYLES
from jsd.training.corpora.words import NO_STYLE, kana_twin, read_modifiers, read_style_templates, read_vocabulary

KANA = re.compile("[ぁ-ゖァ-ヶー]+")
VOCABULARY = read_vocabulary()


def test_every_word_names_one_concept_or_is_listed_as_shared() -> None:
    assert {word for word, concepts in VOCABULARY.meanings.items() if len(concepts) > 1} <= set(VOCABULARY.shared)


def test_every_concept_is_called_something_in_kana() -> None:
    silent = [c for c, found in VOCABULARY.spellings.items() if not any(KANA.fullmatch(one.text) for one in found)]
    assert silent == []


@pytest.mark.parametrize(
    ("word", "concept", "level"),
    [
        ("だいなまいと", "🧨", "kana"),
        ("ネコちゃん", "🐱", "casual"),
        ("わんこ", "🐶", "casual"),
        ("チャリ", "🚲", "casual"),
        ("お姫様", "👸", "name"),
        ("うどん", "🍜", "near"),
        ("雪だるま", "☃", "name"),
        ("さんま", "🐟", "kana"),
    ],
)
def test_a_word_leads_to_its_concept(word: str, concept: str, level: str) -> None:
    assert concept in VOCABULARY.meanings[word]
    assert [one.level for one in VOCABULARY.spellings[concept] if one.text == word] == [level]


def test_a_homograph_names_nothing_alone() -> None:
    assert VOCABULARY.meanings["くも"] == ("☁", "🕷")
    assert VOCABULARY.shared["くも"] == "homograph"


@pytest.mark.parametrize(
    ("word", "twin"), [("ケーキ", "けーき"), ("りんご", "リンゴ"), ("犬", None), ("Tシャツ", None)]
)
def test_kana_twins(word: str, twin: str | None) -> None:
    assert kana_twin(word) == twin


def test_a_modifier_has_one_place_for_the_thing() -> None:
    modifiers = read_modifiers()
    assert len({one.template for one in modifiers}) > 1000
    assert all(one.template.count("{}") == 1 and len(one.template) > 2 for one in modifiers)
    assert {"かわいい{}", "{}の写真", "{} 最高品質", "机の上に{}が置いてある"} <= {one.template for one in modifiers}


def test_every_style_of_the_corpus_is_asked_for_in_many_ways_and_no_way_means_two() -> None:
    templates = read_style_templates()
    assert set(templates) == {*STYLES, NO_STYLE}
    assert all(text.count("{}") == 1 for texts in templates.values() for text in texts)
    every = [text for texts in templates.values() for text in texts]
    assert len(every) == len(set(every))
    assert {"{}の白黒写真", "フラットデザインの{}", "水彩画風の{}"} <= set(every)
