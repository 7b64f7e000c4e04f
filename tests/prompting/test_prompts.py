import sys
from time import process_time

import pytest
from vocabularies import KANA, LONG, UNREAD

from jsd.errors import InvalidInputError, MissingExtraError
from jsd.options import SamplingOptions
from jsd.prompting import kana
from jsd.prompting.negative import split_negative
from jsd.prompting.prompts import PromptReading, Prompts, read_prompt, read_prompts, shared_num_windows
from jsd.prompting.styles import STYLES, check_style, readable_styles, with_style
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.rules import MAX_CHARACTERS


def said(read: PromptReading | Prompts) -> list[str]:
    return list(map(str, read.notes()))


@pytest.mark.parametrize("text", ["", "サラリーマン 油絵", "猫の🐱", "1:2", "C:\\猫", "\0\x1b猫", "  猫  "])
def test_without_syntax_the_ids_are_the_tokenizers(tokenizer: JapaneseTokenizer, text: str) -> None:
    (window,) = read_prompt(tokenizer, text).windows
    assert list(window.input_ids) == tokenizer.encode(text)
    assert set(window.weights) == {1.0}


def test_truncated_ids_are_the_tokenizers_and_the_lost_words_are_named_as_typed(short: JapaneseTokenizer) -> None:
    text = "（猫：１．５）" * 5 + LONG[:24] + "（桜：１．２）"
    reading = read_prompt(short, text, long_prompt="truncate")
    assert [list(window.input_ids) for window in reading.windows] == [short.encode(reading.read)]
    assert reading.tail.endswith("（桜：１．２）") and text.endswith(reading.tail)
    assert reading.tail in said(reading)[0]
    assert f"from character {len(text) - len(reading.tail) + 1} on" in said(reading)[0]


def test_the_weights_stand_at_their_tokens_in_every_part(short: JapaneseTokenizer) -> None:
    reading = read_prompt(short, LONG + "、（桜：１．５）の絵")
    assert len(reading.windows) > 1
    weighted = [
        piece.text
        for window in reading.windows
        for piece, weight in zip(window.pieces, window.weights, strict=False)
        if weight == 1.5
    ]
    assert weighted == ["桜"]


def test_the_kana_spelling_is_offered_with_the_syntax_kept(tokenizer: JapaneseTokenizer) -> None:
    word, spelling = UNREAD, KANA
    reading = read_prompt(tokenizer, f"（{word}：１．５）のケーキ")
    assert reading.read == f"{word}のケーキ", "warn must not change the prompt"
    assert reading.suggestion() == f"（{spelling}：１．５）のケーキ"
    assert any(reading.suggestion() in sentence for sentence in said(reading))
    assert reading.replacements == {}


def test_replace_reads_the_kana_and_says_so(tokenizer: JapaneseTokenizer) -> None:
    word, spelling = UNREAD, KANA
    reading = read_prompt(tokenizer, f"（{word}：１．５）のケーキと🐱", unknown_words="replace")
    assert list(reading.windows[0].input_ids) == tokenizer.encode(f"{spelling}のケーキと🐱")
    assert reading.replacements == {word: spelling} and reading.unread == ["🐱"]
    assert 1.5 in reading.windows[0].weights
    assert f"{word} → {spelling}" in said(reading)[0] and "🐱" in said(reading)[1]


