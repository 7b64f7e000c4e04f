"""The tokenizer against rinna's public vocabulary (beside the repository) and small ones made here."""

import io
import json
from pathlib import Path

import pytest
import sentencepiece
from spellings import SAME

from jsd.errors import InvalidInputError, ModelFolderError
from jsd.prompting.tokenizer import JapaneseTokenizer, printable

RINNA = Path(__file__).parents[2].parent / "shared" / "data" / "rinna-tokenizer"
SENTENCES = ["猫の絵", "犬の絵", "赤い花 油絵", "サラリーマン"] * 5


@pytest.fixture(scope="module")
def rinna() -> JapaneseTokenizer:
    if not (RINNA / "spiece.model").is_file():
        pytest.skip(f"rinna's vocabulary is not at {RINNA}")
    return JapaneseTokenizer.load(RINNA)


def write_vocabulary(folder: Path, **training: object) -> Path:
    model = io.BytesIO()
    options = {
        "pad_id": 3,
        "pad_piece": "[PAD]",
        "unk_id": 0,
        "bos_id": 1,
        "eos_id": 2,
        "vocab_size": 40,
        "hard_vocab_limit": False,
        "minloglevel": 2,
        "normalization_rule_name": "nmt_nfkc",
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES), model_writer=model, **{**options, **training}
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(model.getvalue())
    return folder


def ids(tokenizer: JapaneseTokenizer, text: str) -> list[int]:
    """The ids before padding."""
    encoded = tokenizer.encode(text)
    return encoded[: encoded.index(tokenizer.eos_token_id) + 1]


GOLDEN = {
    "サラリーマン 油絵": [9, 24111, 9, 2073, 1623, 2],
    "猫の肖像画 油絵": [9, 4324, 10, 16655, 9, 2073, 1623, 2],
    "CATの絵": [9, 15970, 16505, 2],
    "🐱の絵": [9, 0, 16505, 2],
    "ＡＢＣ abc Abc": [9, 8493, 9, 8493, 9, 8493, 2],
    "か\u3099": [9, 12, 2],
    "ﾊﾝｶｸ ｶﾅ": [9, 1110, 148, 104, 9, 9443, 2],
}


@pytest.mark.parametrize("text", GOLDEN)
def test_golden_ids(rinna: JapaneseTokenizer, text: str) -> None:
    assert rinna.encode(text) == GOLDEN[text] + [3] * (77 - len(GOLDEN[text]))


@pytest.mark.parametrize(("text", "same"), SAME, ids=[text for text, _ in SAME])
def test_forms_that_are_read_as_one(rinna: JapaneseTokenizer, text: str, same: str) -> None:
    assert rinna.encode(text) == rinna.encode(same)


# Read as other words than ラーメン, as the released model does: a wave dash is not a long vowel.
@pytest.mark.parametrize("text", ["ラ〜メン", "ラ～メン", "ラ-メン", "ラ一メン", "ラアメン"])
def test_forms_that_stay_apart(rinna: JapaneseTokenizer, text: str) -> None:
    assert rinna.encode(text) != rinna.encode("ラーメン")


def test_lower_casing_comes_before_normalising(rinna: JapaneseTokenizer) -> None:
    # ℡ has no lower case, and its normal form TEL has capitals, which the vocabulary lacks.
    assert ids(rinna, "℡") == [9, 0, 2]
    assert ids(rinna, "№") == [9, 0, 463, 2]


def test_an_emoji_with_joiners_is_one_unknown_token(rinna: JapaneseTokenizer) -> None:
    assert ids(rinna, "👨\u200d👩\u200d👧の絵") == [9, 0, 16505, 2]


@pytest.mark.parametrize("text", ["", " ", "　", "\t\r\n", "\ufffd"])
def test_empty_and_blank_prompts_are_the_empty_prompt(rinna: JapaneseTokenizer, text: str) -> None:
    assert rinna.encode(text) == [2] + [3] * 76


def test_ten_thousand_characters_keep_the_end_token(rinna: JapaneseTokenizer) -> None:
    encoded = rinna.encode("猫" * 10_000)
    assert len(encoded) == 77
    assert encoded[-1] == 2, "the last token of a cut prompt must be </s>"


