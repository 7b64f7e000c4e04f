from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from jsd.atomic import replacing_file, replacing_folder, write_file, write_json, write_text


def test_what_is_written_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    write_json(tmp_path / "folder" / "a.json", {"key": "old"})
    write_text(tmp_path / "folder" / "a.json", "新しい")
    assert (tmp_path / "folder" / "a.json").read_text("utf-8") == "新しい"
    with replacing_folder(tmp_path / "folder") as folder:
        (folder / "b").touch()
        assert (tmp_path / "folder" / "a.json").is_file(), "until it is finished, nothing changes"
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "b"]
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755, "others may read it"


def test_weights_may_be_read_by_others(tmp_path: Path) -> None:
    """safetensors gives them to their owner alone."""
    with replacing_file(tmp_path / "a.safetensors") as file, replacing_folder(tmp_path / "folder") as folder:
        for path in (file, folder / "b.safetensors"):
            save_file({"a": torch.zeros(1)}, path)
            path.chmod(0o600)
    written = [tmp_path / "a.safetensors", tmp_path / "folder" / "b.safetensors"]
    assert [path.stat().st_mode & 0o777 for path in written] == [0o644] * 2


def test_what_cannot_be_written_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    write_json(tmp_path / "folder" / "a.json", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "folder" / "a.json", "half " * 10_000 + "\udc00")
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "folder", b"new")
    with pytest.raises(KeyboardInterrupt), replacing_folder(tmp_path / "folder") as folder:
        (folder / "b").touch()
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "a.json"]
    assert (tmp_path / "folder" / "a.json").read_text() == '"old"\n'
