"""Prompts as the UNet is given them, without a picture."""

from collections.abc import Sequence

from torch import Tensor

from jsd.pipeline import Pipeline
from jsd.prompting.prompts import read_prompt


def encode_prompt(pipeline: Pipeline, prompts: Sequence[str]) -> Tensor:
    """prompts (B) -> embeddings (B, W L, D), W windows."""
    readings = [read_prompt(pipeline.tokenizer, prompt, "prompt") for prompt in prompts]
    num_windows = max(len(one.windows) for one in readings)
    return pipeline.text_encoders.encode(readings, num_windows)[0].to(pipeline.dtype)
