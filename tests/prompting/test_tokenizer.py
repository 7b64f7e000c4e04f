"""The tokenizer, against the released vocabulary where it is there, and two more that follow its rules."""

import json
import shutil
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor
from toy_folder import train_vocabulary
from vocabularies import VOCABULARIES

from jsd.errors import InvalidInputError, ModelFolderError
from jsd.prompting.tokenizer import JapaneseTokenizer, printable


def ids(tokenizer: JapaneseTokenizer, text: str) -> list[int]:
    """The ids before padding."""
    encoded = tokenizer.encode(text)
    return encoded[: encoded.index(tokenizer.eos_token_id) + 1]


# What the slow T5 tokenizer of transformers 4 makes of them with the released vocabulary.
RELEASED = {
    "サラリーマン 油絵": [9, 24111, 9, 2073, 1623, 2],
    "猫の肖像画 油絵": [9, 4324, 10, 16655, 9, 2073, 1623, 2],
    "CATの絵": [9, 15970, 16505, 2],
    "🐱の絵": [9, 0, 16505, 2],
    "ＡＢＣ abc Abc": [9, 8493, 9, 8493, 9, 8493, 2],
    "か\u3099": [9, 12, 2],
    "ﾊﾝｶｸ ｶﾅ": [9, 1110, 148, 104, 9, 9443, 2],
    "№": [9, 0, 463, 2],
    "👨\u200d👩\u200d👧の絵": [9, 0, 16505, 2],
}


if "released" in VOCABULARIES:

    @pytest.mark.parametrize("text", RELEASED)
    def test_the_released_vocabulary_gives_the_released_ids(text: str) -> None:
        tokenizer = VOCABULARIES["released"]()
        assert tokenizer.encode(text) == RELEASED[text] + [3] * (77 - len(RELEASED[text]))
        assert tokenizer.vocab_size == 32_000


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("サラリーマン 油絵", "▁サラリーマン ▁油絵"),
        ("CATの猫", "▁cat の 猫"),
        ("🐱の絵", "▁ 🐱 の 絵"),
        ("か\u3099", "▁が"),
    ],
)
def test_a_text_becomes_pieces(text: str, pieces: str) -> None:
    tokenizer = VOCABULARIES["made here"]()
    assert " ".join(piece.text for piece in tokenizer.describe(text).pieces) == pieces


# NFKC, kana composed, widths folded, spaces collapsed. Others stay apart: a wave dash is not a long vowel.
SAME = {
    "ガンダム": ["ｶﾞﾝﾀﾞﾑ", "カ\u3099ンタ\u3099ム"],
    "パン": ["ﾊ\u309aﾝ"],
    "ラーメン": ["ﾗｰﾒﾝ", "ラｰメン"],
    "cat123": ["ＣＡＴ１２３", "Cat①②③"],
    "(株)": ["㈱"],
    "キロメートル": ["㌖"],
    "iii": ["Ⅲ"],
    "猫 の 絵": ["猫　の　絵", "  猫\tの\n絵  "],
    "が は": ["が\u200bは"],
    "": [" ", "　", "\t\r\n", "\ufffd"],
}


@pytest.mark.parametrize(("one", "others"), SAME.items())
def test_forms_that_are_read_as_one(tokenizer: JapaneseTokenizer, one: str, others: list[str]) -> None:
    assert [other for other in others if tokenizer.encode(other) != tokenizer.encode(one)] == []
    assert len(ids(tokenizer, one)) > (one != ""), "two empty prompts would be equal as well"


@pytest.mark.parametrize("text", ["ラ〜メン", "ラ～メン", "ラ-メン", "ラ一メン", "ラアメン"])
def test_forms_that_stay_apart(tokenizer: JapaneseTokenizer, text: str) -> None:
    assert tokenizer.encode(text) != tokenizer.encode("ラーメン")


@pytest.mark.parametrize("emoji", ["🐱", "👨\u200d👩\u200d👧", "👍🏽", "☀\ufe0f", "🏳\ufe0f\u200d🌈"])
def test_an_emoji_is_one_unknown_token_and_one_unread_character(tokenizer: JapaneseTokenizer, emoji: str) -> None:
    report = tokenizer.describe(f"猫{emoji}猫")
    assert [piece.id for piece in report.pieces].count(tokenizer.unk_token_id) == 1
    assert [(character.text, character.start) for character in report.unread] == [(emoji, 1)]


