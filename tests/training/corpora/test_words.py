"""The tables of words: read whole, without conflicts, in kana that people type."""

import re

import pytest

from jsd.training.corpora.words import kana_twin, read_vocabulary

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
