"""The corpus as latents, computed once."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from jsd.i18n import _
from jsd.training.batches import pixel_values
from jsd.training.corpora.corpus import Corpus
from jsd.training.loop import load_cached

LATENTS_FILE = "latents.pt"
MADE_OF = "made_of"  # in a folder of what is kept: a digest of what it was made of
BATCH_SIZE = 32


def holds(folder: Path, made_of: str) -> bool:
    """Whether what a folder keeps is made of that."""
    path = folder / MADE_OF
    return path.is_file() and path.read_text("utf-8") == made_of


@torch.no_grad()
def encode_pictures(pictures: NDArray[np.uint8], vae: Any, size_px: int) -> Tensor:
    """(B, H, W, 3) -> their posterior means (B, C, h, w) at size_px, not scaled."""
    values = pixel_values(pictures, vae.device)  # (B, 3, H, W)
    if values.shape[-1] != size_px:
        values = F.interpolate(values, (size_px, size_px), mode="bicubic", antialias=True)
    with torch.autocast(values.device.type, enabled=False):  # of a step that asks for them; they are kept
        means: Tensor = vae.encode(values).latent_dist.mean.float().cpu()
    return means


def encode_corpus(corpus: Corpus, vae: Any, size_px: int) -> Tensor:
    """(N, C, h, w) of all pictures."""
    firsts = tqdm(range(0, len(corpus.pictures), BATCH_SIZE), desc=_("latents"))
    return torch.cat(
        [encode_pictures(np.array(corpus.pictures[first : first + BATCH_SIZE]), vae, size_px) for first in firsts]
    )


def corpus_latents(corpus: Corpus, vae: Any, size_px: int, cache: Path) -> Tensor:
    """(N, C, h, w), times the VAE's scaling factor; kept in `cache` for as long as the pictures and the VAE stay."""
    latents = load_cached(cache, _fingerprint(corpus, vae, size_px), lambda: encode_corpus(corpus, vae, size_px))
    return latents * float(vae.config.scaling_factor)


def _fingerprint(corpus: Corpus, vae: Any, size_px: int) -> str:
    digest = hashlib.sha256(f"{size_px}/{corpus.pictures.shape}".encode())
    for first in range(0, len(corpus.pictures), BATCH_SIZE):
        digest.update(corpus.pictures[first : first + BATCH_SIZE].tobytes())
    add_weights(digest, vae)
    return digest.hexdigest()


def add_weights(digest: Any, module: Any) -> None:
    """The weights of `module` to a digest of hashlib."""
    for weights in module.state_dict().values():
        digest.update(weights.detach().float().cpu().numpy().tobytes())
