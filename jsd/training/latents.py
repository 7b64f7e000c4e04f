"""The corpus as latents, computed once."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from jsd.training.corpora.corpus import Corpus
from jsd.training.loop import save_atomically

BATCH_SIZE = 32


@torch.no_grad()
def encode_corpus(corpus: Corpus, vae: Any, size_px: int, device: str) -> Tensor:
    """The posterior means (N, C, h, w) of all pictures at size_px, not scaled."""
    found = []
    for first in tqdm(range(0, len(corpus.pictures), BATCH_SIZE), desc="latents"):
        pictures = torch.tensor(corpus.pictures[first : first + BATCH_SIZE]).to(device)
        pixel_values = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1  # (B, 3, H, W)
        if pixel_values.shape[-1] != size_px:
            pixel_values = F.interpolate(pixel_values, (size_px, size_px), mode="bicubic", antialias=True)
        found.append(vae.encode(pixel_values).latent_dist.mean.float().cpu())  # (B, C, h, w)
    return torch.cat(found)


def corpus_latents(corpus: Corpus, vae: Any, size_px: int, device: str, cache: Path) -> Tensor:
    """(N, C, h, w), times the VAE's scaling factor; kept in `cache` for as long as the pictures and the VAE stay."""
    key = _fingerprint(corpus, vae, size_px)
    try:
        kept = torch.load(cache, weights_only=True)
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError):  # none yet, or damaged
        kept = {}
    if not isinstance(kept, dict) or kept.get("key") != key:
        kept = {"key": key, "latents": encode_corpus(corpus, vae, size_px, device)}
        save_atomically(kept, cache)
    latents: Tensor = kept["latents"]
    return latents * float(vae.config.scaling_factor)


def _fingerprint(corpus: Corpus, vae: Any, size_px: int) -> str:
    digest = hashlib.sha256(f"{size_px}/{corpus.pictures.shape}".encode())
    for first in range(0, len(corpus.pictures), BATCH_SIZE):
        digest.update(corpus.pictures[first : first + BATCH_SIZE].tobytes())
    for weights in vae.state_dict().values():
        digest.update(weights.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()
