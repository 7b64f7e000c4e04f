from pathlib import Path

import pytest

from jsd.atomic import write_file, write_text


def test_what_is_written_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    write_text(tmp_path / "a.json", "新しい")
    assert (tmp_path / "a.json").read_text("utf-8") == "新しい"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "a.json", "half " * 10_000 + "\udc00")
    assert (tmp_path / "a.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_nothing_is_left_beside_a_name_that_cannot_be_taken(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "folder", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
