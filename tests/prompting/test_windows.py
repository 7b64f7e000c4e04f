import pytest
from vocabularies import LONG, VOCABULARIES

from jsd.errors import InvalidInputError
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.prompting.windows import MAX_WINDOWS, cut_into_windows


def parts(tokenizer: JapaneseTokenizer, text: str) -> list[str]:
    return [text[start:end] for start, end in cut_into_windows(tokenizer, text)]


TEXTS = [LONG, "猫 " * 60, "猫" * 70, "a" * 60, "、" * 40, "(猫)" * 20, "簪猫" * 30, "か\u3099" * 40, f"{LONG}\n{LONG}"]


@pytest.mark.parametrize("text", TEXTS)
def test_the_parts_are_the_text_and_each_fits(short: JapaneseTokenizer, text: str) -> None:
    found = parts(short, text)
    assert "".join(found) == text and all(found)
    assert not [part for part in found if short.describe(part).tail], "something would fall off"


def test_a_part_ends_at_a_clause_else_at_a_phrase() -> None:
    tokenizer = VOCABULARIES["made here"]()
    tokenizer.model_max_length = 16
    assert parts(tokenizer, LONG) == [
        "夏の海と青い空の下で、",
        "赤い帽子をかぶった女の子が",
        "大きな犬と歩いている、",
        "富士山と桜の水彩画、油絵",
    ]


def test_a_space_is_a_phrases_end(short: JapaneseTokenizer) -> None:
    found = parts(short, "富士山 桜並木 水彩画 青空 夕焼け 油絵 肖像画 風景画 静物画")
    assert len(found) > 1 and all(part.startswith(" ") for part in found[1:])


def test_an_early_comma_does_not_leave_the_window_empty(short: JapaneseTokenizer) -> None:
    assert len(parts(short, "猫、" + "富士山の絵と" * 5)[0]) > 10


def test_what_fits_is_not_cut(short: JapaneseTokenizer) -> None:
    assert parts(short, "猫、犬。") == ["猫、犬。"]


@pytest.mark.parametrize("text", ["猫、" * 2000, "猫" * 2000, "( " * 5000])
def test_far_too_long_is_refused(short: JapaneseTokenizer, text: str) -> None:
    with pytest.raises(InvalidInputError, match=f"fit into {MAX_WINDOWS} windows of 16 tokens") as caught:
        cut_into_windows(short, text, "negative_prompt")
    assert caught.value.field == "negative_prompt"


@pytest.mark.parametrize("length", [2, 3])
def test_the_smallest_windows_come_to_an_end(length: int) -> None:
    tokenizer = VOCABULARIES["embedded"]()
    tokenizer.model_max_length = length
    assert "".join(parts(tokenizer, "猫と犬")) == "猫と犬"
