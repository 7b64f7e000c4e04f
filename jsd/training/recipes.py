"""What is trained, in which order, with which hyper-parameters: rows of two tables, nothing else.

The method is Japanese Stable Diffusion's (model card of rinna/japanese-stable-diffusion, after PITI, arXiv
2205.12952): stage1 trains a Japanese text encoder from scratch in front of a fixed latent diffusion model, stage2 trains both.
`vae`, `clip_en` and `base` make the stand-in for Stable Diffusion v1-4, which is trained on English captions.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One row. Rates are per optimiser step, counts are optimiser steps or samples as named."""

    name: str
    objective: str  # "autoencoding", "contrastive" or "denoising"
    trains: tuple[str, ...]  # component names; every other component stays bit-identical
    starts_from: dict[str, str]  # component -> stage whose weights it takes; absent: from scratch
    language: str | None  # of the captions and the tokenizer
    with_japan: bool  # False: the Japan split is never shown
    train_batch_size: int
    max_train_steps: int
    learning_rate: float
    lr_warmup_steps: int
    ema_decay: float = 0.999
    max_grad_norm: float = 1.0
    caption_dropout: float = 0.1  # share of empty captions, for classifier-free guidance
    snr_gamma: float = 5.0  # min-SNR weighting, arXiv 2303.09556
    default_style_weight: float = 3.0  # how often a picture of the default style is drawn, against any other


@dataclass(frozen=True)
class Recipe:
    name: str
    components: dict[str, dict[str, Any]]  # component -> config of its diffusers or transformers class
    scheduler: dict[str, Any]
    vocab_size: dict[str, int]
    model_max_length: int
    stages: dict[str, Stage] = field(repr=False)


def _stages(*rows: Stage) -> dict[str, Stage]:
    return {row.name: row for row in rows}


MINI = Recipe(
    name="mini",
    components={
        "vae": {
            "down_block_types": ["DownEncoderBlock2D"] * 5,
            "up_block_types": ["UpDecoderBlock2D"] * 5,
            "block_out_channels": [32, 48, 64, 96, 128],
            "layers_per_block": 1,
            "latent_channels": 16,
            # Few groups: a group of two channels forgets how bright a plain surface is.
            "norm_num_groups": 4,
            "sample_size": 128,
            # Without attention a crop is coded as it is in the whole picture.
            "mid_block_add_attention": False,
        },
        "text_encoder": {
            "hidden_size": 256,
            "intermediate_size": 768,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "hidden_act": "quick_gelu",
        },
        "unet": {
            "sample_size": 8,
            "in_channels": 16,
            "out_channels": 16,
            "block_out_channels": [192, 192],
            "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
            "layers_per_block": 1,
            "attention_head_dim": 4,
            "cross_attention_dim": 256,
            "norm_num_groups": 32,
            # The pooled text also shifts every ResNet block: a short prompt has few tokens to attend to.
            "addition_embed_type": "text",
            "addition_embed_type_num_heads": 4,
        },
    },
    scheduler={
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "prediction_type": "v_prediction",
    },
    vocab_size={"ja": 3000, "en": 3000},
    model_max_length=16,
    stages=_stages(
        Stage("vae", "autoencoding", ("vae",), {}, None, False, 32, 2000, 1e-3, 100, ema_decay=0.995),
        Stage("clip_en", "contrastive", ("text_encoder", "image_encoder"), {}, "en", False, 256, 800, 1e-3, 50),
        Stage("base", "denoising", ("text_encoder", "unet"), {"text_encoder": "clip_en"}, "en", False,
              128, 3500, 1e-3, 100),
        Stage("clip_ja", "contrastive", ("text_encoder", "image_encoder"), {}, "ja", True, 256, 800, 1e-3, 50),
        Stage("stage1", "denoising", ("text_encoder",), {"unet": "base", "text_encoder": "clip_ja"}, "ja", True,
              128, 1500, 1e-3, 50),
        Stage("stage2", "denoising", ("text_encoder", "unet"), {"unet": "stage1", "text_encoder": "stage1"}, "ja", True,
              128, 3500, 6e-4, 100),
    ),
)  # fmt: skip

RECIPES = {recipe.name: recipe for recipe in (MINI,)}
