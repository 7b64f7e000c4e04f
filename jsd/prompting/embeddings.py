"""Texts as read -> the text encoder's output, its windows side by side and its weights laid on."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from jsd.prompting.prompts import PromptReading


@torch.inference_mode()
def embed(text_encoder: Any, readings: Sequence[PromptReading], num_windows: int) -> Tensor:
    """readings (B) -> embeddings (B, W L, D), each different text encoded once, in W windows."""
    different = {reading.text: reading for reading in readings}
    windows = [window for reading in different.values() for window in reading.padded(num_windows)]
    input_ids = torch.tensor([window.input_ids for window in windows], device=text_encoder.device)  # (B W, L)
    weights = torch.tensor([window.weights for window in windows])  # (B W, L)
    embeddings = weight_embeddings(text_encoder(input_ids).last_hidden_state, weights)  # (B W, L, D)
    embeddings = embeddings.reshape(len(different), -1, embeddings.shape[-1])  # (B, W L, D)
    rows = list(different)
    return embeddings[[rows.index(reading.text) for reading in readings]]


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
