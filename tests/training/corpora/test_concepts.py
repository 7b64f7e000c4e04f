"""Which concepts the corpus has, from small packages."""

from pathlib import Path

from toy_corpus import CONCEPTS
from toy_sources import SELECTED

from jsd.training.corpora.concepts import Concept, distinctive_keywords, select_concepts


def test_flags_symbols_clocks_and_gender_variants_are_left_out(sources: Path) -> None:
    assert [concept.emoji for concept in select_concepts(sources)] == list(SELECTED)


def test_the_japan_split_is_the_lists(sources: Path) -> None:
    assert [concept.emoji for concept in select_concepts(sources) if concept.japan] == ["⛩", "♨"]


def test_a_concept_knows_its_onomatopoeia(sources: Path) -> None:
    assert {c.emoji: c.onomatopoeia for c in select_concepts(sources) if c.onomatopoeia} == {
        "❣": ("ドキドキ",),
        "🧑\u200d💼": ("サラリーマン",),
    }


def test_the_short_name_is_no_keyword(sources: Path) -> None:
    cactus = select_concepts(sources)[0]
    found = (cactus.name_ja, cactus.keywords_ja, cactus.name_en, cactus.keywords_en)
    assert found == ("サボテン", ("砂漠",), "cactus", ("desert",))


def test_a_code_is_that_of_the_picture_packages() -> None:
    assert CONCEPTS[0].code == "1f9d1-200d-1f4bc"


def test_a_keyword_that_many_share_tells_nothing_apart() -> None:
    def concept(number: int, *keywords: str, sounds: tuple[str, ...] = ()) -> Concept:
        return Concept(chr(0x1F600 + number), "Toys", "名", "name", keywords, (), False, sounds)

    listed = [concept(n, "顔", "ドキドキ", sounds=("ドキドキ",)) for n in range(4)] + [concept(4, "顔", "鼻")]
    found = distinctive_keywords(listed, "ja")
    assert list(found.values()) == [("ドキドキ",)] * 4 + [("鼻",)], "sound words stay, however many share them"
