"""`jsd evaluate`, as a user runs it."""

import json
from pathlib import Path

import pytest

from cli.conftest import Jsd


@pytest.fixture
def command(toy_folder: Path, toy_corpus_folder: Path, tmp_path: Path) -> list[str]:
    model = ["--weights", str(toy_folder), "--corpus", str(toy_corpus_folder)]
    return ["evaluate", *model, "--split", "dev", "--num-inference-steps", "1", "--output", str(tmp_path / "out")]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_writes_the_report_and_prints_its_table(
    language: str, jsd: Jsd, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    accuracy, chance, _, path = jsd(command, "--language", language).out
    report = json.loads(Path(path).read_text("utf-8"))
    assert (report["language"], report["split"], Path(path)) == (language, "dev", tmp_path / "out" / "report.json")
    for row, line in (("accuracy", accuracy), ("chance", chance)):
        assert line.isascii() == (language == "en")
        for cell in report[row].values():
            assert f"{cell['top1']} / {cell['top5']} ({cell['drawings']})" in line
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_what_cannot_be_evaluated_is_one_line(jsd: Jsd, command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert jsd(command, "--corpus", tmp_path / "none").refuses("jsd data build")
    assert jsd(command, "--output", tmp_path / "file" / "report").refuses("output", str(tmp_path / "file"))
    assert jsd(command, "--seeds", 0).refuses("seeds")
