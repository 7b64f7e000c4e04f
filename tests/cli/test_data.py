"""`jsd data`, as a user runs it."""

from pathlib import Path

import pytest

from jsd.cli import main


def test_describe_counts_with_sources_and_licences(
    toy_corpus_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "describe", "--corpus", str(toy_corpus_folder)]) == 0
    counted, japan, unseen, source = capsys.readouterr().out.splitlines()
    assert counted == f"88 pictures of 8 concepts in {toy_corpus_folder}"
    assert japan == "Japan split: 2 concepts"
    assert unseen.endswith("of 64 (concept, style) pairs")
    assert source == "    88 pictures from toys 1, MIT"


def test_a_missing_corpus_is_one_line_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "describe", "--corpus", str(tmp_path / "none")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"jsd data build --corpus {tmp_path / 'none'}" in line


def test_build_refuses_a_folder_that_holds_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letters.txt").write_text("kept")
    assert main(["data", "build", "--corpus", str(tmp_path), "--sources", str(tmp_path / "sources")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsd: corpus must be a new folder")
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


def test_build_without_npm_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    command = ["data", "build", "--corpus", str(tmp_path / "corpus"), "--sources", str(tmp_path / "sources")]
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "npm" in line
    assert not (tmp_path / "corpus").exists()
