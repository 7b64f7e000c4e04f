"""The corpus as latents, computed once."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from jsd.data.corpus import Corpus

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
    """(N, C, h, w), times the VAE's scaling factor; kept in `cache`, one file for one VAE and corpus."""
    if not cache.exists():
        torch.save(encode_corpus(corpus, vae, size_px, device), cache)
    latents: Tensor = torch.load(cache, weights_only=True)
    return latents * float(vae.config.scaling_factor)
