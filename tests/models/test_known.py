"""What is found out of a folder's files once, and remembered for as long as they stay."""

import os
from pathlib import Path

import pytest

from jsd.models.known import Known


def test_a_file_whose_name_is_no_text_keeps_nothing_from_being_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a ZIP of Windows leaves it on Linux."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("jsd.models.known.SETTLED_SECONDS", -1)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / os.fsdecode(b"\x93\xc7.txt")).write_text("a")
    Known(folder).put("fact", 1)
    assert Known(folder).get("fact") == 1
    (folder / os.fsdecode(b"\x93\xc7.txt")).write_text("ab")
    assert Known(folder).get("fact") is None
