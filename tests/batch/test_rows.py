import json
import os
from pathlib import Path

import pytest

from jsd import SamplingOptions
from jsd.batch.ray_engine import _with_absolute_paths
from jsd.batch.rows import Row, read_rows
from jsd.errors import InvalidInputError
from jsd.rules import MAX_CHARACTERS


def read(folder: Path, name: str, content: str | bytes) -> tuple[list[Row], dict[int, InvalidInputError]]:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(folder / name)


def good(folder: Path, name: str, content: str | bytes) -> list[Row]:
    rows, wrong = read(folder, name, content)
    assert wrong == {}
    return rows


@pytest.mark.parametrize(
    ("name", "content", "numbers"),
    [
        ("a.jsonl", '{"prompt": "猫、犬", "seed": 3, "guidance_scale": 2.5}\n\n{"prompt": "富士山"}\n', [1, 3]),
        ("a.csv", 'prompt,seed,guidance_scale\r\n"猫、犬",3,2.5\r\n,,\r\n富士山,,\r\n', [2, 4]),
    ],
)
def test_a_row_is_sampling_options(name: str, content: str, numbers: list[int], tmp_path: Path) -> None:
    rows = good(tmp_path, name, content)
    found = [(row.options.prompt, row.options.seed, row.options.guidance_scale) for row in rows]
    assert found == [("猫、犬", 3, 2.5), ("富士山", None, None)] and [row.number for row in rows] == numbers


def test_a_text_file_is_one_prompt_a_line(tmp_path: Path) -> None:
    rows = good(tmp_path, "a.txt", "猫 油絵\r\n\n  富士山  \n")
    assert [(row.number, row.options.prompt) for row in rows] == [(1, "猫 油絵"), (3, "富士山")]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", "prompt\n猫\n"), ("a.txt", "猫\n"), ("a.jsonl", '{"prompt": "猫"}\n')]
)
def test_a_byte_order_mark_is_no_part_of_the_text(encoding: str, name: str, content: str, tmp_path: Path) -> None:
    assert [row.options.prompt for row in good(tmp_path, name, content.encode(encoding))] == ["猫"]


def test_a_csv_cell_may_hold_commas_quotes_and_lines_and_a_long_prompt(tmp_path: Path) -> None:
    long = "猫" * 9_000
    rows = good(tmp_path, "a.csv", f'prompt\n"a, ""b""\nc"\n{long}\n')
    assert [(row.number, row.options.prompt) for row in rows] == [(2, 'a, "b"\nc'), (3, long)]


@pytest.mark.parametrize(
    ("name", "line", "field"),
    [
        ("a.jsonl", '{"prompt": "猫", "steps": 3}', "steps"),
        ("a.jsonl", '{"prompt": "猫", "seed": -1}', "seed"),
        ("a.jsonl", '{"prompt": "猫", "seed": ' + "9" * 5_000 + "}", "options"),
        ("a.jsonl", '{"prompt": "猫", "prompt": "犬"}', "prompt"),
        ("a.jsonl", '{"seed": 1}', "prompt"),
        ("a.jsonl", '{"prompt": "猫"', "options"),
        ("a.jsonl", '["猫"]', "options"),
        ("a.jsonl", "[" * 100_000, "options"),
        ("a.csv", "猫,many", "seed"),
        ("a.csv", "猫,1.5", "seed"),
        ("a.csv", "猫,-1", "seed"),
        ("a.csv", "猫,1,more", "row"),
        ("a.csv", "猫" * 350_000, "prompt"),
    ],
    ids=[
        "unknown",
        "range",
        "digits",
        "twice",
        "none",
        "cut",
        "list",
        "nested",
        "text",
        "fraction",
        "negative",
        "cells",
        "megabyte",
    ],
)
def test_a_bad_row_is_named_in_one_line_and_the_others_stay(name: str, line: str, field: str, tmp_path: Path) -> None:
    before, after = ("prompt,seed\na,1\n", "b,2\n") if name == "a.csv" else ('{"prompt": "a"}\n', '{"prompt": "b"}')
    rows, wrong = read(tmp_path, name, f"{before}{line}\n{after}")
    assert [row.options.prompt for row in rows] == ["a", "b"]
    (number, error), *_ = wrong.items()
    assert rows[0].number + 1 == number == rows[1].number - 1
    assert error.field == field and "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "prompt,steps\n猫,3\n", "steps"),
        ("a.csv", "seed\n3\n", "prompt"),
        ("a.csv", "prompt,seed,seed\n猫,1,2\n", "seed stands twice"),
        ("a.csv", 'prompt\n"' + "a" * 2**20 + "a", "row 2 of"),
        ("a.csv", 'prompt,seed\n"猫、犬",1\n"桜,1\n雲,2\n', "row 3 of"),
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
        read(tmp_path, name, content)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    for name in ("nowhere.jsonl", ".", "folder.csv", "pipe.csv", "endless.txt"):
        with pytest.raises(InvalidInputError):
            read_rows(tmp_path / name)


