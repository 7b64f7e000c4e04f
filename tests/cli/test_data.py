"""`jsd data`, as a user runs it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cli.conftest import Jsd
from jsd.training.corpora.concepts import Concept
from jsd.training.corpora.corpus import Corpus
from jsd.training.evaluation.prompt_sets import GROUPS, make_prompts


def test_describe_counts_with_sources_and_licences(jsd: Jsd, toy_corpus_folder: Path) -> None:
    counted, japan, sounds, unseen, *prompts, source = jsd("data", "describe", toy_corpus_folder).out
    assert jsd("data", "describe", "--corpus", toy_corpus_folder).out[0] == counted
    assert counted.startswith("88 pictures of 8 concepts") and unseen.endswith("of 64 (concept, style) pairs")
    assert [line.split(": ")[1] for line in (japan, sounds)] == ["2 concepts", "3 concepts"]
    assert [line.split(": ")[0].split(", ")[1] for line in prompts] == list(GROUPS)
    assert source.split() == ["88", "pictures", "from", "toys", "1,", "MIT"]


def test_describe_counts_prompts_of_the_test_split_and_the_concepts_that_are_right(
    jsd: Jsd, toy_corpus: Corpus, tmp_path: Path
) -> None:
    """Each sound word here fits two concepts."""
    listed = [
        Concept(chr(0x1F300 + n), "Toys", f"名{n}", f"name {n}", (), (), False, (f"音{n // 2}",)) for n in range(40)
    ]
    replace(toy_corpus, concepts={concept.code: concept for concept in listed}).save(tmp_path / "corpus")
    (line,) = (one for one in jsd("data", "describe", "--corpus", tmp_path / "corpus").out if "onomatopoeia" in one)
    words = [p for p in make_prompts(Corpus.load(tmp_path / "corpus"), "ja", "test") if p.group == "onomatopoeia"]
    assert 0 < len(words) < 20, "the other words are of the dev split"
    assert line.endswith(f": {len(words)} for {2 * len(words)} concepts")


@pytest.mark.parametrize("name", ["records.jsonl", "concepts.json", "pictures.npy", None])
@pytest.mark.parametrize("damage", ["cut", "empty", "a line too few"])
def test_a_damaged_or_missing_corpus_is_one_line_with_the_command(
    jsd: Jsd, toy_corpus_folder: Path, tmp_path: Path, name: str | None, damage: str
) -> None:
    folder = tmp_path / "corpus"
    if name is not None:
        shutil.copytree(toy_corpus_folder, folder)
        data = (folder / name).read_bytes()
        left = {"cut": data[: len(data) // 2], "empty": b"", "a line too few": data[: data[:-1].rfind(b"\n") + 1]}
        (folder / name).write_bytes(left[damage])
    assert jsd("data", "describe", "--corpus", folder).refuses(f"jsd data build --corpus {folder}")


def test_build_refuses_a_folder_that_holds_something_else(jsd: Jsd, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("kept")
    assert jsd("data", "build", "--corpus", tmp_path, "--sources", tmp_path / "sources").refuses("corpus")
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]


@pytest.mark.parametrize("field", ["corpus", "sources"])
def test_build_into_a_file_is_refused_before_the_work(jsd: Jsd, tmp_path: Path, field: str) -> None:
    (tmp_path / "file").write_text("mine")
    folders = {"corpus": tmp_path / "corpus", "sources": tmp_path / "sources", field: tmp_path / "file" / "x"}
    assert jsd("data", "build", "--corpus", folders["corpus"], "--sources", folders["sources"]).refuses(field)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_build_without_npm_is_one_line(jsd: Jsd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = jsd("data", "build", "--corpus", tmp_path / "corpus", "--sources", tmp_path / "sources")
    assert said.refuses("npm") and not (tmp_path / "corpus").exists()
