"""What is judged: a picture, the prompt that it was drawn for, and how."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.training.evaluation.prompt_sets import Prompt


@dataclass(frozen=True)
class Drawing:
    prompt: Prompt
    seed: int
    picture: np.ndarray  # (H, W, 3) uint8


def how(pipeline: Pipeline, options: SamplingOptions) -> dict[str, Any]:
    """Of a report: what must be given to draw it again."""
    scale = pipeline.guidance_scale if options.guidance_scale is None else options.guidance_scale
    return {
        "num_inference_steps": options.num_inference_steps,
        "guidance_scale": scale,
        "guidance_start": options.guidance_start,
        "guidance_end": options.guidance_end,
        "designs": [] if pipeline.tokenizer.known is None else list(pipeline.tokenizer.known.designs),
    }
