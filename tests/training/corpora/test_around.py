"""What is said around a thing: made of words at random, and read past."""

import random
import re

import pytest

from jsd.training.corpora.around import MAX_LENGTH, SLOT, Around
from jsd.training.corpora.words import read_around


@pytest.fixture(scope="module")
def around() -> Around:
    return Around(lambda rng: rng.choice(("ボタン", "ラクダ")))


def test_the_thing_comes_last_and_finds_room(around: Around) -> None:
    rng = random.Random(0)
    drawn = [around.before(rng) for _ in range(4000)]
    assert all(template.endswith(SLOT) and template.count(SLOT) == 1 for template in drawn)
    assert max(map(len, drawn)) <= MAX_LENGTH + len(SLOT) and len(set(drawn)) > 3500


@pytest.mark.parametrize(
    "pattern", ["の{}$", "を.+[るうくぐすつぬぶむただ]{}$", "ための{}$", "に.+(て|で)いる{}$", "とても", "ボタンを"]
)
def test_before_it_stands_what_people_say(around: Around, pattern: str) -> None:
    rng = random.Random(0)
    assert any(re.search(pattern, around.before(rng)) for _ in range(4000))


def test_a_sentence_is_about_it(around: Around) -> None:
    rng = random.Random(0)
    drawn = [around.sentence(rng) for _ in range(2000)]
    assert all(template.count(SLOT) == 1 and len(template) <= MAX_LENGTH + len(SLOT) for template in drawn)
    assert all(any(form in template for template in drawn) for form in ("{}が", "{}を", "{}は"))


def test_verbs_are_inflected() -> None:
    words, verbs = read_around()
    every = [verb for some in verbs.values() for verb in some]
    assert all(plain[-1] in "るうくぐすつぬぶむ" and past[-1] in "ただ" for plain, past in every)
    assert not set(verbs) & set(words) and {"noun", "person", "adjective", "adverb"} == set(words)
