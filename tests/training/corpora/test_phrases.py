"""Phrases: every text with the caption that has meant the same picture so far."""

import random
import re
from collections import Counter
from dataclasses import replace

import pytest

from jsd.training.corpora.concepts import Concept
from jsd.training.corpora.corpus import Corpus, is_unseen
from jsd.training.corpora.phrases import IN_COMPANY, UNREAD, USUAL, Asked, Phrases
from jsd.training.corpora.scenes import Scene
from jsd.training.corpora.styles import CORPUS_STYLES
from jsd.training.corpora.words import read_phrases, read_vocabulary
from jsd.training.recipes import DRAWN

NUM_DRAWN = 160_000


def texts(phrases: Phrases) -> list[tuple[str, str]]:
    """Each with the one that asks for what it means."""
    rng = random.Random(0)
    return [(text, asked.text) for text, asked in (phrases.draw(rng) for _ in range(NUM_DRAWN))]


@pytest.fixture(scope="module")
def phrases(toy_corpus: Corpus) -> Phrases:
    return Phrases(toy_corpus, read_vocabulary())


@pytest.fixture(scope="module")
def drawn(phrases: Phrases) -> list[tuple[str, str]]:
    return texts(phrases)


def test_a_text_depends_on_its_generator_alone(phrases: Phrases) -> None:
    first, second = (phrases.draw(random.Random(7)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "pattern",
    [
        "ばす",
        "バスの写真",
        "(赤|青|白|黒)い(バス|ばす)",
        "[二2２]台の.*(バス|ばす)",
        "森の.*バス",
        "バスの油絵",
        "油絵風の.*(バス|ばす)",
        "バスと鳥居",
        "バスを描いて",
    ],
)
def test_what_people_write_is_drawn(drawn: list[tuple[str, str]], pattern: str) -> None:
    """Spellings, modifiers, colours, counts, places, styles, second things and sentences are all there."""
    found = [asked for text, asked in drawn if re.search(pattern, text)]
    assert found and "バス" in " ".join(found)


@pytest.fixture(scope="module")
def all_drawn(toy_corpus: Corpus) -> list[tuple[str, Asked]]:
    """Colours, counts, places and pairs too."""
    phrases, rng = Phrases(toy_corpus, read_vocabulary(), drawn=DRAWN), random.Random(0)
    return [phrases.draw(rng) for _ in range(NUM_DRAWN)]


def test_what_is_drawn_is_asked_for_in_one_form(all_drawn: list[tuple[str, Asked]]) -> None:
    drawn = [(text, asked.text) for text, asked in all_drawn]
    kept = {"真っ赤な": "赤い", "森にいる": "森の", "二台の": "二台の", "左が.+で右が": "左に.+、右に"}
    for words, form in kept.items():
        asked = [one for text, one in drawn if re.search(words, text)]
        assert asked and all(re.search(form, one) for one in asked), words
    for words in ("大きな", "白い背景の", "を描いて"):
        asked = [one for text, one in drawn if words in text]
        assert asked and not any(words in one for one in asked), words


def test_what_a_text_asks_for_is_said_apart(all_drawn: list[tuple[str, Asked]], toy_corpus: Corpus) -> None:
    """The things without their colours, counts, places and relations, and these by name."""
    drawn = all_drawn
    names = {concept.name_ja for concept in toy_corpus.concepts.values()}
    for words, mark in {
        "真っ赤な": "colour/赤",
        "三台の": "count/3",
        "森にいる": "place/forest",
        "に乗っている": "relation/on",
        "油絵風に描いた": "style/oil",
        "赤い背景": "ground/red",
    }.items():
        found = [asked for text, asked in drawn if words in text]
        assert found and all(mark in asked.marks for asked in found), words
    pairs = [asked for _, asked in drawn if len(asked.things) == 2]
    assert {name for asked in pairs for thing in asked.things for name in names if name in thing} == names
    for asked in pairs:
        assert all(thing.split("、")[0] in asked.text for thing in asked.things)
    styled = {thing for _, asked in drawn if any("style" in mark for mark in asked.marks) for thing in asked.things}
    assert names <= styled and not any("油絵" in thing for thing in styled)
    alone = [asked for _, asked in drawn if not asked.marks and len(asked.things) == 1]
    assert all(asked.things == (asked.text,) for asked in alone if asked.text in names)


def test_what_is_not_drawn_is_a_word_like_any_other(toy_corpus: Corpus) -> None:
    drawn = texts(Phrases(toy_corpus, read_vocabulary(), drawn=("colour",)))
    assert all("赤い" in one for text, one in drawn if "真っ赤な" in text)
    for words in ("森にいる", "二台の", "左が.+で右が"):
        asked = [one for text, one in drawn if re.search(words, text)]
        assert asked and not any(re.search("森|台の|左", one) for one in asked), words


def test_a_word_means_one_concept(drawn: list[tuple[str, str]], toy_corpus: Corpus) -> None:
    names = {concept.name_ja for concept in toy_corpus.concepts.values()}
    bare = {text: asked for text, asked in drawn if asked in names}
    assert all(bare[text] == asked for text, asked in drawn if text in bare and asked in names)
    assert bare["ばす"] == "バス"


def test_a_sound_word_means_one_thing_in_phrases_and_captions(toy_corpus: Corpus) -> None:
    """ドンドン of all is the first one's, and no other picture is asked for with it."""
    concepts = {
        code: replace(one, onomatopoeia=("ドンドン", *one.onomatopoeia)) for code, one in toy_corpus.concepts.items()
    }
    phrases = Phrases(replace(toy_corpus, concepts=concepts), read_vocabulary())
    first = next(iter(concepts))
    for code, things in phrases.things.items():
        assert (things.get("ドンドン") == concepts[first].name_ja) == (code == first)
        assert ("ドンドン" in phrases.words[code].sounds) == (code == first)
        assert code == first or "ドンドン" not in phrases.words[code].keywords
        assert all(things[word] == concepts[code].name_ja for word in phrases.words[code].sounds)
    rng = random.Random(0)
    meant = [asked.things for text, asked in (phrases.draw(rng) for _ in range(20_000)) if text == "ドンドン"]
    assert set(meant) == {(concepts[first].name_ja,)}


def test_prompts_that_were_written_as_a_whole_mean_their_concept(drawn: list[tuple[str, str]]) -> None:
    written = read_phrases()["🚌"]
    found = {text: asked for text, asked in drawn if text in written}
    assert "大型バス" in found and set(found.values()) == {"バス"}


def test_unseen_pairs_are_never_asked_for(
    drawn: list[tuple[str, str]], all_drawn: list[tuple[str, Asked]], toy_corpus: Corpus
) -> None:
    left_out = {
        f"{concept.name_ja}、{CORPUS_STYLES[style].names_ja[0]}"
        for code, concept in toy_corpus.concepts.items()
        for style in CORPUS_STYLES
        if is_unseen(code, style)
    }
    assert left_out and not left_out & {asked for _, asked in drawn}
    codes = {concept.name_ja: code for code, concept in toy_corpus.concepts.items()}
    styled = {
        (codes[thing], mark.removeprefix("style/"))
        for _, asked in all_drawn
        for mark in asked.marks
        if mark.startswith("style/")
        for thing in asked.things
        if thing in codes
    }
    assert len(styled) > 40 and not any(is_unseen(*pair) for pair in styled), "of two things neither"


def test_some_texts_hold_what_cannot_be_read(drawn: list[tuple[str, str]]) -> None:
    assert 0 < sum(UNREAD in text for text, _ in drawn) < NUM_DRAWN / 20
    assert not any(UNREAD in asked for _, asked in drawn)


def test_the_model_says_what_it_knows(phrases: Phrases, toy_corpus: Corpus) -> None:
    known = phrases.known(("油絵",))
    assert [one.emoji for one in known.concepts] == [concept.emoji for concept in toy_corpus.concepts.values()]
    assert known.by_spelling["ばす"].emoji == "🚌" and known.styles == ("油絵",)


def test_words_alone_are_drawn_alike_and_usual_ones_in_company(toy_corpus: Corpus) -> None:
    phrases, rng = Phrases(toy_corpus, read_vocabulary()), random.Random(0)
    spelled = [both for things in phrases.things.values() for both in things.items()]
    drawn = Counter(phrases.word(rng) for _ in range(round(1000 * len(spelled) / (1 - IN_COMPANY))))
    for both in spelled:
        assert drawn[both] == pytest.approx(1000 * spelled.count(both), rel=0.2), both
    company = {both: count for both, count in drawn.items() if both not in spelled}
    assert sum(company.values()) == pytest.approx(IN_COMPANY * drawn.total(), rel=0.05)
    usual = {concept.name_ja: phrases.usual[code] for code, concept in toy_corpus.concepts.items()}
    assert usual["バス"][0] == "バス" and max(map(len, usual.values())) == USUAL
    assert ("赤いバス", "バス") in company
    assert all(any(word in text for word in usual[name]) for text, name in company)


def test_names_that_other_words_end_with_are_in_company_more_often(toy_corpus: Corpus) -> None:
    mountain = Concept("⛰", "Toys", "山", "mountain", (), (), False, ())
    corpus = replace(toy_corpus, concepts={**toy_corpus.concepts, mountain.code: mountain})
    phrases, rng = Phrases(corpus, read_vocabulary()), random.Random(0)
    ending = {word for _, word in phrases.ending}
    assert "山" in ending and "富士山" not in ending
    often = Counter(text for text, _ in (phrases.word(rng) for _ in range(200_000)))
    assert often["赤い山"] > 4 * often["赤い富士山"] > 0
    assert often["緑の山"] > 8 * often["緑っぽい山"] > 0, "a colour in its usual form"


def test_what_takes_a_colour_is_called_by_no_other(toy_corpus: Corpus) -> None:
    phrases = Phrases(toy_corpus, read_vocabulary(), drawn=("colour",))
    code = next(iter(toy_corpus.concepts))
    phrases.things[code], phrases.weights[code] = {"赤い風船": "風船"}, [1.0]
    texts = {phrases.of_scene(Scene((code,), "3d", None, colour="青"), random.Random(seed)) for seed in range(50)}
    assert all("赤" not in text for text in texts) and len(texts) > 1


def test_a_faces_name_before_an_animal_asks_for_the_animal(toy_corpus: Corpus) -> None:
    phrases, rng = Phrases(toy_corpus, read_vocabulary()), random.Random(0)
    phrases.faces = ["怒った顔"]  # the toy corpus has no face
    code = phrases.codes[0]
    for kind, is_living in (("animal", True), ("person", True), ("food", False)):
        phrases.attributes[code] = replace(phrases.attributes[code], kind=kind)
        found = {phrases._before(code, rng, {"before": 1.0}) for _ in range(300)}
        assert (("怒った顔の{}", "{}") in found) == is_living, kind
