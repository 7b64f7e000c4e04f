"""What a stage is shown: never the unseen pairs, and Japan only where its row says so."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy_recipe import TOY

from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.batches import CROP_PX, CaptionedLatents, crops, decoded_pictures, training_records
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.styles import DEFAULT_STYLE
from jsd.training.vocabulary import train_tokenizer

CAPTIONED_STAGES = [name for name, stage in TOY.stages.items() if stage.objective in ("contrastive", "denoising")]


@pytest.fixture(scope="module")
def tokenizers(toy_corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, JapaneseTokenizer]:
    folder = tmp_path_factory.mktemp("tokenizers")
    for language in ("ja", "en"):
        train_tokenizer(toy_corpus, language, 200, 16, folder / language)
    return {language: JapaneseTokenizer.load(folder / language) for language in ("ja", "en")}


def batches(
    corpus: Corpus, tokenizers: dict[str, JapaneseTokenizer], stage: str, *, seed: int = 0, dropout: float = 0.1
) -> CaptionedLatents:
    """Latents that are the row numbers of their pictures."""
    row = replace(TOY.stages[stage], train_batch_size=32)
    assert row.language is not None
    numbers = torch.arange(len(corpus.records)).float().reshape(-1, 1, 1, 1)
    return CaptionedLatents(corpus, numbers, row, tokenizers[row.language], seed, dropout)


@pytest.mark.parametrize("stage", CAPTIONED_STAGES)
def test_unseen_pairs_never_reach_a_batch(
    toy_corpus: Corpus, tokenizers: dict[str, JapaneseTokenizer], stage: str
) -> None:
    source = batches(toy_corpus, tokenizers, stage)
    shown = {int(number) for step in range(60) for number in source.batch(step)[0].flatten()}
    assert not any(toy_corpus.records[number].unseen for number in shown)
    assert len(shown) == len(source.records), "everything else is shown"


@pytest.mark.parametrize("stage", CAPTIONED_STAGES)
def test_the_japan_split_is_shown_by_the_japanese_stages_alone(
    toy_corpus: Corpus, tokenizers: dict[str, JapaneseTokenizer], stage: str
) -> None:
    source = batches(toy_corpus, tokenizers, stage)
    shown = {int(number) for step in range(60) for number in source.batch(step)[0].flatten()}
    assert any(toy_corpus.records[number].japan for number in shown) == (TOY.stages[stage].language == "ja")


def test_crops_show_neither_unseen_pairs_nor_japan(toy_corpus: Corpus) -> None:
    # Each picture a colour of its own.
    pictures = np.zeros((len(toy_corpus.records), CROP_PX, CROP_PX, 3), dtype=np.uint8)
    pictures += np.arange(len(pictures), dtype=np.uint8)[:, None, None, None]
    corpus = replace(toy_corpus, pictures=pictures)
    allowed = training_records(corpus, with_japan=TOY.stages["vae"].with_japan)
    shown = {
        round((value.item() + 1) * 127.5)
        for step in range(60)
        for value in crops(corpus, allowed, 16, seed=0, step=step)[:, 0, 0, 0]
    }
    assert shown == {r.index for r in toy_corpus.records if not r.unseen and not r.japan}


def test_crops_are_pieces_of_pictures(toy_corpus: Corpus) -> None:
    pictures = np.pad(toy_corpus.pictures, ((0, 0), (0, 20), (0, 20), (0, 0)), mode="edge")
    corpus = replace(toy_corpus, pictures=pictures)
    batch = crops(corpus, corpus.records[:1], 8, seed=0, step=0)
    assert batch.shape == (8, 3, CROP_PX, CROP_PX)
    places = np.lib.stride_tricks.sliding_window_view(pictures[0], (CROP_PX, CROP_PX, 3))[:, :, 0]
    for crop in ((batch + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy():
        assert (places == crop).all(axis=(2, 3, 4)).any(), "a crop must be found in its picture"


def test_a_decoded_picture_comes_with_its_own_latents(toy_corpus: Corpus) -> None:
    latents = torch.arange(len(toy_corpus.records)).float().reshape(-1, 1, 1, 1)
    allowed = training_records(toy_corpus, with_japan=True)
    numbers, pixel_values = decoded_pictures(toy_corpus, allowed, latents, 64, seed=0, step=0)
    assert pixel_values.shape == (64, 3, *toy_corpus.pictures.shape[1:3])
    for number, picture in zip(numbers.flatten().int().tolist(), pixel_values, strict=True):
        shown = ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        assert (shown == toy_corpus.pictures[number]).all()
        assert not toy_corpus.records[number].unseen
    again, _ = decoded_pictures(toy_corpus, allowed, latents, 64, seed=0, step=1)
    assert not torch.equal(numbers, again)


def test_crops_depend_on_seed_and_step_alone(toy_corpus: Corpus) -> None:
    first = crops(toy_corpus, toy_corpus.records, 8, seed=1, step=5)
    assert torch.equal(first, crops(toy_corpus, toy_corpus.records, 8, seed=1, step=5))
    assert not torch.equal(first, crops(toy_corpus, toy_corpus.records, 8, seed=1, step=6))
    assert not torch.equal(first, crops(toy_corpus, toy_corpus.records, 8, seed=2, step=5))


def test_a_batch_depends_on_seed_and_step_alone(toy_corpus: Corpus, tokenizers: dict[str, JapaneseTokenizer]) -> None:
    source, fresh = (batches(toy_corpus, tokenizers, "stage2") for _ in range(2))
    for step in range(5):
        source.batch(step)
    assert all(torch.equal(a, b) for a, b in zip(source.batch(5), fresh.batch(5), strict=True))
    other = batches(toy_corpus, tokenizers, "stage2", seed=1)
    assert not torch.equal(source.batch(5)[0], other.batch(5)[0])


def test_a_batch_is_latents_ids_and_concepts(toy_corpus: Corpus, tokenizers: dict[str, JapaneseTokenizer]) -> None:
    latents, input_ids, concepts = batches(toy_corpus, tokenizers, "stage2").batch(0)
    assert (latents.shape, input_ids.shape, concepts.shape) == ((32, 1, 1, 1), (32, 16), (32,))
    codes = list(toy_corpus.concepts)
    shown = [toy_corpus.records[int(number)].code for number in latents.flatten()]
    assert [codes[number] for number in concepts] == shown


def test_captions_are_dropped_at_their_rate(toy_corpus: Corpus, tokenizers: dict[str, JapaneseTokenizer]) -> None:
    source = batches(toy_corpus, tokenizers, "stage2", dropout=0.1)
    empty = torch.tensor(tokenizers["ja"].encode(""))
    rows = torch.cat([source.batch(step)[1] for step in range(60)])
    assert 0.07 < (rows == empty).all(dim=1).float().mean() < 0.13


def test_the_default_style_is_drawn_more_often(toy_corpus: Corpus, tokenizers: dict[str, JapaneseTokenizer]) -> None:
    source = batches(toy_corpus, tokenizers, "stage2")
    shown = [toy_corpus.records[int(n)] for step in range(60) for n in source.batch(step)[0].flatten()]
    plain = sum(record.style == DEFAULT_STYLE and record.background is None for record in shown)
    records, weight = source.records, TOY.stages["stage2"].default_style_weight
    default = sum(record.style == DEFAULT_STYLE and record.background is None for record in records)
    expected = default * weight / (len(records) + default * (weight - 1))
    assert plain / len(shown) == pytest.approx(expected, abs=0.05)
