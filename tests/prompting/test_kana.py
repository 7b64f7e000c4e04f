"""Kana spellings, with SudachiPy."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from toy_folder import train_vocabulary
from vocabularies import KANA, UNREAD, VOCABULARIES

from jsd.errors import MissingExtraError
from jsd.prompting import kana
from jsd.prompting.kana import kana_spellings
from jsd.prompting.tokenizer import JapaneseTokenizer, UnreadCharacter


def spellings(tokenizer: JapaneseTokenizer, text: str) -> dict[str, str]:
    return {one.text: one.kana for one in kana_spellings(tokenizer, text, tokenizer.describe(text).unread)}


SPELT = {
    "苺のケーキ": {"苺": "いちご"},
    "炬燵と簪": {"炬燵": "こたつ", "簪": "かんざし"},
    "茄子と檸檬の絵": {"茄子": "なす", "檸檬": "レモン"},  # as the vocabulary writes it: in fewer tokens
    "森の梟": {"梟": "ふくろう"},
    "筍ご飯": {"筍": "たけのこ"},
    "枇杷と鸚鵡": {"枇杷": "びわ", "鸚鵡": "オウム"},
    "猫の絵": {},
    "🐱と℡と𠮷": {},  # a symbol's reading is キゴウ in the dictionary, which is no spelling of it
}


@pytest.mark.parametrize("text", SPELT)
def test_what_cannot_be_read_is_spelt_in_kana(full: JapaneseTokenizer, text: str) -> None:
    assert spellings(full, text) == SPELT[text]


@pytest.mark.parametrize(
    ("text", "spelt"),
    [("東京㍿", "かぶしきがいしゃ"), ("㍿員", "かぶしきがいしゃ"), ("㌔㍿", "かぶしきがいしゃ"), ("㈱の絵", None)],
)
def test_a_character_that_is_several_words_is_spelt_whole(
    full: JapaneseTokenizer, text: str, spelt: str | None
) -> None:
    place = next(i for i, character in enumerate(text) if character in "㍿㈱")
    found = kana_spellings(full, text, [UnreadCharacter(text=text[place], start=place)])
    assert [(one.start, one.end, one.kana) for one in found] == ([] if spelt is None else [(place, place + 1, spelt)])


def test_no_spelling_is_offered_that_cannot_be_read_itself(tokenizer: JapaneseTokenizer) -> None:
    # Rows 16 to 47 of JIS X 0208: its first level.
    codes = [bytes([0xA0 + row, 0xA0 + cell]) for row in range(16, 48) for cell in range(1, 95)]
    kanji = [code.decode("euc_jp", errors="ignore") for code in codes]
    found = spellings(tokenizer, "、".join(kanji))
    unread = [one for one in kanji if tokenizer.describe(one).unread]
    assert len(found) >= len(unread) / 2, "most unread kanji are words by themselves, and must be spelt"
    assert not [one for one in found.values() if tokenizer.describe(one).unread]


def test_a_vocabulary_without_the_kana_gets_no_offer(tmp_path: Path) -> None:
    tokenizer = JapaneseTokenizer.load(train_vocabulary(tmp_path))
    assert tokenizer.describe("いちご").unread and spellings(tokenizer, "苺") == {}


@pytest.mark.parametrize("text", [UNREAD * 10_000, f"{chr(0xFDFD) * 9_999}{UNREAD}", f"\0\x1b\u202e{UNREAD}"])
def test_hostile_text_is_answered(tokenizer: JapaneseTokenizer, text: str) -> None:
    assert set(spellings(tokenizer, text).values()) <= {KANA}


def test_without_the_analyser_the_install_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    kana._analyser.cache_clear()
    monkeypatch.setitem(sys.modules, "sudachipy", None)
    with pytest.raises(MissingExtraError) as caught:
        spellings(VOCABULARIES["embedded"](), UNREAD)
    assert caught.value.params["extra"] == "readings"


def test_two_who_read_at_once_read_the_same(full: JapaneseTokenizer) -> None:
    """The analyser refuses a second caller."""
    text = "、".join(SPELT) * 20
    alone = spellings(full, text)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: spellings(full, text), range(24))) == [alone] * 24 and alone