@pytest.mark.parametrize("text", ["猫", "サラリーマン 油絵 ", "🐱"])
def test_a_long_prompt_fills_the_window_and_ends_as_every_other(tokenizer: JapaneseTokenizer, text: str) -> None:
    length, text = tokenizer.model_max_length, text * (10_000 // len(text))
    encoded, report = tokenizer.encode(text), tokenizer.describe(text)
    assert len(encoded) == length and (encoded[-1] == 2 or text[0] == "🐱"), "neighbours unread are one token"
    assert [piece.id for piece in report.pieces] == encoded[: encoded.index(2)]
    assert report.tail == ("" if text[0] == "🐱" else text[report.tail_start :])


def test_the_last_text_that_fits_is_not_cut(tokenizer: JapaneseTokenizer) -> None:
    reports = [tokenizer.describe("猫 " * count) for count in range(1, 80)]
    fits = [report.num_tokens_needed <= tokenizer.model_max_length for report in reports]
    assert [report.tail_start is None for report in reports] == fits and len(set(fits)) == 2


@pytest.mark.parametrize(("text", "value"), [("猫\ud83d", "U+D83D"), ("\udc00", "U+DC00"), ("\udc00\ud83d", "U+DC00")])
@pytest.mark.parametrize("reader", ["encode", "describe"])
def test_a_lone_surrogate_is_refused_by_name(tokenizer: JapaneseTokenizer, text: str, value: str, reader: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        getattr(tokenizer, reader)(text, field="negative_prompt")
    position = 2 if text.startswith("猫") else 1
    assert caught.value.params == {"field": "negative_prompt", "value": value, "position": position}


@pytest.mark.parametrize("text", ["\0", "\x7f", "\x1b[31m", "a\0b"])
def test_control_characters_never_end_the_prompt(tokenizer: JapaneseTokenizer, text: str) -> None:
    assert ids(tokenizer, f"{text}の猫")[-2] == ids(tokenizer, "の猫")[-2]


NAMES = ["[PAD]", "[pad]", "</s>", "<s>", "[CLS]", "[SEP]", "[MASK]", "<unk>", "<S>", "［ＰＡＤ］", "＜／ｓ＞"]


def test_names_of_control_pieces_are_ordinary_text(tokenizer: JapaneseTokenizer) -> None:
    control = {1, 2, 3, *(tokenizer._processor.piece_to_id(name) for name in ("[CLS]", "[SEP]", "[MASK]"))} - {0}
    for name in NAMES:
        pieces = tokenizer.describe(f"猫{name}絵").pieces
        assert not control & {piece.id for piece in pieces}, name
        assert "".join(piece.text for piece in pieces).removeprefix("▁").startswith("猫"), name


# What the user typed, not what it normalises to: the characters, at their own offsets.
UNREAD = {
    "サラリーマン 油絵": [],
    "CATの苺": [("苺", 4)],
    "苺苺": [("苺", 0), ("苺", 1)],
    "絵 👨\u200d👩\u200d👧 絵": [("👨\u200d👩\u200d👧", 2)],
    "👍🏽と☀️": [("👍🏽", 0), ("☀️", 3)],
    "か\u3099と苺\u3099": [("苺\u3099", 3)],
    "℡と№": [("℡", 0), ("№", 2)],  # lower-casing comes before normalising: the capitals of TEL and No are unknown
    "ﷺ猫": [("ﷺ", 0)],
    "İと檸檬": [("İ", 0), ("檸", 2), ("檬", 3)],
    "  a\0b": [("\0", 3)],
    "": [],
}


@pytest.mark.parametrize("text", UNREAD, ids=repr)
def test_unread_characters_are_those_the_user_typed(full: JapaneseTokenizer, text: str) -> None:
    unread = full.describe(text).unread
    assert [(character.text, character.start) for character in unread] == UNREAD[text]


def test_pieces_and_the_tail_point_into_the_users_text(tokenizer: JapaneseTokenizer) -> None:
    text = "ＣＡＴ ｶﾞﾝﾀﾞﾑ と İ猫 か\u3099" * 20
    report = tokenizer.describe(text)
    spans = [text[piece.start : piece.end] for piece in report.pieces]
    assert "".join(spans) + report.tail == text and report.tail.endswith("か\u3099")


def test_a_note_names_each_unread_character_once_and_stays_short(tokenizer: JapaneseTokenizer) -> None:
    (note,) = tokenizer.describe("簪と龘と簪 " * 30).notes()
    assert (note.params["count"], note.params["characters"]) == (2, "簪 龘")
    many = tokenizer.describe("".join(map(chr, range(0x20000, 0x20400)))).notes()
    assert max(len(str(note)) for note in many) < 250
    assert tokenizer.describe("サラリーマン 油絵").notes() == []


def test_a_report_survives_json(tokenizer: JapaneseTokenizer) -> None:
    text = "簪\0👨\u200d👩"
    report = json.loads(json.dumps(tokenizer.describe(text).to_json()))
    assert (report["text"], report["unread"][0]) == (text, {"text": "簪", "start": 0})


def test_a_vocabulary_alone_means_77_and_lower_casing(tmp_path: Path) -> None:
    tokenizer = JapaneseTokenizer.load(train_vocabulary(tmp_path))
    assert (tokenizer.model_max_length, tokenizer.do_lower_case) == (77, True)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ('{"model_max_length": 4, "do_lower_case": true}', (4, True)),
        ('{"do_lower_case": false}', (77, False)),
        (json.dumps({"model_max_length": int(1e30)}), (77, True)),  # what Hugging Face writes for unset
        *[(text, None) for text in ("{", "[]", "\xff", '{"model_max_length": 1}', '{"model_max_length": "77"}')],
        ('{"do_lower_case": "yes"}', None),
    ],
)
def test_the_settings_beside_the_vocabulary(tmp_path: Path, config: str, expected: tuple[int, bool] | None) -> None:
    train_vocabulary(tmp_path)
    (tmp_path / "tokenizer_config.json").write_bytes(config.encode("latin-1"))
    if expected is None:
        with pytest.raises(ModelFolderError) as caught:
            JapaneseTokenizer.load(tmp_path)
        assert caught.value.code == "tokenizer.config"
    else:
        tokenizer = JapaneseTokenizer.load(tmp_path)
        assert (tokenizer.model_max_length, tokenizer.do_lower_case) == expected
        assert len(tokenizer.encode("猫の絵" * 40)) == expected[0]


