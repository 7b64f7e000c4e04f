"""The embedded model's recipe and the full one, row by row, with components of a few thousand weights."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from jsd.options import SamplingOptions
from jsd.training.recipes import FULL, MINI, PHRASES, Recipe, Stage

PROMPTS = {"ja": ("サラリーマン 油絵",), "en": ("office worker, oil painting",)}
TEXT_ENCODER = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_act": "quick_gelu",
}


def shorten(stage: Stage) -> Stage:
    return replace(stage, train_batch_size=4, max_train_steps=2, lr_warmup_steps=1, gradient_accumulation_steps=1)


TOY = Recipe(
    name="toy",
    components={
        "vae": {
            "down_block_types": ["DownEncoderBlock2D"] * 3,
            "up_block_types": ["UpDecoderBlock2D"] * 3,
            "block_out_channels": [8, 8, 8],
            "layers_per_block": 1,
            "latent_channels": 4,
            "norm_num_groups": 4,
            "sample_size": 32,
            "mid_block_add_attention": False,
        },
        "text_encoder": TEXT_ENCODER,
        "upscaler": {"channels": 4, "num_blocks": 1},
        "unet": {
            **MINI.components["unet"],
            "sample_size": 8,
            "block_out_channels": [16, 32],
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
            "cross_attention_dim": 32,
            "norm_num_groups": 8,
        },
    },
    scheduler=MINI.scheduler,
    guidance_scale=MINI.guidance_scale,
    vocab_size={"ja": 200, "en": 200, PHRASES: 4000},
    model_max_length={"ja": 16, "en": 16, PHRASES: 16},
    sample_prompts=PROMPTS,
    stages={name: shorten(stage) for name, stage in MINI.stages.items()},
)
# FULL's rows on the toy folder of conftest.py, whose UNet reads features of 32.
TOY_FULL = replace(
    FULL,
    components={"text_encoder": TEXT_ENCODER},
    vocab_size={"ja": 200},
    model_max_length={"ja": 16},
    sample_prompts=PROMPTS,
    stages={name: shorten(stage) for name, stage in FULL.stages.items()},
)


@pytest.fixture(autouse=True, scope="module")
def few_steps() -> Iterator[None]:
    """Of the samples and prior pictures that a run draws: what they show is not looked at."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("logs", "lora"):
            patch.setattr(f"jsd.training.{module}.SamplingOptions", partial(SamplingOptions, num_inference_steps=2))
        yield
