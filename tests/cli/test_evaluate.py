"""`jsd evaluate`, as a user runs it."""

import json
from pathlib import Path

import pytest

from jsd.cli import main


def test_it_writes_the_report_and_prints_its_table(
    toy_folder: Path, toy_corpus_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [
        "evaluate",
        "--weights",
        str(toy_folder),
        "--corpus",
        str(toy_corpus_folder),
        "--split",
        "dev",
        "--language",
        "en",
        "--num-inference-steps",
        "1",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(command) == 0
    accuracy, chance, path = capsys.readouterr().out.splitlines()
    report = json.loads(Path(path).read_text("utf-8"))
    assert Path(path) == tmp_path / "out" / "report.json"
    assert (report["language"], report["split"]) == ("en", "dev")
    for row, line in (("accuracy", accuracy), ("chance", chance)):
        for group, cell in report[row].items():
            assert f"{group} {cell['top1']} / {cell['top5']} ({cell['drawings']})" in line
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_its_table_is_in_the_users_language(
    toy_folder: Path,
    toy_corpus_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("JSD_LANG", "ja")
    command = [
        "evaluate",
        "--weights",
        str(toy_folder),
        "--corpus",
        str(toy_corpus_folder),
        "--split",
        "dev",
        "--num-inference-steps",
        "1",
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(command) == 0
    accuracy, chance, _ = capsys.readouterr().out.splitlines()
    assert accuracy.startswith("正答率、") and chance.startswith("偶然による正答率、")


def test_a_missing_corpus_is_one_line_with_the_command(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--weights", str(toy_folder), "--corpus", str(tmp_path / "none")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "jsd data build" in line


def test_an_output_that_is_a_file_is_refused_before_the_drawing(
    toy_folder: Path, toy_corpus_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    command = ["evaluate", "--weights", str(toy_folder), "--corpus", str(toy_corpus_folder)]
    assert main([*command, "--output", str(tmp_path / "out" / "report")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsd: output must be a folder") and str(tmp_path / "out") in line


def test_no_seeds_are_refused(toy_folder: Path, toy_corpus_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "--weights", str(toy_folder), "--corpus", str(toy_corpus_folder), "--seeds", "0"]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsd: seeds must be a whole number from 1")