def test_a_prompt_that_just_fits_is_not_cut(rinna: JapaneseTokenizer) -> None:
    report = rinna.describe("苺 " * 38)
    assert (report.num_tokens, report.num_tokens_needed, report.tail_start) == (77, 77, None)


@pytest.mark.parametrize(("text", "value"), [("猫\ud83d", "U+D83D"), ("\udc00", "U+DC00")])
def test_a_lone_surrogate_is_refused_by_name(rinna: JapaneseTokenizer, text: str, value: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        rinna.encode(text, field="negative_prompt")
    assert caught.value.params == {"field": "negative_prompt", "value": value, "position": len(text)}


@pytest.mark.parametrize("text", ["\0", "\x7f", "\x1b[31m", "a\0b"])
def test_control_characters_never_end_the_prompt(rinna: JapaneseTokenizer, text: str) -> None:
    encoded = ids(rinna, text + "猫")
    assert encoded[-2] == 4324, "what follows a control character must still be read"


@pytest.mark.parametrize("name", ["[PAD]", "[pad]", "</s>", "<s>", "[CLS]", "[SEP]", "[MASK]", "<unk>", "<S>"])
def test_names_of_control_pieces_are_ordinary_text(rinna: JapaneseTokenizer, name: str) -> None:
    pieces = rinna.describe(f"猫{name}絵").pieces
    assert min(piece.id for piece in pieces) > 6, [(piece.text, piece.id) for piece in pieces]


@pytest.mark.parametrize("name", ["[PAD]", "</s>", "<s>", "[CLS]", "[MASK]"])
def test_names_of_control_symbols_are_text_in_another_vocabulary(tmp_path: Path, name: str) -> None:
    write_vocabulary(tmp_path, control_symbols=["[CLS]", "[SEP]", "[MASK]"])
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    pieces = JapaneseTokenizer.load(tmp_path).describe(name).pieces
    assert {piece.id for piece in pieces} & {1, 2, 3, 4, 5, 6} == set()


@pytest.mark.parametrize("symbol", ["[PAD]", "</s>", "[MASK]"])
def test_a_vocabulary_in_which_a_control_id_can_be_typed_is_refused(tmp_path: Path, symbol: str) -> None:
    write_vocabulary(tmp_path, user_defined_symbols=[symbol])
    with pytest.raises(ModelFolderError) as caught:
        JapaneseTokenizer.load(tmp_path)
    assert caught.value.code == "tokenizer.no_control"
    assert symbol in str(caught.value.params["pieces"])


def test_a_vocabulary_without_padding_is_refused(tmp_path: Path) -> None:
    write_vocabulary(tmp_path, pad_id=-1)
    with pytest.raises(ModelFolderError, match="PAD"):
        JapaneseTokenizer.load(tmp_path)


def test_special_ids_and_size_of_rinnas_vocabulary(rinna: JapaneseTokenizer) -> None:
    found = (rinna.unk_token_id, rinna.eos_token_id, rinna.pad_token_id, rinna.vocab_size)
    assert found == (0, 2, 3, 32_000)


def test_spiece_model_alone_means_77_and_lower_casing(tmp_path: Path) -> None:
    tokenizer = JapaneseTokenizer.load(write_vocabulary(tmp_path))
    assert (tokenizer.model_max_length, tokenizer.do_lower_case) == (77, True)


def test_the_length_comes_from_the_folder(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 4, "do_lower_case": true}')
    tokenizer = JapaneseTokenizer.load(tmp_path)
    assert len(tokenizer.encode("")) == 4
    assert tokenizer.encode("猫の絵猫の絵")[-1] == tokenizer.eos_token_id


def test_the_length_that_hugging_face_writes_for_unset_means_77(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": int(1e30)}))
    assert JapaneseTokenizer.load(tmp_path).model_max_length == 77


@pytest.mark.parametrize(
    "config", ["{", "[]", "\xff", '{"model_max_length": 1}', '{"model_max_length": "77"}', '{"do_lower_case": "yes"}']
)
def test_a_damaged_config_is_refused(tmp_path: Path, config: str) -> None:
    write_vocabulary(tmp_path)
    (tmp_path / "tokenizer_config.json").write_bytes(config.encode("latin-1"))
    with pytest.raises(ModelFolderError, match="tokenizer_config"):
        JapaneseTokenizer.load(tmp_path)


@pytest.mark.parametrize("part", [0, 10, -5])
def test_a_truncated_vocabulary_is_refused(tmp_path: Path, part: int) -> None:
    path = write_vocabulary(tmp_path) / "spiece.model"
    path.write_bytes(path.read_bytes()[:part])
    with pytest.raises(ModelFolderError) as caught:
        JapaneseTokenizer.load(tmp_path)
    assert caught.value.code == "tokenizer.damaged"


def test_a_missing_vocabulary_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError) as caught:
        JapaneseTokenizer.load(tmp_path)
    assert caught.value.params["path"] == tmp_path / "spiece.model"


# What the user typed, not what it normalises to: the characters, at their own offsets.
UNREAD = {
    "サラリーマン 油絵": [],
    "CATの苺": [("苺", 4)],
    "苺苺": [("苺", 0), ("苺", 1)],
    "絵🐱": [("🐱", 1)],
    "絵 👨\u200d👩\u200d👧 絵": [("👨\u200d👩\u200d👧", 2)],
    "👍🏽と☀️": [("👍🏽", 0), ("☀️", 3)],
    "か\u3099と苺\u3099": [("苺\u3099", 3)],
    "℡と№": [("℡", 0), ("№", 2)],
    "ﷺ猫": [("ﷺ", 0)],
    "İと檸檬": [("İ", 0), ("檸", 2), ("檬", 3)],
    "  a\0b": [("\0", 3)],
    "": [],
}


@pytest.mark.parametrize("text", UNREAD, ids=repr)
def test_unread_characters_are_those_the_user_typed(rinna: JapaneseTokenizer, text: str) -> None:
    unread = rinna.describe(text).unread
    assert [(character.text, character.start) for character in unread] == UNREAD[text]


def test_pieces_point_into_the_users_text(rinna: JapaneseTokenizer) -> None:
    text = "ＣＡＴ ｶﾞﾝﾀﾞﾑ"
    found = [(piece.text, text[piece.start : piece.end]) for piece in rinna.describe(text).pieces]
    assert found == [("▁", ""), ("cat", "ＣＡＴ"), ("▁", " "), ("ガンダム", "ｶﾞﾝﾀﾞﾑ")]


def test_the_tail_is_what_fell_off_the_users_text(tmp_path: Path) -> None:
    write_vocabulary(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 5}')
    text = "İ猫 犬か\u3099犬"
    report = JapaneseTokenizer.load(tmp_path).describe(text)
    assert report.num_tokens == 5
    assert "".join(text[piece.start : piece.end] for piece in report.pieces) + report.tail == text
    assert report.tail.endswith("か\u3099犬")


def test_a_report_agrees_with_the_ids(rinna: JapaneseTokenizer) -> None:
    text = "苺のケーキ ① 水彩画 " * 20
    report = rinna.describe(text)
    assert [piece.id for piece in report.pieces] == rinna.encode(text)[:76]
    assert (report.num_tokens, report.model_max_length) == (77, 77)


def test_warnings_name_the_unread_characters_once(rinna: JapaneseTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_LANG", "en")
    (unread,) = rinna.describe("苺と檸檬と苺 " * 30).notes()
    assert unread.params["count"] == 3 and "苺 檸 檬;" in str(unread)


def test_a_readable_prompt_has_no_warnings(rinna: JapaneseTokenizer) -> None:
    assert rinna.describe("サラリーマン 油絵").notes() == []


def test_warnings_stay_short(rinna: JapaneseTokenizer) -> None:
    report = rinna.describe("".join(map(chr, range(0x20000, 0x20400))))
    assert max(len(str(note)) for note in report.notes()) < 250


def test_a_report_survives_json(rinna: JapaneseTokenizer) -> None:
    text = "苺\0👨\u200d👩"
    report = json.loads(json.dumps(rinna.describe(text).to_json()))
    assert (report["text"], report["unread"][0]) == (text, {"text": "苺", "start": 0})


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
