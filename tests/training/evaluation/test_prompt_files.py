"""The prompts that ship: written in one form, each once, and enough of each kind."""

import re
from collections import Counter
from importlib.resources import files

import pytest
import torch

from jsd.training.corpora.words import read_vocabulary
from jsd.training.evaluation.own import _found

FOLDER = files("jsd.training.evaluation") / "sets"
LINE = re.compile(r"(?P<group>[a-z]+): (?P<text>[^=\t]+?)(?: = (?P<right>[^\t]+))?(?P<notes>\t.*)?")
SIZES = {"natural": 80, "unknown": 100, "known": 200, "prompts-dev": 100, "prompts-test": 100}
SIZES |= {"prompts-test-2": 100, "ja-500": 500}


def lines(name: str) -> list[re.Match[str]]:
    written = (FOLDER / f"{name}.txt").read_text("utf-8").splitlines()
    found = [LINE.fullmatch(line) for line in written if not line.startswith("#")]
    assert None not in found
    return [one for one in found if one is not None]


@pytest.mark.parametrize("name", SIZES)
def test_as_many_prompts_as_promised_each_once(name: str) -> None:
    texts = [line["text"] for line in lines(name)]
    assert len(texts) == len(set(texts)) == SIZES[name]


@pytest.mark.parametrize("held", ["prompts-test", "prompts-test-2"])
def test_what_is_held_out_stands_nowhere_else(held: str) -> None:
    held_out = {line["text"] for line in lines(held) if line["group"] != "nouns"}
    others = {line["text"] for name in SIZES if name != held for line in lines(name)}
    assert held_out & others == set()


def test_the_public_set_has_thirty_of_each_group_and_says_what_must_and_must_not_be_seen() -> None:
    public = lines("ja-500")
    groups = Counter(line["group"] for line in public)
    assert len(groups) == 12 and min(groups.values()) >= 30
    assert all(line["right"] and len([note for note in line["notes"].split("\t") if note]) == 3 for line in public)
    assert all("×" in line["right"] for line in public if line["group"] == "counts")
    assert all("(" in line["right"] for line in public if line["group"] == "colours")
    assert all("|" in line["right"] for line in public if line["group"] == "two")


def test_no_unknown_prompt_is_a_spelling_and_every_known_one_holds_one_that_is_right() -> None:
    meanings = read_vocabulary().meanings
    assert [line["text"] for line in lines("unknown") if line["text"] in meanings] == []
    for line in lines("known"):
        found = {concept for word, concepts in meanings.items() if word in line["text"] for concept in concepts}
        assert any(concept in line["right"] for concept in found), line["text"]


def test_a_scorer_to_which_all_texts_are_one_finds_nothing() -> None:
    assert _found(torch.ones(2, 8), [0, 3]) == {"similarity": 1, "to_other_captions": 1, "top1": 0, "top5": 0}
    assert _found(torch.eye(8)[:2], [0, 1])["top1"] == 100