def test_without_the_analyser_warn_warns_and_replace_is_refused(
    tokenizer: JapaneseTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kana._analyser.cache_clear()
    monkeypatch.setitem(sys.modules, "sudachipy", None)
    text = f"{UNREAD}の絵"
    (sentence,) = said(read_prompt(tokenizer, text))
    assert UNREAD in sentence
    with pytest.raises(MissingExtraError):
        read_prompt(tokenizer, text, unknown_words="replace")
    assert said(read_prompt(tokenizer, "猫の絵", unknown_words="replace")) == [], "nothing to replace"


@pytest.mark.parametrize(
    ("typed", "prompt", "negative"),
    [
        ("富士山", "富士山", ""),
        ("富士山\nネガティブ: 人", "富士山", "人"),
        ("富士山\r\nネガティブ：人、車\r\n", "富士山", "人、車"),
        ("富士山\nネガティブプロンプト：人", "富士山", "人"),
        ("富士山\nネガティヴ：人", "富士山", "人"),
        ("ネガティブ:人\n富士山\n　ネガティブ　：　車", "富士山", "人、車"),
        ("富士山\nネカ\u3099ティフ\u3099: 人", "富士山", "人"),
        ("富士山 ネガティブ: 人", "富士山 ネガティブ: 人", ""),
        ("ネガティブな人", "ネガティブな人", ""),
        (" 富士山\n", " 富士山\n", ""),
    ],
)
def test_the_negative_line(typed: str, prompt: str, negative: str) -> None:
    assert split_negative(typed) == (prompt, negative)


def test_the_line_is_added_to_the_negative_prompt(tokenizer: JapaneseTokenizer) -> None:
    prompts = read_prompts(tokenizer, SamplingOptions(prompt="猫\nネガティブ: 人", negative_prompt="車"))
    assert (prompts.prompt.read, prompts.negative_prompt.read) == ("猫", "車、人")


def test_what_is_not_japanese_gets_a_hint_and_nothing_else_does(tokenizer: JapaneseTokenizer) -> None:
    foreign = ["a cat in the rain", "고양이", "Кот", "CAT"]
    texts = [*foreign, "", "CATの絵", "富士山", "ﾈｺ", "123", "🐱", "々"]
    codes = {text: [note.code for note in read_prompt(tokenizer, text).notes()] for text in texts}
    assert [text for text in texts if "prompt.not_japanese" in codes[text]] == foreign


def test_no_control_character_reaches_a_sentence(short: JapaneseTokenizer) -> None:
    for text in ("苺\x1b[31m" + LONG + "\u202e" * 3 + LONG, "\0" * 40 + "炬\x1b燵"):
        for long_prompt in ("chunk", "truncate"):
            sentences = "".join(said(read_prompt(short, text, long_prompt=long_prompt)))
            assert not set(sentences) & {"\0", "\x1b", "\u202e"}


def test_both_texts_are_padded_to_the_longer(short: JapaneseTokenizer) -> None:
    prompts = read_prompts(short, SamplingOptions(prompt="猫", negative_prompt=LONG))
    assert prompts.num_windows(guided=True) == len(prompts.negative_prompt.windows) > 1
    assert prompts.num_windows(guided=False) == 1, "without guidance the negative prompt is not read"
    padded = prompts.prompt.padded(2)
    assert list(padded[1].input_ids) == short.encode("")


def test_a_batch_of_different_lengths_is_refused(short: JapaneseTokenizer) -> None:
    prompts = [read_prompts(short, SamplingOptions(prompt=text)) for text in ("猫", LONG)]
    with pytest.raises(InvalidInputError) as caught:
        shared_num_windows(prompts, guided=True)
    assert caught.value.code == "batch.windows"


def test_a_megabyte_is_refused_in_one_line_before_it_is_read() -> None:
    began = process_time()
    with pytest.raises(InvalidInputError, match=f"at most {MAX_CHARACTERS} characters") as caught:
        SamplingOptions(prompt="猫、" * 500_000)
    assert process_time() - began < 1 and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["苺、", "簪、", "(", "（猫：", " ", "ネガティブ:", "\n", "🐱"])
def test_the_longest_prompts_are_answered_in_seconds(tokenizer: JapaneseTokenizer, text: str) -> None:
    options = SamplingOptions(prompt=text * (MAX_CHARACTERS // len(text)), long_prompt="truncate")
    began = process_time()
    said(read_prompts(tokenizer, options))
    assert process_time() - began < 10


def test_a_vocabulary_that_reads_every_word_of_the_styles_offers_all(full: JapaneseTokenizer) -> None:
    assert readable_styles(full) == list(STYLES)


def test_a_style_that_the_vocabulary_cannot_read_is_not_offered(
    tokenizer: JapaneseTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STYLES, "簪風", "簪")
    assert "簪風" not in readable_styles(tokenizer)
    with pytest.raises(InvalidInputError, match="簪風"):
        check_style(readable_styles(tokenizer), "簪風")


def test_a_style_stands_before_the_negative_line() -> None:
    assert split_negative(with_style("猫\nネガティブ：人", "水墨画")) == ("猫 水墨画 墨絵", "人")
