"""The reading stage: where what the teacher says stands, and an encoder that starts from another's weights."""

import shutil
from pathlib import Path

import pytest
import torch
from toy_recipe import TOY

from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training import modules
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.phrases import Asked, Phrases
from jsd.training.corpora.words import read_vocabulary
from jsd.training.reading import Reading, Teacher, in_turn, reading_loss, reread, target_states
from jsd.training.recipes import DRAWN, PHRASES
from jsd.training.vocabulary import train_phrase_tokenizer, train_tokenizer
from runs.blocks import ROOT
from runs.misread import misread, misread_prompts


@pytest.fixture(scope="module")
def phrases(toy_corpus: Corpus) -> Phrases:
    return Phrases(toy_corpus, read_vocabulary())


@pytest.fixture(scope="module")
def folders(toy_corpus: Corpus, phrases: Phrases, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    old, new = (tmp_path_factory.mktemp("tokenizers") / name for name in ("old", "new"))
    train_tokenizer(toy_corpus, "ja", 200, 16, old)
    train_phrase_tokenizer(phrases, TOY.vocab_size[PHRASES], 24, new)
    return old, new


def encoder(folder: Path) -> torch.nn.Module:
    torch.manual_seed(0)
    return modules.build("text_encoder", TOY.components["text_encoder"], JapaneseTokenizer.load(folder)).eval()


def test_what_the_teacher_says_begins_at_the_end_of_the_text() -> None:
    states, empty = torch.arange(1.0, 5).reshape(1, 4, 1), -torch.arange(1.0, 5).reshape(4, 1)
    for length, expected in ((0, [1, 2, 3, 4, 4, 4]), (2, [-1, -2, 1, 2, 3, 4]), (5, [-1, -2, -3, -4, -4, 1])):
        found = target_states(states, empty, torch.tensor([0]), torch.tensor([length]), window=6)
        assert found.flatten().tolist() == expected
    for length, expected in ((1, [2, 3, 4, 4]), (3, [-1, 1, 2, 3])):
        found = target_states(states, empty, torch.tensor([2]), torch.tensor([length]), window=4)
        assert found.flatten().tolist() == expected, "</s> on </s>, the text before it"


def test_the_loss_is_relative_and_counts_the_pooled_text() -> None:
    target, pooled = torch.randn(8, 4, 16), torch.randn(8, 3)
    loss, metrics = reading_loss(target.mean() + 0 * target, target, pooled, pooled)
    assert loss.item() == pytest.approx(1, abs=0.01) and metrics["pooled"].item() == 0, "the mean explains nothing"
    assert reading_loss(target, target, pooled + 1, pooled)[0] > 0.1
    assert reading_loss(target, target, None, None)[0] == 0


def test_a_word_of_the_new_vocabulary_starts_as_the_mean_of_the_old_pieces(folders: tuple[Path, Path]) -> None:
    old, new = encoder(folders[0]), encoder(folders[1])
    new.load_state_dict(reread(old, folders[0], new, folders[1]))
    before, after = (JapaneseTokenizer.load(folder) for folder in folders)
    piece = after.describe("富士山").pieces[0]
    ids = [one.id for one in before.describe(piece.text).pieces]
    tokens = "embeddings.token_embedding.weight"
    torch.testing.assert_close(new.state_dict()[tokens][piece.id], old.state_dict()[tokens][ids].mean(dim=0))
    assert new.config.max_position_embeddings == 24
    assert torch.isfinite(torch.cat([weights.flatten() for weights in new.state_dict().values()])).all()


def test_of_the_same_vocabulary_every_weight_is_taken_as_it_is(folders: tuple[Path, Path]) -> None:
    old = encoder(folders[1])
    found = reread(old, folders[1], encoder(folders[1]), folders[1])
    assert all(torch.equal(weights, found[name]) for name, weights in old.state_dict().items())


def test_what_a_teacher_says_that_has_read_itself_begins_at_the_end_of_its_own_text(folders: tuple[Path, Path]) -> None:
    old, tokenizer = encoder(folders[1]), JapaneseTokenizer.load(folders[1])
    texts = ["", "バス", "バスの写真を見たい"]
    lengths = [tokenizer.encode(text).index(tokenizer.eos_token_id) for text in texts]
    assert (
        Teacher(old, tokenizer, None, has_read=True).starts(texts).tolist() == lengths and lengths[2] > lengths[1] > 0
    )
    assert Teacher(old, tokenizer, None).starts(texts).tolist() == [0, 0, 0]


def test_parts_are_said_one_after_another_from_the_end_of_the_text_on() -> None:
    target, parts = torch.zeros(3, 5, 1), torch.tensor([[1.0, 2], [3, 9], [4, 5]])[..., None]
    found, where = in_turn(target, torch.tensor([2, 0, 4]), parts, torch.tensor([2, 1, 2]))
    assert found[..., 0].tolist() == [[0, 0, 1, 2, 0], [3, 0, 0, 0, 0], [0, 0, 0, 0, 4]], "as many as the window holds"
    assert torch.equal(torch.stack(where), found[..., 0].nonzero().T) and not target.any()


def test_a_thing_says_what_it_says_alone_and_of_two_which_it_is(folders: tuple[Path, Path], phrases: Phrases) -> None:
    teacher = Teacher(encoder(folders[1]), JapaneseTokenizer.load(folders[1]), None, has_read=True)
    teacher.measure(list(phrases.names.values()))
    bus, gate = teacher.said(["バス", "鳥居"])
    assert torch.equal(bus, teacher.states(["バス"])[0, teacher.starts(["バス"])[0]]) and not torch.equal(bus, gate)
    texts = [
        Asked("バス", ("バス",)),
        Asked("赤いバス", ("バス",), ("colour/赤",)),
        Asked("バスの上の鳥居", ("バス", "鳥居"), ("relation/on",)),
        Asked("鳥居とバス", ("鳥居", "バス")),
    ]
    parts, counts = teacher.parts(texts)
    assert counts.tolist() == [1, 2, 3, 2] and torch.equal(parts[0, 0], bus)
    (thing, red), (first, second, on), (one, other) = (parts[row, : counts[row]] for row in (1, 2, 3))
    assert torch.equal(thing, bus) and not torch.equal(red, on)
    assert all(torch.equal(ours, again) for ours, again in zip(teacher.parts(texts), (parts, counts), strict=True))
    torch.testing.assert_close(first - bus, one - gate)
    torch.testing.assert_close(second - gate, other - bus)
    for said in (red - teacher.centre, first - bus, second - gate):
        assert 0.2 < (said / teacher.spread).square().mean().sqrt() < 2, "as far apart as things are"


def learnt(new: torch.nn.Module, reading: Reading) -> tuple[list[float], list[dict[str, torch.Tensor]]]:
    """The losses of sixty steps, and what they log."""
    optimizer = torch.optim.AdamW(new.parameters(), lr=3e-3)
    losses, logged = [], []
    for step in range(60):
        loss, metrics = reading.loss(new, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        logged.append(metrics)
    return losses, logged


def test_an_encoder_learns_to_say_what_the_teacher_says(folders: tuple[Path, Path], phrases: Phrases) -> None:
    old, new = encoder(folders[0]), encoder(folders[1])
    new.load_state_dict(reread(old, folders[0], new, folders[1]))
    teacher = Teacher(old, JapaneseTokenizer.load(folders[0]), None)
    reading = Reading(phrases, teacher, JapaneseTokenizer.load(folders[1]), batch_size=16, dropout=0.1, seed=0)
    losses, _ = learnt(new, reading)
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert all(parameter.grad is None for parameter in old.parameters()), "the teacher stays as it is"


def test_an_encoder_learns_to_say_the_parts(folders: tuple[Path, Path], toy_corpus: Corpus) -> None:
    old, new = encoder(folders[1]), encoder(folders[1])
    tokenizer = JapaneseTokenizer.load(folders[1])
    teacher = Teacher(old, tokenizer, None, has_read=True)
    phrases = Phrases(toy_corpus, read_vocabulary(), DRAWN)
    reading = Reading(phrases, teacher, tokenizer, batch_size=16, dropout=0.1, seed=0, in_parts=True)
    losses, metrics = learnt(new, reading)
    assert losses == pytest.approx([sum(one.item() for one in step.values()) for step in metrics], rel=1e-4)
    for name in ("parts", "words"):
        learning = [step[name].item() for step in metrics]
        assert sum(learning[-10:]) < 0.6 * sum(learning[:10]), name


def test_words_alone_are_read_up_to_their_end(folders: tuple[Path, Path], toy_corpus: Corpus) -> None:
    tokenizer = JapaneseTokenizer.load(folders[1])
    teacher = Teacher(encoder(folders[1]), tokenizer, None, has_read=True)
    phrases = Phrases(toy_corpus, read_vocabulary(), DRAWN)
    reading = Reading(phrases, teacher, tokenizer, batch_size=32, dropout=0.1, seed=0, in_parts=True)
    input_ids, asked = reading.words(1)
    ends = (input_ids == tokenizer.eos_token_id).sum(dim=1)
    assert (ends == 1).all() and (input_ids[:, -1] == tokenizer.eos_token_id).any(), "no longer than the longest"
    meant = {spelling: name for things in phrases.things.values() for spelling, name in things.items()}
    bare = 0
    for row, name in zip(input_ids.tolist(), asked, strict=True):
        words = [word for word in meant if tokenizer.encode(word)[: len(row)] == row]
        assert not words or name in {meant[word] for word in words}
        bare += bool(words)
    assert bare > 0.4 * len(asked), "the others are in company"
    assert not torch.equal(input_ids, reading.words(2)[0])


def test_a_batch_depends_on_seed_and_step_alone(folders: tuple[Path, Path], phrases: Phrases) -> None:
    tokenizer = JapaneseTokenizer.load(folders[1])
    one, two, other = (Reading(phrases, None, tokenizer, 8, 0.1, seed) for seed in (0, 0, 1))  # type: ignore[arg-type]
    one.batch(0)
    assert torch.equal(one.batch(3)[0], two.batch(3)[0])
    assert not torch.equal(one.batch(3)[0], other.batch(3)[0])


def test_what_is_misread_is_counted(
    folders: tuple[Path, Path], toy_corpus: Corpus, toy_corpus_folder: Path, tmp_path: Path
) -> None:
    names = {concept.name_ja for concept in toy_corpus.concepts.values()}
    read = {word: (level, other) for level, word, other in misread(ROOT / "weights" / "mini", toy_corpus_folder)}
    assert read["バス"] == ("name", None)
    assert {other for _, other in read.values()} <= names | {None}
    wrong = [word for word, (_, other) in read.items() if other]
    assert len(wrong) < 0.05 * len(read), wrong
    modules.build("text_encoder", TOY.components["text_encoder"], JapaneseTokenizer.load(folders[1])).save_pretrained(
        tmp_path / "text_encoder"
    )
    shutil.copytree(folders[1], tmp_path / "tokenizer")
    untrained = [word for _, word, other in misread(tmp_path, toy_corpus_folder) if other]
    assert len(untrained) > 0.5 * len(read)


def test_prompts_that_are_misread_are_named_with_what_they_are_taken_for(
    toy_corpus_folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text(
        "nouns: いぬ = 🐕\nnouns: ネコ = 🐕\ntwo: 犬と猫 = 🐈 | 🐕\ntwo: 犬と猫 = 🐕 | 🚌\n", encoding="utf-8"
    )
    read = list(misread_prompts(ROOT / "weights" / "mini", toy_corpus_folder, file))
    assert read == [
        ("nouns", "いぬ", None),
        ("nouns", "ネコ", "猫"),
        ("two", "犬と猫", None),
        ("two", "犬と猫", "犬、猫"),
    ]
