"""What is judged: a picture, and the prompt that it was drawn for."""

from dataclasses import dataclass

import numpy as np

from jsd.training.evaluation.prompt_sets import Prompt


@dataclass(frozen=True)
class Drawing:
    prompt: Prompt
    seed: int
    picture: np.ndarray  # (H, W, 3) uint8
