"""What the UNet is told of the texts: by one text encoder (Stable Diffusion v1), or by two (SDXL, arXiv 2307.01952).

SDXL reads the last hidden states but one of both encoders side by side, the second encoder's pooled text, and six
numbers, the time ids: the size of the picture that was trained on, where it was cropped, the size that is drawn.

A model that was distilled together with its guidance (LCM, arXiv 2310.04378) is told the scale w instead of being asked
twice: its UNet's config names `time_cond_proj_dim`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor

from jsd.errors import Note
from jsd.options import SamplingOptions
from jsd.prompting.embeddings import input_of, weight_embeddings
from jsd.prompting.prompts import PromptReading, Prompts


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """Named as `jsd.sampling.denoise` takes them; `negative_prompt_embeds` is None at guidance 1."""

    prompt_embeds: Tensor  # (B, W L, D), W windows
    negative_prompt_embeds: Tensor | None
    # None, or of SDXL {"text_embeds": (N, P), "time_ids": (N, 6)}; N = 2B with the negative ones first, B at guidance 1
    added_cond_kwargs: dict[str, Tensor] | None = None
    timestep_cond: Tensor | None = None  # (B, G): the guidance scale, of a model distilled with it


@dataclass(frozen=True, kw_only=True)
class TextEncoders:
    """`second` is None for Stable Diffusion v1."""

    first: Any  # transformers.CLIPTextModel
    second: Any = None  # transformers.CLIPTextModelWithProjection
    zero_empty_negative: bool = False  # SDXL's force_zeros_for_empty_prompt: no negative prompt is zeros, not ""
    guidance_width: int | None = None  # G; None where guidance is two calls of the UNet

    def is_guided(self, guidance_scale: float) -> bool:
        """Whether the negative prompt is read."""
        return guidance_scale != 1 and not self.is_distilled

    @property
    def is_distilled(self) -> bool:
        return self.guidance_width is not None

    def notes(self, options: SamplingOptions, prompts: Sequence[Prompts]) -> list[Note]:
        """On what is not used, at guidance 1 or by a model distilled with its guidance; `options` are resolved."""
        unused = ["negative_prompt"] * any(one.negative_prompt.text for one in prompts)
        unused += ["guidance_start, guidance_end"] * ((options.guidance_start, options.guidance_end) != (0, 1))
        if not unused or self.is_guided(options.guidance_scale or 0):
            return []
        field = ", ".join(unused)
        if not self.is_distilled:
            return [
                Note(
                    "guidance.none",
                    "{field}: not used, for at guidance_scale 1 the prompt alone is read; choose a larger one",
                    field=field,
                )
            ]
        return [
            Note(
                "guidance.distilled",
                "{field}: not used, for this model was distilled together with its guidance",
                field=field,
            )
        ]

    def condition(
        self,
        prompts: Sequence[Prompts],
        num_windows: int,
        *,
        guidance_scale: float,
        size: tuple[int, int],
        dtype: torch.dtype,
    ) -> Conditioning:
        """prompts (B) -> what the UNet is told; `size` (width, height) of the output, px."""
        positive, pooled = self.encode([one.prompt for one in prompts], num_windows)
        negative, negative_pooled = None, None
        if self.is_guided(guidance_scale):
            texts = [one.negative_prompt for one in prompts]
            negative, negative_pooled = self.encode(texts, num_windows)
            if self.zero_empty_negative:
                is_empty = torch.tensor([reading.read == "" for reading in texts], device=negative.device)
                negative = negative.masked_fill(is_empty[:, None, None], 0)
                if negative_pooled is not None:
                    negative_pooled = negative_pooled.masked_fill(is_empty[:, None], 0)
        added = None
        if pooled is not None:
            width, height = size
            all_pooled = pooled if negative_pooled is None else torch.cat([negative_pooled, pooled])  # (N, P)
            time_ids = torch.tensor([[height, width, 0, 0, height, width]], device=pooled.device)
            added = {"text_embeds": all_pooled.to(dtype), "time_ids": time_ids.repeat(len(all_pooled), 1).to(dtype)}
        scale = None
        if self.guidance_width is not None:
            scale = guidance_embedding(guidance_scale, self.guidance_width).to(positive.device, dtype)
        return Conditioning(
            prompt_embeds=positive.to(dtype),
            negative_prompt_embeds=None if negative is None else negative.to(dtype),
            added_cond_kwargs=added,
            timestep_cond=None if scale is None else scale.expand(len(positive), -1),
        )

    @torch.inference_mode()
    def encode(self, readings: Sequence[PromptReading], num_windows: int) -> tuple[Tensor, Tensor | None]:
        """readings (B) -> embeddings (B, W L, D), pooled text (B, P) of each first window, None with one encoder.

        Each different text is encoded once in each of its designs, alone: rounding differs between sizes of batches.
        """
        different = {(reading.text, reading.design): reading for reading in readings}
        encoded = {key: self._encode_one(reading, num_windows) for key, reading in different.items()}
        hidden, pooled = zip(*(encoded[reading.text, reading.design] for reading in readings), strict=True)
        return torch.cat(hidden), None if self.second is None else torch.cat(pooled)

    def _encode_one(self, reading: PromptReading, num_windows: int) -> tuple[Tensor, Tensor | None]:
        """reading -> embeddings (1, W L, D), pooled text (1, P)."""
        input_ids, weights = input_of(reading, num_windows, self.first.device)  # (W, L) each
        if self.second is None:
            hidden, pooled = weight_embeddings(self.first(input_ids).last_hidden_state, weights), None
        else:
            outputs = [encoder(input_ids, output_hidden_states=True) for encoder in (self.first, self.second)]
            weighted = [weight_embeddings(output.hidden_states[-2], weights) for output in outputs]
            hidden = torch.cat(weighted, dim=-1)  # (W, L, D)
            pooled = outputs[1].text_embeds[:1]
        return hidden.reshape(1, -1, hidden.shape[-1]), pooled  # the windows side by side


def guidance_embedding(guidance_scale: float, width: int) -> Tensor:
    """w -> (width,) float32: w - 1, since the paper counts from 0, as sines and cosines."""
    half = width // 2
    rates = torch.exp(torch.arange(half) * (-log(10_000) / (half - 1)))
    angles = 1000 * (guidance_scale - 1) * rates
    return torch.nn.functional.pad(torch.cat([angles.sin(), angles.cos()]), (0, width % 2))
