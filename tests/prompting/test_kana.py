"""Kana spellings, with SudachiPy."""

import sys

import pytest
from vocabularies import VOCABULARIES, Vocabulary

from jsd.errors import MissingExtraError
from jsd.prompting import kana
from jsd.prompting.kana import kana_spellings
from jsd.prompting.tokenizer import JapaneseTokenizer


def spellings(tokenizer: JapaneseTokenizer, text: str) -> dict[str, str]:
    return {one.text: one.kana for one in kana_spellings(tokenizer, text, tokenizer.describe(text).unread)}


@pytest.fixture(autouse=True)
def analyser() -> None:
    pytest.importorskip("sudachipy", reason="the extra readings is not installed")


TEXTS = sorted({text for vocabulary in VOCABULARIES.values() for text in vocabulary.in_kana})


@pytest.mark.parametrize("text", TEXTS)
def test_what_cannot_be_read_is_spelt_in_kana(vocabulary: Vocabulary, tokenizer: JapaneseTokenizer, text: str) -> None:
    assert spellings(tokenizer, text) == vocabulary.in_kana[text]


def level_1_kanji() -> str:
    """JIS X 0208 rows 16 to 47."""
    codes = [bytes([0xA0 + row, 0xA0 + cell]) for row in range(16, 48) for cell in range(1, 95)]
    return "".join(code.decode("euc_jp", errors="ignore") for code in codes)


def test_no_spelling_is_offered_that_cannot_be_read_itself(
    vocabulary: Vocabulary, tokenizer: JapaneseTokenizer
) -> None:
    found = spellings(tokenizer, "、".join(level_1_kanji()))
    assert len(found) >= vocabulary.num_in_kana, "unread kanji that are words must be spelt"
    assert not [one for one in found.values() if tokenizer.describe(one).unread]


def test_a_vocabulary_without_the_kana_gets_no_offer(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.conftest import train_vocabulary

    folder = tmp_path_factory.mktemp("vocabulary") / "tokenizer"
    train_vocabulary(folder, model_max_length=16)
    tokenizer = JapaneseTokenizer.load(folder)
    assert tokenizer.describe("いちご").unread and spellings(tokenizer, "苺") == {}


@pytest.mark.parametrize("text", ["苺" * 10_000, "\ufdfd" * 9_999 + "苺", "\0\x1b\u202e苺", "苺\n" * 100])
def test_hostile_text_is_answered(vocabulary: Vocabulary, tokenizer: JapaneseTokenizer, text: str) -> None:
    text = text.replace("苺", vocabulary.unread)
    assert set(spellings(tokenizer, text).values()) <= {vocabulary.kana}


def test_without_the_analyser_the_install_command_is_named(
    vocabulary: Vocabulary, tokenizer: JapaneseTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kana._analyser.cache_clear()
    monkeypatch.setitem(sys.modules, "sudachipy", None)
    with pytest.raises(MissingExtraError, match=r"pip install -e '\.\[readings\]'"):
        spellings(tokenizer, vocabulary.unread)