def test_keys_follow_the_request_not_its_place_or_form_and_equal_rows_have_different_ones(tmp_path: Path) -> None:
    first, second = good(tmp_path, "a.jsonl", '{"prompt": "猫", "seed": 1}\n{"prompt": "犬"}')
    assert [row.key for row in good(tmp_path, "b.csv", "seed,prompt\n,犬\n1,猫\n")] == [second.key, first.key]
    keys = {row.key for row in good(tmp_path, "a.txt", "猫\n猫\n猫\n")}
    assert len(keys) == 3 and keys < {row.key for row in good(tmp_path, "a.txt", "猫\n犬\n猫\n猫\n")}


def test_what_all_rows_ask_for_is_part_of_what_each_asks_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("猫\n", "utf-8")
    (plain,), (bare,), (styled,) = (
        read_rows(tmp_path / "a.txt", *asked)[0] for asked in ((), ({}, {"no_metadata": True}), ({"style": "油絵"},))
    )
    assert len({plain.key, bare.key, styled.key}) == 3 and styled.options.style == "油絵"
    (tmp_path / "b.jsonl").write_text('{"prompt": "猫", "style": "水彩画"}\n{"prompt": "猫"}\n', "utf-8")
    rows, _wrong = read_rows(tmp_path / "b.jsonl", {"style": "油絵"})
    assert [row.options.style for row in rows] == ["水彩画", "油絵"] and rows[1].key == styled.key


def test_another_file_of_the_same_name_asks_for_another_picture(tmp_path: Path) -> None:
    row = json.dumps({"prompt": "猫", "image": "photo.png"})
    keys = []
    for content in (b"one", b"other", b"one", None):
        photo = tmp_path / "photo.png"
        photo.unlink(missing_ok=True)
        if content is not None:
            photo.write_bytes(content)
        keys += [one.key for one in good(tmp_path, "a.jsonl", row)]
    assert keys[0] == keys[2] and len(set(keys)) == 3
    lora = tmp_path / "cat.safetensors"
    row = json.dumps({"prompt": "猫", "loras": [f"{lora}:0.7"]})
    keys = []
    for data in (b"one", b"other"):
        lora.write_bytes(data)
        keys += [one.key for one in good(tmp_path, "a.jsonl", row)]
    assert len(set(keys)) == 2


def test_pictures_are_looked_for_beside_the_file(tmp_path: Path) -> None:
    row = {"prompt": "猫", "image": "in/a.png", "mask": "/m.png"}
    (found,) = good(tmp_path, "a.jsonl", json.dumps(row))
    assert (found.options.image, found.options.mask) == (tmp_path / "in" / "a.png", Path("/m.png"))


def test_a_prompt_that_is_too_long_is_its_rows_mistake(tmp_path: Path) -> None:
    rows, wrong = read(tmp_path, "a.txt", f"猫\n{'猫' * (MAX_CHARACTERS + 1)}\n")
    assert [row.options.prompt for row in rows] == ["猫"] and wrong[2].field == "prompt"


def test_every_file_of_a_row_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's working folder is another."""
    monkeypatch.chdir(tmp_path)
    options = SamplingOptions(prompt="猫", image=Path("a.png"), mask=Path("b.png"), loras=("c.safetensors:0.7",))
    found = _with_absolute_paths(Row(number=1, key="k", options=options)).options
    assert (found.image, found.mask) == (tmp_path / "a.png", tmp_path / "b.png")
    assert found.loras == (f"{tmp_path}/c.safetensors:0.7",)
