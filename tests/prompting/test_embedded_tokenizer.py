"""The vocabulary that is in the repository reads by the same rules as the released one (tests/test_tokenizer.py)."""

import pytest
import sentencepiece
from spellings import SAME

from jsd.errors import InvalidInputError
from jsd.prompting.tokenizer import JapaneseTokenizer
from runs.blocks import ROOT

FOLDER = ROOT / "weights" / "mini" / "tokenizer"
CAT = "猫"


@pytest.fixture(scope="module")
def tokenizer() -> JapaneseTokenizer:
    return JapaneseTokenizer.load(FOLDER)


def ids(tokenizer: JapaneseTokenizer, text: str) -> list[int]:
    """The ids before padding."""
    encoded = tokenizer.encode(text)
    return encoded[: encoded.index(tokenizer.eos_token_id) + 1]


def test_special_ids_are_those_of_the_released_vocabulary(tokenizer: JapaneseTokenizer) -> None:
    assert (tokenizer.unk_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 2, 3)


def test_its_length_is_its_folders_not_77(tokenizer: JapaneseTokenizer) -> None:
    assert tokenizer.model_max_length == 16
    assert len(tokenizer.encode("サラリーマン 油絵")) == 16


# A vocabulary that changes without the model makes another model of it.
GOLDEN = {
    "サラリーマン 油絵": [1984, 15, 2],
    "猫の肖像画 油絵": [6, 2902, 4, 0, 1348, 2993, 15, 2],
    "CATの絵": [6, 2262, 2420, 1307, 4, 104, 2],
    "🐱の絵": [6, 0, 4, 104, 2],
    "ＡＢＣ abc Abc": [6, 2420, 1949, 2262, 6, 2420, 1949, 2262, 6, 2420, 1949, 2262, 2],
    "か\u3099": [6, 2951, 2],
    "ﾊﾝｶｸ ｶﾅ": [6, 89, 2199, 1879, 1536, 6, 1879, 2964, 2],
    "ラーメン": [477, 2],
    # Lower-casing comes before normalising: the capitals of TEL and No are not in the vocabulary.
    "℡": [6, 0, 2],
    "№": [6, 0, 2908, 2],
    "👨\u200d👩\u200d👧の絵": [6, 0, 4, 104, 2],
}


@pytest.mark.parametrize("text", GOLDEN)
def test_golden_ids(tokenizer: JapaneseTokenizer, text: str) -> None:
    assert tokenizer.encode(text) == GOLDEN[text] + [3] * (16 - len(GOLDEN[text]))


@pytest.mark.parametrize(("text", "same"), SAME, ids=[text for text, _ in SAME])
def test_forms_that_are_read_as_one(tokenizer: JapaneseTokenizer, text: str, same: str) -> None:
    assert tokenizer.encode(text) == tokenizer.encode(same)
    assert len(ids(tokenizer, text)) > 1, "two empty prompts would be equal as well"


# A wave dash, a hyphen, the numeral one and a vowel are no long vowel.
@pytest.mark.parametrize("text", ["ラ〜メン", "ラ～メン", "ラ-メン", "ラ一メン", "ラアメン"])
def test_forms_that_stay_apart(tokenizer: JapaneseTokenizer, text: str) -> None:
    assert tokenizer.encode(text) != tokenizer.encode("ラーメン")


@pytest.mark.parametrize("emoji", ["🐱", "👨\u200d👩\u200d👧", "👍🏽", "☀\ufe0f", "🏳\ufe0f\u200d🌈"])
def test_an_emoji_is_one_unknown_token_and_one_unread_character(tokenizer: JapaneseTokenizer, emoji: str) -> None:
    report = tokenizer.describe(f"{CAT}{emoji}{CAT}")
    assert [piece.id for piece in report.pieces].count(0) == 1
    assert [(character.text, character.start) for character in report.unread] == [(emoji, 1)]


@pytest.mark.parametrize("text", ["", " ", "　", "\t\r\n", "\ufffd"])
def test_empty_and_blank_prompts_are_the_empty_prompt(tokenizer: JapaneseTokenizer, text: str) -> None:
    assert tokenizer.encode(text) == [2] + [3] * 15


@pytest.mark.parametrize("text", [CAT * 10_000, "サラリーマン 油絵 " * 1_000, "🐱" * 10_000])
def test_ten_thousand_characters_keep_the_end_token(tokenizer: JapaneseTokenizer, text: str) -> None:
    encoded = tokenizer.encode(text)
    assert len(encoded) == 16
    assert 3 not in encoded or encoded[encoded.index(3) - 1] == 2
    assert 2 in encoded, "a cut prompt ends with </s>, as every other"


def test_what_falls_off_ten_thousand_characters_is_the_end_of_the_text(tokenizer: JapaneseTokenizer) -> None:
    report = tokenizer.describe(CAT * 10_000)
    assert report.num_tokens == 16
    assert report.tail_start is not None and report.tail == CAT * (10_000 - report.tail_start)


@pytest.mark.parametrize(("text", "value"), [("猫\ud83d", "U+D83D"), ("\udc00", "U+DC00"), ("\udc00\ud83d", "U+DC00")])
@pytest.mark.parametrize("reader", ["encode", "describe"])
def test_a_lone_surrogate_is_refused_by_name(tokenizer: JapaneseTokenizer, text: str, value: str, reader: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        getattr(tokenizer, reader)(text, field="negative_prompt")
    position = 2 if text.startswith(CAT) else 1
    assert caught.value.params == {"field": "negative_prompt", "value": value, "position": position}
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["\0", "\x7f", "\x1b[31m", "a\0b"])
def test_control_characters_never_end_the_prompt(tokenizer: JapaneseTokenizer, text: str) -> None:
    assert ids(tokenizer, text + CAT)[-2] == ids(tokenizer, CAT)[-2]


@pytest.mark.parametrize(
    "name", ["[PAD]", "[pad]", "</s>", "<s>", "[CLS]", "[SEP]", "[MASK]", "<unk>", "<S>", "［ＰＡＤ］", "＜／ｓ＞"]
)
def test_names_of_control_pieces_are_ordinary_text(tokenizer: JapaneseTokenizer, name: str) -> None:
    processor = sentencepiece.SentencePieceProcessor(model_file=str(FOLDER / "spiece.model"))
    for text in (name, f"{CAT}{name}絵"):
        pieces = tokenizer.describe(text).pieces
        assert [piece.text for piece in pieces if processor.is_control(piece.id)] == []
        assert [piece.id for piece in pieces] == ids(tokenizer, text)[:-1], "the report is of what is encoded"
        assert "".join(text[piece.start : piece.end] for piece in pieces) == text, "read as its characters"
