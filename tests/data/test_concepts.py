"""Which concepts the corpus has, from packages that are three files each."""

import base64
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from toy_corpus import CONCEPTS

from jsd.data import concepts as module
from jsd.data.concepts import Concept, distinctive_keywords, select_concepts
from jsd.data.sources import SOURCES

# emoji -> (group, Japanese, English), each a short name and a keyword
EMOJI = {
    "🌵": ("Animals & Nature", ("サボテン", "砂漠"), ("cactus", "desert")),
    "⛩": ("Travel & Places", ("鳥居", "神社"), ("shinto shrine", "torii")),
    "♨": ("Symbols", ("温泉マーク", "温泉"), ("hot springs", "steaming")),  # of the Japan list
    "✴": ("Symbols", ("八光星", "星"), ("eight-pointed star", "star")),
    "❣": ("Symbols", ("ハート", "ドキドキ"), ("heart", "love")),  # has an onomatopoeia
    "🇯🇵": ("Flags", ("日本", "旗"), ("Japan", "flag")),
    "🕐": ("Travel & Places", ("1時", "時計"), ("one o’clock", "clock")),
    "🏃\u200d♀": ("People & Body", ("走る女性", "走る"), ("woman running", "run")),
    "👨\u200d🍳": ("People & Body", ("男のコック", "料理"), ("man cook", "cook")),
    "🌑": ("Travel & Places", ("新月", "月"), ("new moon", "moon")),  # of the list left out
}


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def package(name: str, files: dict[str, object]) -> None:
        path = tmp_path / f"{name}-{SOURCES[name].version}.tgz"
        with tarfile.open(path, "w:gz") as archive:
            for member, document in files.items():
                content = json.dumps(document).encode()
                info = tarfile.TarInfo(f"package/{member}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
        monkeypatch.setitem(module.SOURCES, name, replace(SOURCES[name], sha512=digest))

    def annotations(key: str, number: int) -> dict[str, object]:
        listed = {emoji: {"tts": [words[number][0]], "default": list(words[number])} for emoji, words in EMOJI.items()}
        return {key: {"annotations": listed}}

    full = {f"annotations/{lang}/annotations.json": annotations("annotations", n) for lang, n in (("ja", 1), ("en", 2))}
    package("cldr-annotations-full", full)
    none = {"annotationsDerived": {"annotations": {}}}
    package("cldr-annotations-derived-full", {f"derived/{lang}/annotations.json": none for lang in ("ja", "en")})
    # That package writes the variation selectors that CLDR leaves out.
    groups = {emoji + ("\ufe0f" if len(emoji) == 1 else ""): {"group": words[0]} for emoji, words in EMOJI.items()}
    package("unicode-emoji-json", {"data-by-emoji.json": groups})
    return tmp_path


def test_flags_symbols_clocks_and_gender_variants_are_left_out(sources: Path) -> None:
    assert [concept.emoji for concept in select_concepts(sources)] == ["🌵", "⛩", "♨", "❣"]


def test_the_japan_split_is_the_lists(sources: Path) -> None:
    assert [concept.emoji for concept in select_concepts(sources) if concept.japan] == ["⛩", "♨"]


def test_a_concept_knows_its_onomatopoeia(sources: Path) -> None:
    assert {c.emoji: c.onomatopoeia for c in select_concepts(sources) if c.onomatopoeia} == {"❣": ("ドキドキ",)}


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
