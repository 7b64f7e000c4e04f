"""A text as read -> what a text encoder reads; its output with the weights laid on."""

import torch
from torch import Tensor

from jsd.prompting.prompts import PromptReading


def input_of(reading: PromptReading, num_windows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """reading -> input_ids (W, L) and the tokens' weights (W, L) in so many windows."""
    windows = reading.padded(num_windows)
    input_ids = torch.tensor([one.input_ids for one in windows], device=device)
    return input_ids, torch.tensor([one.weights for one in windows])


def weight_embeddings(embeddings: Tensor, weights: Tensor) -> Tensor:
    """embeddings (N, L, D) of N windows, weights (N, L) -> (N, L, D): each token scaled, each window's mean restored.

    As AUTOMATIC1111's web UI does it (`modules/sd_emphasis.py`, `EmphasisOriginal`): z' = z w, then
    z' mean(z) / mean(z'). That quotient is between 1 / max(w) and 1 / min(w) where the tokens' means share a sign;
    a text encoder whose last layer norm centres its output has means near 0 and could give any quotient, so it is
    held within these bounds. A window without weights is returned bit for bit.
    """
    weighted = weights != 1  # (N, L)
    if not bool(weighted.any()):
        return embeddings
    z, w = embeddings.float(), weights.to(embeddings.device).float()  # (N, L, D), (N, L)
    scaled = z * w[:, :, None]  # (N, L, D)
    quotient = z.mean(dim=(1, 2)) / scaled.mean(dim=(1, 2))  # (N,)
    low, high = 1 / w.amax(dim=1), 1 / w.amin(dim=1)  # (N,)
    quotient = torch.nan_to_num(quotient, nan=1.0).clamp(low, high)
    scaled = (scaled * quotient[:, None, None]).to(embeddings.dtype)
    return torch.where(weighted.any(dim=1).to(z.device)[:, None, None], scaled, embeddings)
