import json
import os
from pathlib import Path

import pytest

from jsd.batch.rows import BadRow, Row, read_rows
from jsd.errors import InvalidInputError


def rows_of(folder: Path, name: str, content: str | bytes) -> list[Row | BadRow]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(folder / name)


def good(row: Row | BadRow) -> Row:
    assert isinstance(row, Row), row
    return row


def bad(row: Row | BadRow) -> InvalidInputError:
    assert isinstance(row, BadRow), row
    return row.error


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"prompt": "猫、犬", "seed": 3, "guidance_scale": 2.5}\n\n{"prompt": "富士山"}\n'),
        ("a.csv", 'prompt,seed,guidance_scale\r\n"猫、犬",3,2.5\r\n,,\r\n富士山,,\r\n'),
    ],
)
def test_a_row_is_sampling_options(name: str, content: str, tmp_path: Path) -> None:
    first, second = map(good, rows_of(tmp_path, name, content))
    assert (first.options.prompt, first.options.seed, first.options.guidance_scale) == ("猫、犬", 3, 2.5)
    assert (second.options.prompt, second.options.seed, second.options.guidance_scale) == ("富士山", None, None)


def test_a_text_file_is_one_prompt_a_line(tmp_path: Path) -> None:
    rows = [good(row) for row in rows_of(tmp_path, "a.txt", "猫 油絵\r\n\n  富士山  \n")]
    assert [(row.number, row.options.prompt) for row in rows] == [(1, "猫 油絵"), (3, "富士山")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "prompt\n猫\n"), ("a.txt", "猫\n"), ("a.jsonl", '{"prompt": "猫"}\n')]
)
def test_a_byte_order_mark_is_no_part_of_the_text(encoding: str, name: str, content: str, tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, name, content.encode(encoding))
    assert good(row).options.prompt == "猫"


def test_a_csv_cell_may_hold_commas_quotes_and_lines_and_a_long_prompt(tmp_path: Path) -> None:
    long = "猫" * 9_000
    first, second = rows_of(tmp_path, "a.csv", f'prompt\n"a, ""b""\nc"\n{long}\n')
    assert good(first).options.prompt == 'a, "b"\nc'
    assert (good(second).number, good(second).options.prompt) == (3, long)


def test_a_cell_of_a_megabyte_is_its_rows_mistake(tmp_path: Path) -> None:
    first, second = rows_of(tmp_path, "a.csv", f"prompt\n{'猫' * 350_000}\n犬\n")
    assert bad(first).field == "prompt" and good(second).options.prompt == "犬"


def test_a_cell_without_an_end_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"row 2 of .*a\.csv"):
        rows_of(tmp_path, "a.csv", 'prompt\n"' + "a" * 2**20 + "a")


def test_a_quote_that_is_not_closed_does_not_swallow_the_rows_below(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"row 3 of .*a\.csv is not: unexpected end of data; close its quotes"):
        rows_of(tmp_path, "a.csv", 'prompt,seed\n"猫、犬",1\n"桜,1\n雲,2\n')


def test_what_all_rows_ask_for_is_part_of_what_each_asks_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("猫\n", "utf-8")
    keys = {good(read_rows(tmp_path / "a.txt", output=output)[0]).key for output in ({}, {"output_format": "webp"})}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ('{"prompt": "猫", "steps": 3}', "steps"),
        ('{"prompt": "猫", "seed": -1}', "seed"),
        ('{"prompt": "猫", "prompt": "犬"}', "prompt"),
        ('{"seed": 1}', "prompt"),
        ('{"prompt": "猫"', "options"),
        ('["猫"]', "options"),
        ("[" * 100_000, "options"),
    ],
    ids=["unknown", "range", "twice", "no prompt", "cut", "no object", "nested"],
)
def test_a_bad_json_row_is_named_and_the_others_stay(line: str, field: str, tmp_path: Path) -> None:
    first, second, third = rows_of(tmp_path, "a.jsonl", f'{{"prompt": "a"}}\n{line}\n{{"prompt": "b"}}')
    assert good(first).options.prompt == "a" and good(third).number == 3
    assert second.number == 2 and bad(second).field == field and "\n" not in str(bad(second))


@pytest.mark.parametrize(
    ("cells", "field"), [("猫,many", "seed"), ("猫,1.5", "seed"), ("猫,-1", "seed"), ("猫,1,more", "row")]
)
def test_a_bad_csv_row_is_named_and_the_others_stay(cells: str, field: str, tmp_path: Path) -> None:
    first, second = rows_of(tmp_path, "a.csv", f"prompt,seed\n{cells}\n犬,2\n")
    assert first.number == 2 and bad(first).field == field
    assert good(second).options.seed == 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "prompt,steps\n猫,3\n", "steps"),
        ("a.csv", "seed\n3\n", "prompt"),
        ("a.csv", "prompt,seed,seed\n猫,1,2\n", "seed stands twice"),
        ("a.csv", "", "at least one row"),
        ("a.csv", "prompt\n", "at least one row"),
        ("a.jsonl", "\n \n", "at least one row"),
        ("a.txt", b"\xef\xbb\xbf", "at least one row"),
        ("a.csv", "prompt\n猫\n".encode("shift_jis"), "CSV UTF-8"),
        ("a.xlsx", "", ".jsonl, .csv, .txt"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_refused_in_one_line(
    name: str, content: str | bytes, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        rows_of(tmp_path, name, content)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.jsonl", ".", "folder.csv", "pipe.jsonl", "endless.txt"])
def test_a_file_that_is_not_there_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    with pytest.raises(InvalidInputError):
        read_rows(tmp_path / name)


def test_keys_follow_the_request_not_its_place_or_form(tmp_path: Path) -> None:
    first, second = map(good, rows_of(tmp_path, "a.jsonl", '{"prompt": "猫", "seed": 1}\n{"prompt": "犬"}'))
    moved = map(good, rows_of(tmp_path, "b.csv", "seed,prompt\n,犬\n1,猫\n"))
    assert [row.key for row in moved] == [second.key, first.key]


def test_equal_rows_have_different_keys(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "a.txt", "猫\n猫\n猫\n")
    assert len({good(row).key for row in rows}) == 3
    again = rows_of(tmp_path, "a.txt", "猫\n犬\n猫\n猫\n")
    assert {good(row).key for row in rows} < {good(row).key for row in again}


def test_pictures_are_looked_for_beside_the_file(tmp_path: Path) -> None:
    row = {"prompt": "猫", "image": "in/a.png", "mask": "/m.png"}
    options = good(rows_of(tmp_path, "a.jsonl", json.dumps(row))[0]).options
    assert (options.image, options.mask) == (tmp_path / "in" / "a.png", Path("/m.png"))


def test_a_row_takes_from_the_command_what_it_does_not_name(tmp_path: Path) -> None:
    lines = [{"prompt": "猫"}, {"prompt": "猫", "style": "線画"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    taken, named = read_rows(tmp_path / "a.jsonl", {"style": "油絵"})
    assert (good(taken).options.style, good(named).options.style) == ("油絵", "線画")
    (written,) = rows_of(tmp_path, "b.jsonl", json.dumps({"prompt": "猫", "style": "油絵"}))
    assert good(taken).key == good(written).key
