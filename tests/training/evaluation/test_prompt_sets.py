"""Prompts: four groups, two splits that share nothing, the same ones in every language."""

from collections import Counter
from pathlib import Path

import pytest

from jsd.errors import InvalidInputError
from jsd.training.batches import training_records
from jsd.training.corpora.concepts import Concept
from jsd.training.corpora.corpus import Corpus, is_unseen
from jsd.training.corpora.styles import CORPUS_STYLES
from jsd.training.evaluation.own import read_texts
from jsd.training.evaluation.prompt_sets import MAX_PROMPTS_PER_GROUP, SPLITS, Prompt, make_prompts, read_prompts

Key = tuple[str, frozenset[str], str | None]


def keys(prompts: list[Prompt]) -> set[Key]:
    return {(prompt.group, prompt.right, prompt.style) for prompt in prompts}


def both_splits(corpus: Corpus, language: str = "ja") -> list[Prompt]:
    return [prompt for split in SPLITS for prompt in make_prompts(corpus, language, split)]


@pytest.fixture(scope="module")
def big() -> Corpus:
    """Four hundred concepts; no pictures, which prompts do not need."""
    concepts = [
        Concept(chr(0x1F300 + n), "Toys", f"名{n}", f"name {n}", (f"語{n}",), (), n % 2 == 0, ()) for n in range(400)
    ]
    return Corpus(None, [], {concept.code: concept for concept in concepts})  # type: ignore[arg-type]


def test_the_splits_share_no_prompt(big: Corpus) -> None:
    dev, test = (keys(make_prompts(big, "ja", split)) for split in SPLITS)
    assert dev and test and not dev & test


def test_two_of_three_prompts_are_for_reporting(big: Corpus) -> None:
    assert 0.55 < len(make_prompts(big, "ja", "test")) / len(both_splits(big)) < 0.8


def test_a_split_is_the_same_in_both_languages(big: Corpus, toy_corpus: Corpus) -> None:
    for corpus in (big, toy_corpus):
        for split in SPLITS:
            assert keys(make_prompts(corpus, "ja", split)) == keys(make_prompts(corpus, "en", split))


def test_prompts_are_the_same_at_every_call(big: Corpus) -> None:
    assert make_prompts(big, "ja", "test") == make_prompts(big, "ja", "test")


def test_a_group_has_a_limit(big: Corpus) -> None:
    counts = Counter(prompt.group for prompt in both_splits(big))
    assert counts["general"] == counts["unseen"] == MAX_PROMPTS_PER_GROUP


def test_general_and_japan_ask_by_the_short_name(toy_corpus: Corpus) -> None:
    asked = {p.text: p for p in both_splits(toy_corpus) if p.group in ("general", "japan")}
    assert asked["猫"].right == frozenset(["1f408"])
    assert (asked["猫"].group, asked["富士山"].group) == ("general", "japan")
    assert asked.keys() == {concept.name_ja for concept in toy_corpus.concepts.values()}


def test_onomatopoeia_ask_by_the_keyword_and_all_its_concepts_are_right(toy_corpus: Corpus) -> None:
    asked = {p.text: p.right for p in both_splits(toy_corpus) if p.group == "onomatopoeia"}
    assert asked == {"サラリーマン": frozenset(["1f9d1-200d-1f4bc"]), "キラキラ": frozenset(["2728", "1f31f"])}


def test_onomatopoeia_never_ask_by_the_short_name_of_a_right_answer(toy_corpus: Corpus) -> None:
    for prompt in both_splits(toy_corpus):
        if prompt.group == "onomatopoeia":
            assert prompt.text not in {toy_corpus.concepts[code].name_ja for code in prompt.right}


def test_unseen_prompts_are_of_pairs_that_training_never_shows(toy_corpus: Corpus) -> None:
    shown = {(record.code, record.style) for record in training_records(toy_corpus, with_japan=True)}
    asked = [prompt for prompt in both_splits(toy_corpus) if prompt.group == "unseen"]
    assert asked
    for prompt in asked:
        (code,) = prompt.right
        assert prompt.style is not None
        assert is_unseen(code, prompt.style) and (code, prompt.style) not in shown


@pytest.mark.parametrize("language", ["ja", "en"])
def test_unseen_prompts_name_concept_and_style(toy_corpus: Corpus, language: str) -> None:
    for prompt in both_splits(toy_corpus, language):
        if prompt.style is not None:
            (code,) = prompt.right
            assert getattr(toy_corpus.concepts[code], f"name_{language}") in prompt.text
            assert any(name in prompt.text for name in getattr(CORPUS_STYLES[prompt.style], f"names_{language}"))


def test_a_file_of_prompts_is_read(toy_corpus: Corpus, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    lines = (
        "# of toys",
        "",
        "nouns: バス = 🚌🚎\ta bus\ta bus\ta car",
        "nouns: 橋 = 🌉",
        "colours: 赤い猫 = 🐈\u200d⬛🐈 (赤)",
        "two: 猫と山 = 🐈 | 🗻\ufe0f",
    )
    file.write_text("\n".join(lines), "utf-8")
    one, colour, two = read_prompts(file, toy_corpus)
    assert (one.group, one.text, one.right) == ("nouns", "バス", frozenset(["1f68c"]))
    assert (colour.text, colour.right, colour.colour) == ("赤い猫", frozenset(["1f408"]), "赤")
    assert (two.right, two.second) == (frozenset(["1f408"]), frozenset(["1f5fb"]))


@pytest.mark.parametrize("line", ["バス", "nouns: バス", "バス = 🚌", "colours: 玉虫色のバス = 🚌 (玉虫色)"])
def test_a_line_in_another_form_is_named(toy_corpus: Corpus, tmp_path: Path, line: str) -> None:
    (tmp_path / "prompts.txt").write_text(f"# one\n{line}\n", "utf-8")
    with pytest.raises(InvalidInputError, match="line 2"):
        read_prompts(tmp_path / "prompts.txt", toy_corpus)


@pytest.mark.parametrize("text", ["", "nouns: 橋 = -\n"])
def test_a_file_that_names_nothing_of_the_corpus_is_refused(toy_corpus: Corpus, tmp_path: Path, text: str) -> None:
    (tmp_path / "prompts.txt").write_text(text, "utf-8")
    with pytest.raises(InvalidInputError, match="at least"):
        read_prompts(tmp_path / "prompts.txt", toy_corpus)


def test_anybodys_prompts_are_read_whatever_they_hold(tmp_path: Path) -> None:
    lines = ["猫　", "E=mc2の黒板", "science: E = mc2", "# 犬", " ", "two: 猫と犬 = 🐱 | 🐶\tboth", "春: 桜"]
    (tmp_path / "prompts.txt").write_text("\n".join(lines), "utf-8")
    assert read_texts(tmp_path / "prompts.txt") == [
        ("all", "猫"),
        ("all", "E=mc2の黒板"),
        ("science", "E"),
        ("two", "猫と犬"),
        ("春", "桜"),
    ]


@pytest.mark.parametrize("text", ["(桜:-0.5)", "桜" * 10_001])
def test_a_prompt_that_cannot_be_drawn_is_told_by_its_line_before_the_first_is_drawn(tmp_path: Path, text: str) -> None:
    (tmp_path / "prompts.txt").write_text(f"猫\n\n{text}\n", "utf-8")
    with pytest.raises(InvalidInputError, match=r"line 3 of .*prompts\.txt"):
        read_texts(tmp_path / "prompts.txt")
