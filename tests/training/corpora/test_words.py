"""The tables of words: read whole, without conflicts, in kana that people type."""

import colorsys
import itertools
import re
from importlib.resources import files

import pytest

from jsd.training.corpora import words
from jsd.training.corpora.styles import CORPUS_STYLES
from jsd.training.corpora.words import NO_STYLE, kana_twin, read_modifiers, read_style_templates, read_vocabulary

KANA = re.compile("[ぁ-ゖァ-ヶー]+")
VOCABULARY = read_vocabulary()


def read_kept_out() -> frozenset[str]:
    """The prompts of jsd/training/evaluation/sets/, which no caption may repeat, bare spellings excepted."""
    found: set[str] = set()
    for path in (files("jsd.training.evaluation") / "sets").iterdir():
        lines = path.read_text(encoding="utf-8").splitlines()
        found |= {line.split(": ", 1)[1].split("\t")[0].split(" = ")[0] for line in lines if not line.startswith("#")}
    return frozenset(found - set(VOCABULARY.meanings))


def test_every_word_names_one_concept_or_is_listed_as_shared() -> None:
    listed = {word for _kind, texts, _owners in words.read_table("shared") for word in texts.split()}
    several = {word for word, concepts in VOCABULARY.meanings.items() if len(concepts) > 1}
    assert several <= listed | {kana_twin(word) for word in listed}
    assert VOCABULARY.meanings["夕日"] == ("🌅",)


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
    assert ["homograph", "くも クモ"] in [row[:2] for row in words.read_table("shared")]


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
    assert set(templates) == {*CORPUS_STYLES, NO_STYLE}
    assert all(text.count("{}") == 1 for texts in templates.values() for text in texts)
    every = [text for texts in templates.values() for text in texts]
    assert len(every) == len(set(every))
    assert {"{}の白黒写真", "フラットデザインの{}", "水彩画風の{}"} <= set(every)


def test_colours_are_far_enough_apart_to_be_told() -> None:
    colours = words.read_colours()
    assert len(colours) == 12
    for one, other in itertools.combinations(colours.values(), 2):
        assert sum(abs(a - b) for a, b in zip(rgb(one.hsv), rgb(other.hsv), strict=True)) > 0.3, (one.name, other.name)
    templates = [text for colour in colours.values() for text in (*colour.templates, *colour.near)]
    assert len(templates) == len(set(templates))
    assert all(text.count("{}") == 1 for text in templates)
    assert "🍎" in colours["青"].concepts_left_out


def rgb(hsv: tuple[float, float, float]) -> tuple[float, float, float]:
    return colorsys.hsv_to_rgb(hsv[0] / 360, *hsv[1:])


def test_every_concept_has_a_kind_a_counter_and_places_that_exist() -> None:
    attributes, counts, places = words.read_attributes(), words.read_counts(), words.read_places()
    assert set(VOCABULARY.names) == set(attributes)
    for concept, one in attributes.items():
        assert one.counters and set(one.counters) <= set(counts), concept
        assert one.places and set(one.places) <= set(places), concept
        assert one.stance in ("stands", "flies", "swims", "floats"), concept
    kinds = {one.kind for one in attributes.values()}
    assert {modifier.fits for modifier in read_modifiers()} <= kinds | {"any"}
    assert attributes["🐶"].counters[0] == "匹" and attributes["🚗"].takes_colour and attributes["🐟"].stance == "swims"


def test_a_number_is_said_in_one_way_only_for_each_counter() -> None:
    for counter, spellings in words.read_counts().items():
        every = [text for texts in spellings for text in texts]
        assert len(every) == len(set(every)), counter
    assert words.read_counts()["匹"][1][:2] == ("二匹", "2匹")


def test_places_and_relations_have_room_for_what_they_speak_of() -> None:
    for place in words.read_places().values():
        texts = [*place.templates, *(text for found in place.templates_by_stance.values() for text in found)]
        assert texts and all(text.count("{}") == 1 for text in texts), place.name
        assert set(place.templates_by_stance) <= {"stands", "flies", "swims"}, place.name
    relations = words.read_relations()
    assert all(text.count("{a}") == text.count("{b}") == 1 for texts in relations.values() for text in texts)
    assert "{a}の上の{b}" in relations["on"] and "左に{a}、右に{b}" in relations["right"]


def test_what_is_asked_in_evaluation_is_kept_out_of_the_captions() -> None:
    kept_out = read_kept_out()
    assert {"庭に小さな花が咲いた", "二匹の猫", "新しいエアコンが欲しい", "昼は眠る吸血鬼"} <= kept_out
    assert "ライオン" not in kept_out


def test_a_phrase_means_one_concept_and_is_asked_in_no_evaluation() -> None:
    phrases, meanings = words.read_phrases(), VOCABULARY.meanings
    every = [text for texts in phrases.values() for text in texts]
    assert len(every) == len(set(every)) > 900
    assert set(phrases) <= set(VOCABULARY.names) and not set(every) & read_kept_out()
    assert [
        text for concept, texts in phrases.items() for text in texts if concept not in meanings.get(text, concept)
    ] == []


def test_words_are_of_characters_that_people_type() -> None:
    typed = re.compile(r"[぀-ヿ一-鿿々〆Ａ-Ｚａ-ｚ０-９A-Za-z0-9・ー～〜！？!&＆%.、。「」（）-]+")
    written = [*VOCABULARY.meanings, *(text for found in words.read_phrases().values() for text in found)]
    assert [word for word in written if not typed.fullmatch(word)] == []
