"""`jsd data`, as a user runs it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from jsd.cli import main
from jsd.training.corpora.concepts import Concept
from jsd.training.corpora.corpus import Corpus
from jsd.training.evaluation.prompts import GROUPS, make_prompts


def test_describe_counts_with_sources_and_licences(toy_corpus_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "describe", "--corpus", str(toy_corpus_folder)]) == 0
    counted, japan, sounds, unseen, *prompts, source = capsys.readouterr().out.splitlines()
    assert counted == f"88 pictures of 8 concepts in {toy_corpus_folder}"
    assert japan == "Japan split: 2 concepts"
    assert sounds == "sound words: 3 concepts"
    assert unseen.endswith("of 64 (concept, style) pairs")
    assert [line.split(": ")[0] for line in prompts] == [f"prompts of the test split, {group}" for group in GROUPS]
    assert source == "    88 pictures from toys 1, MIT"


def test_describe_counts_prompts_of_the_test_split_and_the_concepts_that_are_right(
    toy_corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each sound word here fits two concepts."""
    listed = [
        Concept(chr(0x1F300 + n), "Toys", f"名{n}", f"name {n}", (), (), False, (f"音{n // 2}",)) for n in range(40)
    ]
    replace(toy_corpus, concepts={concept.code: concept for concept in listed}).save(tmp_path / "corpus")
    assert main(["data", "describe", "--corpus", str(tmp_path / "corpus")]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "onomatopoeia" in line)
    words = [p for p in make_prompts(Corpus.load(tmp_path / "corpus"), "ja", "test") if p.group == "onomatopoeia"]
    assert 0 < len(words) < 20, "the other words are of the dev split"
    assert line == f"prompts of the test split, onomatopoeia: {len(words)} for {2 * len(words)} concepts"


@pytest.mark.parametrize(("language", "reason"), [("en", "87 records, 88 pictures"), ("ja", "記録 87 件、画像 88 枚")])
def test_a_corpus_that_lost_a_record_says_so_in_the_users_language(
    language: str,
    reason: str,
    toy_corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    toy_corpus.save(tmp_path)
    lines = (tmp_path / "records.jsonl").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "records.jsonl").write_text("".join(lines[1:]), "utf-8")
    assert main(["data", "describe", "--corpus", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert reason in line


def test_a_missing_corpus_is_one_line_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "describe", "--corpus", str(tmp_path / "none")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"jsd data build --corpus {tmp_path / 'none'}" in line


def test_build_refuses_a_folder_that_holds_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letters.txt").write_text("kept")
    assert main(["data", "build", "--corpus", str(tmp_path), "--sources", str(tmp_path / "sources")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsd: corpus must be a new folder")
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


@pytest.mark.parametrize(("option", "field"), [("--corpus", "corpus"), ("--sources", "sources")])
def test_build_into_a_file_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, field: str
) -> None:
    (tmp_path / "file").write_text("mine")
    folders = {"--corpus": tmp_path / "corpus", "--sources": tmp_path / "sources", option: tmp_path / "file" / "x"}
    assert main(["data", "build", *[str(word) for pair in folders.items() for word in pair]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jsd: {field} must be a folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["records.jsonl", "concepts.json", "pictures.npy"])
@pytest.mark.parametrize("damage", ["cut", "empty", "a line too few"])
def test_a_damaged_corpus_is_one_line_with_the_command(
    toy_corpus_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: str
) -> None:
    folder = shutil.copytree(toy_corpus_folder, tmp_path / "corpus")
    data = (folder / name).read_bytes()
    left = {"cut": data[: len(data) // 2], "empty": b"", "a line too few": data[: data[:-1].rfind(b"\n") + 1]}
    (folder / name).write_bytes(left[damage])
    assert main(["data", "describe", "--corpus", str(folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is damaged" in line and f"jsd data build --corpus {folder}" in line


def test_build_without_npm_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    command = ["data", "build", "--corpus", str(tmp_path / "corpus"), "--sources", str(tmp_path / "sources")]
    assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "npm" in line
    assert not (tmp_path / "corpus").exists()
