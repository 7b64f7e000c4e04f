"""Japanese letters are two columns wide, and a line of them may end nearly anywhere."""

import pytest

from jsd.cli.columns import aligned, width, wrapped


def test_a_japanese_letter_is_two_columns_wide() -> None:
    assert [width(text) for text in ("seed", "猫", "（猫）", "ｱ", "")] == [4, 2, 6, 1, 0]


def test_values_stand_below_each_other() -> None:
    lines = aligned([("ファイル", "PNG"), ("seed", "0")]).splitlines()
    assert lines == ["ファイル  PNG", "seed      0"]


def test_no_line_is_longer_than_asked_and_nothing_is_lost() -> None:
    text = "モデルフォルダー（未指定なら JSD_WEIGHTS、weights/rinna、mini の順）。Picture i uses seed + i."
    for columns in range(24, 80):
        lines = wrapped(text, columns)
        assert max(map(width, lines)) <= columns
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_english_is_broken_between_words() -> None:
    assert wrapped("White is repainted, black\n  stays.", 14) == ["White is", "repainted,", "black stays."]


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("猫と、犬", 4, ["猫", "と、", "犬"]),
        ("a b、c", 3, ["a", "b、", "c"]),
        ("猫フォト", 4, ["猫", "フォ", "ト"]),
        ("猫犬（鳥）", 6, ["猫犬", "（鳥）"]),
    ],
)
def test_a_mark_stays_with_its_letter(text: str, columns: int, lines: list[str]) -> None:
    assert wrapped(text, columns) == lines
