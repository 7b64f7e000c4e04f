"""Latents are computed once, and again when the VAE or the pictures have changed."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toy_recipe import TOY

from jsd.training import modules
from jsd.training.corpora.corpus import Corpus
from jsd.training.latents import corpus_latents, encode_corpus


@pytest.fixture
def vae() -> torch.nn.Module:
    torch.manual_seed(0)
    module = modules.build("vae", TOY.components["vae"])
    module.register_to_config(scaling_factor=0.5)
    return module.requires_grad_(False)


@pytest.fixture
def corpus(toy_corpus: Corpus) -> Corpus:
    return replace(toy_corpus, pictures=toy_corpus.pictures[:5], records=toy_corpus.records[:5])


def kept(cache: Path) -> Tensor:
    return torch.load(cache, weights_only=True)["latents"]


def test_latents_have_the_vaes_shape_at_the_size_asked_for(corpus: Corpus, vae: torch.nn.Module) -> None:
    assert encode_corpus(corpus, vae, 32).shape == (5, 4, 8, 8)
    assert encode_corpus(corpus, vae, 64).shape == (5, 4, 16, 16)


def test_latents_are_scaled_by_the_vaes_factor(corpus: Corpus, vae: torch.nn.Module, tmp_path: Path) -> None:
    latents = corpus_latents(corpus, vae, 32, tmp_path / "latents.pt")
    assert torch.equal(latents, 0.5 * encode_corpus(corpus, vae, 32))


def test_latents_are_computed_once(corpus: Corpus, vae: torch.nn.Module, tmp_path: Path) -> None:
    cache = tmp_path / "latents.pt"
    first = corpus_latents(corpus, vae, 32, cache)
    written = cache.stat().st_mtime_ns
    assert torch.equal(corpus_latents(corpus, vae, 32, cache), first)
    assert cache.stat().st_mtime_ns == written


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_damaged_latents_are_computed_anew(corpus: Corpus, vae: torch.nn.Module, tmp_path: Path, keep: float) -> None:
    cache = tmp_path / "latents.pt"
    first = corpus_latents(corpus, vae, 32, cache)
    data = cache.read_bytes()
    cache.write_bytes(data[: int(keep * len(data)) if keep < 1 else int(keep)])
    assert torch.equal(corpus_latents(corpus, vae, 32, cache), first)


def test_another_vae_gives_new_latents(corpus: Corpus, vae: torch.nn.Module, tmp_path: Path) -> None:
    cache = tmp_path / "latents.pt"
    corpus_latents(corpus, vae, 32, cache)
    for parameter in vae.parameters():
        parameter.mul_(1.1)
    corpus_latents(corpus, vae, 32, cache)
    assert torch.equal(kept(cache), encode_corpus(corpus, vae, 32))


def test_other_pictures_give_new_latents(corpus: Corpus, vae: torch.nn.Module, tmp_path: Path) -> None:
    cache = tmp_path / "latents.pt"
    corpus_latents(corpus, vae, 32, cache)
    other = replace(corpus, pictures=255 - corpus.pictures)
    corpus_latents(other, vae, 32, cache)
    assert torch.equal(kept(cache), encode_corpus(other, vae, 32))