@pytest.mark.parametrize(
    "training", [{"user_defined_symbols": [name], "control_symbols": []} for name in ("[PAD]", "</s>", "[MASK]")]
)
def test_a_vocabulary_in_which_a_control_id_can_be_typed_is_refused(
    tmp_path: Path, training: dict[str, object]
) -> None:
    train_vocabulary(tmp_path, **training)
    with pytest.raises(ModelFolderError) as caught:
        JapaneseTokenizer.load(tmp_path)
    assert caught.value.code == "tokenizer.no_control"
    assert training["user_defined_symbols"][0] in str(caught.value.params["pieces"])


@pytest.mark.parametrize("kept", [0, 10, -5, None])
def test_a_vocabulary_that_is_damaged_or_not_there_is_named(tmp_path: Path, kept: int | None) -> None:
    path = train_vocabulary(tmp_path) / "spiece.model"
    path.unlink() if kept is None else path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelFolderError) as caught:
        JapaneseTokenizer.load(tmp_path)
    assert caught.value.code == ("tokenizer.missing" if kept is None else "tokenizer.damaged")
    assert caught.value.params["path"] == path


def test_a_vocabulary_without_padding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match="PAD"):
        JapaneseTokenizer.load(train_vocabulary(tmp_path, pad_id=-1))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("猫 絵", "猫 絵"),
        ("👨\u200d👩", "👨\u200d👩"),
        ("\u200d", "U+200D"),
        ("\ufe0f", "U+FE0F"),
        ("a\x1b\u202eb", "aU+001BU+202Eb"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_code_points(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("config", "second_encoder", "expected"),
    [
        ({}, False, (True, "[PAD]")),
        ({}, True, (False, "[PAD]")),
        ({"do_lower_case": True, "pad_token": "[MASK]"}, True, (True, "[MASK]")),
        ({"pad_token": {"content": "[MASK]"}}, False, (True, "[MASK]")),
        ({"pad_token": "no such piece"}, False, (True, "[PAD]")),
    ],
)
def test_what_a_config_leaves_open_depends_on_the_family(
    config: dict[str, object], second_encoder: bool, expected: tuple[bool, str], toy_folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(toy_folder / "tokenizer", tmp_path / "tokenizer")
    (tmp_path / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    if second_encoder:
        (tmp_path / "text_encoder_2").mkdir()
    tokenizer = JapaneseTokenizer.load(tmp_path / "tokenizer")
    pad_id = SentencePieceProcessor(model_file=str(tmp_path / "tokenizer" / "spiece.model")).piece_to_id(expected[1])
    assert (tokenizer.do_lower_case, tokenizer.pad_token_id) == (expected[0], pad_id)


def test_a_letter_is_made_small_by_itself(tmp_path: Path) -> None:
    """A Σ at the end of a word is σ to what trained the vocabularies, ς to `str.lower`."""
    train_vocabulary(tmp_path, ["σας", "Σ", "σ", "ς"] * 9, model_type="char", character_coverage=1.0, vocab_size=12)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}), "utf-8")
    tokenizer = JapaneseTokenizer.load(tmp_path)
    assert ids(tokenizer, "ΣΑΣ") == ids(tokenizer, "σασ") != ids(tokenizer, "σας")
