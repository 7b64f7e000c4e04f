"""Scenes as latents: made once, the same after a resume, mixed with the corpus' own pictures."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_recipe import TOY

from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training import modules, scenery
from jsd.training.batches import CaptionedLatents
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.scenes import Scenes
from jsd.training.corpora.sprites import SPRITES_FILE, Sprites
from jsd.training.corpora.words import read_vocabulary
from jsd.training.recipes import PHRASES
from jsd.training.scenery import MixedLatents, SceneLatents
from jsd.training.vocabulary import train_phrase_tokenizer


@pytest.fixture(scope="module")
def vae() -> torch.nn.Module:
    torch.manual_seed(0)
    module = modules.build("vae", TOY.components["vae"])
    module.register_to_config(scaling_factor=0.5)
    return module.requires_grad_(False)


@pytest.fixture(scope="module")
def scenes(toy_corpus: Corpus, toy_sprites: Path) -> Scenes:
    return Scenes(toy_corpus.concepts, Sprites.load(toy_sprites / SPRITES_FILE), seed=0)


@pytest.fixture(scope="module")
def phrases(toy_corpus: Corpus) -> Phrases:
    return Phrases(toy_corpus, read_vocabulary())


@pytest.fixture(scope="module")
def tokenizer(phrases: Phrases, tmp_path_factory: pytest.TempPathFactory) -> JapaneseTokenizer:
    folder = tmp_path_factory.mktemp("vocabulary") / "tokenizer"
    train_phrase_tokenizer(phrases, TOY.vocab_size[PHRASES], 16, folder)
    return JapaneseTokenizer.load(folder)


def test_latents_are_those_of_the_scenes_and_made_once(scenes: Scenes, vae: torch.nn.Module, tmp_path: Path) -> None:
    latents = SceneLatents(scenes, vae, 32, tmp_path).get([3, 12])
    assert latents.shape == (2, 4, 8, 8)
    pictures = np.stack([scenes.paint(*scenes.scene(12))])
    expected = scenery.encode_pictures(pictures, vae, 32) * 0.5
    torch.testing.assert_close(latents[1:], expected, atol=2e-2, rtol=0)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")}
    assert len(list(tmp_path.rglob("*.pt"))) == 2
    with torch.autocast("cpu", torch.bfloat16):  # as in a step
        assert torch.equal(SceneLatents(scenes, vae, 32, tmp_path).get([3, 12]), latents)
    assert torch.equal(SceneLatents(scenes, vae, 32, tmp_path).get([3, 12]), latents)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")} == written


def test_what_was_made_of_something_else_is_another_stages(
    toy_corpus: Corpus, toy_sprites: Path, scenes: Scenes, vae: torch.nn.Module, tmp_path: Path
) -> None:
    """A stage that draws other kinds of scenes, or another VAE, in the same output folder."""
    sprites = Sprites.load(toy_sprites / SPRITES_FILE)
    other_vae = deepcopy(vae)
    next(iter(other_vae.parameters())).add_(1)
    made = [(scenes, vae), (Scenes(toy_corpus.concepts, sprites, 0, ("pair",)), vae), (scenes, other_vae)]
    latents = [SceneLatents(one, encoder, 32, tmp_path).get(list(range(8))) for one, encoder in made]
    assert not torch.equal(latents[0], latents[1]) and not torch.equal(latents[0], latents[2])
    painted = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")}
    assert torch.equal(SceneLatents(scenes, vae, 32, tmp_path).get(list(range(8))), latents[0])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")} == painted, "and each stage keeps its own"


def test_a_batch_may_hold_a_scene_alone(
    toy_corpus: Corpus,
    scenes: Scenes,
    vae: torch.nn.Module,
    phrases: Phrases,
    tokenizer: JapaneseTokenizer,
    tmp_path: Path,
) -> None:
    stage = replace(TOY.stages["joint"], train_batch_size=1)
    own = torch.zeros((len(toy_corpus.records), 4, 8, 8))
    pictures = CaptionedLatents(toy_corpus, own, stage, tokenizer, seed=0, dropout=0.1)
    batch = MixedLatents(pictures, SceneLatents(scenes, vae, 32, tmp_path), phrases, 0.7, most=3).batch(0)
    assert [len(one) for one in batch] == [1, 1]


def test_a_batch_holds_both_and_depends_on_the_step_alone(
    toy_corpus: Corpus,
    scenes: Scenes,
    vae: torch.nn.Module,
    phrases: Phrases,
    tokenizer: JapaneseTokenizer,
    tmp_path: Path,
) -> None:
    stage = replace(TOY.stages["joint"], train_batch_size=10)
    own = torch.full((len(toy_corpus.records), 4, 8, 8), 7.0)

    def mixed(share: float) -> MixedLatents:
        pictures = CaptionedLatents(toy_corpus, own, stage, tokenizer, seed=0, dropout=0.1)
        return MixedLatents(pictures, SceneLatents(scenes, vae, 32, tmp_path), phrases, share, most=3)

    source = mixed(0.7)
    source.batch(0)
    latents, input_ids = source.batch(5)
    assert all(torch.equal(a, b) for a, b in zip((latents, input_ids), mixed(0.7).batch(5), strict=True))
    assert ((latents == 7).flatten(1).all(dim=1)).sum() == 3, "seven of ten are scenes"
    assert [source.num_shards(step) for step in (0, 10**9)] == [2, 3], "as many as there may be"
    assert input_ids.shape == (10, 16) and len(torch.unique(input_ids, dim=0)) > 5


def test_what_a_scene_shows_is_found_once(
    scenes: Scenes, vae: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it is painted, or where another run painted it, when its caption is made."""
    latents, expected = SceneLatents(scenes, vae, 32, tmp_path), [scenes.scene(number)[0] for number in range(8)]
    latents.get([0])
    resumed = SceneLatents(scenes, vae, 32, tmp_path)
    monkeypatch.delattr(Scenes, "scene")
    assert [latents.describe(number) for number in range(8)] == expected and resumed.describe(3) == expected[3]
