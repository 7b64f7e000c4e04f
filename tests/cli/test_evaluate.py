"""`jsd evaluate`, as a user runs it."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cli.conftest import Jsd
from jsd import GeneratedImage, Pipeline, SamplingOptions
from jsd.training.corpora.shards import import_pictures


@pytest.fixture
def command(toy_folder: Path, toy_corpus_folder: Path, tmp_path: Path) -> list[str]:
    model = ["--weights", str(toy_folder), "--corpus", str(toy_corpus_folder)]
    return ["evaluate", *model, "--split", "dev", "--num-inference-steps", "1", "--output", str(tmp_path / "out")]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_it_writes_the_report_and_prints_its_table(
    language: str, jsd: Jsd, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    accuracy, styles, chance, _, path = jsd(command, "--language", language).out
    report = json.loads(Path(path).read_text("utf-8"))
    assert (report["language"], report["split"], Path(path)) == (language, "dev", tmp_path / "out" / "report.json")
    for row, line in (("accuracy", accuracy), ("styles", styles), ("chance", chance)):
        assert line.isascii() == (language == "en")
        for cell in report[row].values():
            assert f"{cell['top1']} / {cell['top5']} ({cell['drawings']})" in line
    assert (tmp_path / "out" / "contact_sheet.png").is_file()


def test_what_cannot_be_evaluated_is_one_line(jsd: Jsd, command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert jsd(command, "--corpus", tmp_path / "none").refuses("jsd data build")
    assert jsd(command, "--output", tmp_path / "file" / "report").refuses("output", str(tmp_path / "file"))
    assert jsd(command, "--seeds", 0).refuses("seeds")
    assert jsd(command, "--scorer", tmp_path / "scorer").refuses("scorer", "leave it out")
    assert jsd(command, "--lora", tmp_path / "a.safetensors", "--scorer", tmp_path / "scorer").refuses("scorer")
    assert jsd(command, "--lora", tmp_path / "a.safetensors").refuses("a.safetensors"), "before its pictures are read"
    (tmp_path / "prompts.txt").write_bytes("猫\n犬\n".encode("cp932"))
    for scorer in ([], ["--scorer", tmp_path / "scorer"]):
        assert jsd(command, "--prompts", tmp_path / "none.txt", *scorer).refuses("prompts", "none.txt")
        assert jsd(command, "--prompts", tmp_path / "prompts.txt", *scorer).refuses("prompts", "UTF-8")


@pytest.mark.parametrize("has_corpus", [False, True])
def test_anybodys_prompts_are_judged_by_a_scorer_whatever_the_corpus(
    has_corpus: bool, jsd: Jsd, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each prompt's drawings look as the scorer says that it should, all of them are found."""
    lines = ["# group: prompt = emoji", "nouns: 猫 = 🐱\ta cat", "nouns: ネコ", "", "two: 犬と猫 = 🐶 | 🐱\tboth", "猫"]
    (tmp_path / "prompts.txt").write_text("\n".join(lines), "utf-8")
    names = ["猫", "ネコ", "犬と猫"]
    if has_corpus:  # as jsd data import writes one
        import_pictures([], {}, tmp_path / "none", lambda read: None)
    asked: list[str] = []

    def remember(self: Pipeline, options: SamplingOptions, **values: object) -> list[GeneratedImage]:
        asked.append(options.prompt)
        return generate(self, options, **values)  # type: ignore[arg-type]

    generate = Pipeline.generate
    scorer = SimpleNamespace(
        name="told",
        text_features=lambda texts: torch.eye(3)[[names.index(one) for one in texts]],
        image_features=lambda images: torch.eye(3)[[names.index(asked[-1])]],
    )
    monkeypatch.setattr(Pipeline, "generate", remember)
    monkeypatch.setattr("jsd.scoring.load_scorer", lambda folder: scorer)
    command = [
        "evaluate",
        "--weights",
        toy_folder,
        "--prompts",
        tmp_path / "prompts.txt",
        "--corpus",
        tmp_path / "none",
    ]
    said = jsd(command, "--num-inference-steps", 1, "--seeds", 2, "--output", tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert said.code == 0 and [line.split(":")[0] for line in said.out[:-1]] == ["all", "nouns", "two"]
    assert {group: one["drawings"] for group, one in report["groups"].items()} == {"all": 8, "nouns": 4, "two": 2}
    assert report["different_prompts"] == 3 and report["groups"]["all"]["top1"] == 100
    assert report["groups"]["two"]["similarity"] == 1 and report["groups"]["two"]["to_other_captions"] == 0
    (tmp_path / "prompts.txt").write_text("猫", "utf-8")
    assert jsd(command).refuses("prompts", "two different")
