"""The corpus as latents, computed once for each VAE."""

import json
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from jsd.data.corpus import Corpus
from jsd.training import components

BATCH_SIZE = 32


@torch.no_grad()
def corpus_latents(corpus: Corpus, folder: Path, device: str) -> tuple[Tensor, float]:
    """(N, C, h, w), scaled to unit variance, and the scaling factor; kept beside the VAE of the model folder.

    The factor is one over the standard deviation of the corpus' latents (Rombach et al., arXiv 2112.10752,
    appendix G) and is written into the VAE's config, where sampling reads it.
    """
    path = folder / "latents.pt"
    if not path.exists():
        vae = components.load("vae", folder).to(device).eval()
        found = []
        for first in tqdm(range(0, len(corpus.pictures), BATCH_SIZE), desc="latents"):
            pictures = torch.from_numpy(corpus.pictures[first : first + BATCH_SIZE]).to(device)
            pixel_values = pictures.permute(0, 3, 1, 2).float() / 127.5 - 1  # (B, 3, H, W)
            with torch.autocast(device, torch.bfloat16):
                found.append(vae.encode(pixel_values).latent_dist.mean.float().cpu())  # type: ignore[operator]
        latents = torch.cat(found)
        scaling_factor = 1 / latents.std().item()
        config_path = folder / "vae" / "config.json"
        config = json.loads(config_path.read_text(encoding="utf-8"))
        config_path.write_text(json.dumps({**config, "scaling_factor": scaling_factor}, indent=2) + "\n", encoding="utf-8")
        torch.save({"latents": latents * scaling_factor, "scaling_factor": scaling_factor}, path)
    saved = torch.load(path, weights_only=True)
    return saved["latents"], saved["scaling_factor"]
