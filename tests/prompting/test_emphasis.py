from time import process_time

import pytest

from jsd.errors import InvalidInputError
from jsd.prompting.emphasis import parse_emphasis


def parts(text: str) -> list[tuple[str, float]]:
    """Runs of one weight."""
    source = parse_emphasis(text)
    runs: list[tuple[str, float]] = []
    for character, weight in zip(source.text, source.weights, strict=True):
        if runs and runs[-1][1] == weight:
            runs[-1] = (runs[-1][0] + character, weight)
        else:
            runs.append((character, weight))
    return runs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("猫の絵", [("猫の絵", 1.0)]),
        ("(猫)の絵", [("猫", 1.1), ("の絵", 1.0)]),
        ("(猫:1.2)の絵", [("猫", 1.2), ("の絵", 1.0)]),
        ("(猫:.5)", [("猫", 0.5)]),
        ("(猫:2.)", [("猫", 2.0)]),
        ("(猫:+1.2)と(犬:＋ １。２)", [("猫", 1.2), ("と", 1.0), ("犬", 1.2)]),
        ("[猫]の絵", [("猫", round(1 / 1.1, 6)), ("の絵", 1.0)]),
        ("（猫：１．２）の絵", [("猫", 1.2), ("の絵", 1.0)]),
        ("（猫）の［絵］", [("猫", 1.1), ("の", 1.0), ("絵", round(1 / 1.1, 6))]),
        ("（猫:1.2)", [("猫", 1.2)]),  # widths mixed, as a hasty hand types
        ("(猫 ： １.２　)", [("猫 ", 1.2)]),
        ("((猫))", [("猫", 1.21)]),
        ("(犬と(猫:2):1.5)", [("犬と", 1.5), ("猫", 3.0)]),
        ("([猫])の絵", [("猫の絵", 1.0)]),
        ("()猫", [("猫", 1.0)]),
        ("[猫:0.5]", [("猫:0.5", round(1 / 1.1, 6))]),  # a number belongs to round brackets alone
    ],
)
def test_emphasis(text: str, expected: list[tuple[str, float]]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\(猫\)", "(猫)"),
        (r"\[猫\]", "[猫]"),
        ("＼（猫＼）", "（猫）"),
        ("¥（猫￥）", "（猫）"),
        (r"\\猫", "\\猫"),
        (r"C:\猫", r"C:\猫"),
        ("1:2 と 3：4", "1:2 と 3：4"),
        ("(猫", "(猫"),
        ("猫)", "猫)"),
        ("猫:1.2)", "猫:1.2)"),
        ("(猫]", "(猫]"),
        ("）猫（", "）猫（"),
        (")(", ")("),
        ("猫:-0.5)", "猫:-0.5)"),
    ],
)
def test_ordinary_characters_stay_and_have_no_weight(text: str, plain: str) -> None:
    assert parts(text) == [(plain, 1.0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("((猫)", [("(", 1.0), ("猫", 1.1)]),
        ("(猫[犬)絵]", [("猫[犬", 1.1), ("絵]", 1.0)]),
        ("[(猫]", [("(猫", round(1 / 1.1, 6))]),
        (r"(猫\)犬)", [("猫)犬", 1.1)]),
        (r"\\(猫)", [("\\", 1.0), ("猫", 1.1)]),
    ],
)
def test_a_bracket_without_partner_is_ordinary_and_the_others_work(
    text: str, expected: list[tuple[str, float]]
) -> None:
    assert parts(text) == expected


def test_every_character_knows_its_place_in_what_was_typed() -> None:
    typed = r"（猫：１．５）と\(犬\)"
    source = parse_emphasis(typed)
    assert source.text == "猫と(犬)"
    assert "".join(typed[i] for i in source.origins) == source.text


DEEP = ["(" * 30 + "猫" + ")" * 30, "[" * 30 + "猫" + "]" * 30]


NEGATIVE = [f"（猫：{minus}０．５）" for minus in ["-", "－", "−", "‐", "–", "—", "ー", "ｰ", "- "]]
NO_NUMBERS = ["(猫:0,5)", "（猫：１，５）", "(猫:1.2.3)", "(猫:--1)", "(猫:+ー1)"]


@pytest.mark.parametrize("text", ["(猫:0)", "(猫:11)", "((猫:4):4)", "((猫:-2):-2)", *DEEP, *NEGATIVE, *NO_NUMBERS])
def test_a_weight_out_of_bounds_is_refused(text: str) -> None:
    """And never read as text in brackets: who asks for less would get more."""
    with pytest.raises(InvalidInputError, match="negative prompt") as caught:
        parse_emphasis(text, "negative_prompt")
    assert caught.value.code == "prompt.weight" and caught.value.field == "negative_prompt"


def test_other_characters_take_the_weight_of_those_they_replace() -> None:
    source = parse_emphasis("(苺:2)と檸檬").replace([(0, 1, "いちご"), (2, 4, "レモン")])
    assert source.text == "いちごとレモン"
    assert list(source.weights) == [2.0] * 3 + [1.0] * 4
    assert list(source.origins) == [1, 1, 1, 5, 6, 6, 6]


def test_a_space_that_a_token_covers_takes_nothing_of_its_weight() -> None:
    read = parse_emphasis("猫  (油絵:1.5)")
    assert (read.weight(1, 5), read.weight(1, 3), read.weight(0, 5)) == (1.5, 1.0, pytest.approx(4 / 3))


LENGTH = 100_000
HOSTILE = [
    ":-",
    ":-1",
    ":1,",
    "(",
    ")",
    "[)",
    "(猫:1.1)",
    ":1",
    ": ",
    ":1.1 ",
    "\\",
    "\\(",
    "(]",
    "（：",
    "（［",
    ":1 )",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_time_grows_with_the_length_alone(text: str) -> None:
    began = process_time()
    parse_emphasis(text * (LENGTH // len(text)))
    assert process_time() - began < 2.5, "100,000 characters must not take seconds"


ENDLESS = [":" + " " * LENGTH, ":" + "1" * LENGTH, ":1." + "1" * LENGTH, ":" + "-" * LENGTH, ":1" + " " * LENGTH]


@pytest.mark.parametrize("text", ENDLESS, ids=["spaces", "digits", "decimals", "signs", "spaces behind"])
def test_a_number_that_never_ends_is_looked_at_once(text: str) -> None:
    began = process_time()
    assert parse_emphasis(text).text == text
    assert process_time() - began < 2.5
