"""What is trained, in which order, with which hyper-parameters: rows of two tables, nothing else.

The method is Japanese Stable Diffusion's (model card of rinna/japanese-stable-diffusion, after PITI, arXiv
2205.12952): stage1 trains a Japanese text encoder from scratch in front of a fixed latent diffusion model, stage2
trains both.
`vae`, `clip_en` and `base` make the stand-in for Stable Diffusion v1-4, which is trained on English captions;
`decoder` sharpens what stage2 draws; `text` teaches another encoder to read what people write; `joint` trains
both halves on composed scenes; in `parts` the encoder learns to say the things of a text apart, in `scenes` the UNet
to draw them so; `upscaler` makes what the VAE gives back four times as large.
"""

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Adapter:
    """LoRA (arXiv 2106.09685) on layers that stay as they are, and what keeps other prompts as they were.

    A prior picture is one that the model drew before: at it, noised, the model shall predict what it predicted then.
    """

    rank: int
    targets: dict[str, tuple[str, ...]]  # component -> how the names of its layers end
    num_prior_pictures: int
    prior_batch_size: int
    prior_loss_weight: float
    caption_templates: tuple[str, ...]  # one is drawn at each step


@dataclass(frozen=True)
class Stage:
    """One row. Rates are per optimiser step; counts are optimiser steps or samples, as named."""

    name: str
    objective: str  # "autoencoding", "contrastive", "denoising", "decoding", "reading" or "upscaling"
    trains: tuple[str, ...]  # components, or parts of one; everything else stays bit-identical
    starts_from: dict[
        str, str
    ]  # component -> the stage, or "base" folder, whose weights it takes; absent: from scratch
    language: str | None  # of the captions and the tokenizer
    with_japan: bool  # False: the Japan split is never shown
    train_batch_size: int
    max_train_steps: int
    learning_rate: float
    lr_warmup_steps: int
    gradient_accumulation_steps: int = 1
    ema_decay: float = 0.995
    max_grad_norm: float = 1.0
    caption_dropout: float = 0.1  # share of empty captions, for classifier-free guidance
    snr_gamma: float = 5.0  # min-SNR weighting, arXiv 2303.09556
    default_style_weight: float = 3.0  # how often a picture of the default style is drawn, against any other
    vocabulary: str | None = None  # None: the one that is called as the language
    scenes: float = 0.0  # share of composed scenes in a batch
    text_weight: float = 0.0  # of the loss that keeps spellings and sentences like the names that they stand for
    drawn: tuple[str, ...] = ()  # of colours, counts, places and pairs, what phrases ask for and scenes show
    in_parts: bool = False  # the text encoder learns to say things, colours, counts, places, relations apart
    adapter: Adapter | None = None  # instead of the weights of what trains


@dataclass(frozen=True)
class Recipe:
    """Components that are not listed, and a scheduler that is None, come from the folder given as --base."""

    name: str
    components: dict[str, dict[str, Any]]  # component -> config of its diffusers or transformers class
    scheduler: dict[str, Any] | None
    guidance_scale: float | None  # written into the model folder; None: Stable Diffusion's
    vocab_size: dict[str, int]  # vocabulary -> pieces
    model_max_length: dict[str, int]  # vocabulary -> tokens of its window
    sample_prompts: dict[str, tuple[str, ...]] = field(repr=False)  # drawn at every checkpoint
    stages: dict[str, Stage] = field(repr=False)


PHRASES = "phrases"  # the vocabulary of what people write
# Names in jsd.prompting.styles.STYLES that the embedded model draws, and offers.
STYLES_DRAWN = ("油絵", "水彩画", "線画", "ドット絵", "フラットデザイン", "白黒写真")
# What seeds put behind the bare name of a thing, in turn (jsd.prompting.designs): half of them are in Fluent 3D.
DESIGNS_DRAWN = ("", "フラット", "立体", "絵文字")
COMPONENTS = ("text_encoder", "unet", "vae")
SAMPLE_PROMPTS: dict[str, tuple[str, ...]] = {
    "ja": (
        "サラリーマン 油絵",
        "富士山",
        "桜 水彩画",
        "新幹線",
        "キラキラ",
        "すし ドット絵",
        "赤リンゴ",
        "ネコの顔、青い背景",
    ),
    "en": (
        "office worker, oil painting",
        "rocket",
        "rose watercolour",
        "bus",
        "rainbow",
        "pizza pixel art",
        "tiger",
        "cat face, blue background",
    ),
}


def _all(stage: str) -> dict[str, str]:
    """Every component of a whole model from one stage."""
    return {component: stage for component in COMPONENTS}


def _stages(*rows: Stage) -> dict[str, Stage]:
    return {row.name: row for row in rows}


BOTH = ("text_encoder", "unet")
DRAWN = ("colour", "count", "place", "pair")  # what words change, where a UNet has learnt it
SAID = ("colour", "count", "pair")  # what the encoder of parts has learnt to say
# fmt: off
MINI_STAGES = _stages(
    # name, objective, trains, starts from, language, with Japan, batch, steps, rate, warm-up
    Stage("vae", "autoencoding", ("vae",), {}, None, False, 32, 2000, 1e-3, 100),
    Stage("clip_en", "contrastive", ("text_encoder", "image_encoder"), {"vae": "vae"}, "en", False, 256, 300, 1e-3, 50),
    Stage("base", "denoising", BOTH, {"vae": "vae", "text_encoder": "clip_en"}, "en", False, 64, 1100, 1e-3, 100),
    Stage("clip_ja", "contrastive", ("text_encoder", "image_encoder"), {"vae": "vae"}, "ja", True, 256, 300, 1e-3, 50),
    Stage("stage1", "denoising", ("text_encoder",), {"vae": "vae", "unet": "base", "text_encoder": "clip_ja"},
          "ja", True, 64, 320, 1e-3, 50),
    Stage("stage2", "denoising", BOTH, _all("stage1"), "ja", True, 64, 7800, 8e-4, 100, ema_decay=0.999),
    Stage("decoder", "decoding", ("vae.post_quant_conv", "vae.decoder"), _all("stage2"), "ja", True, 8, 5000, 5e-4, 100,
          ema_decay=0.999),
    Stage("text", "reading", ("text_encoder",), _all("decoder"), "ja", True, 256, 1200, 1.2e-3, 50,
          caption_dropout=0.06, vocabulary=PHRASES),
    Stage("joint", "denoising", BOTH, _all("text"), "ja", True, 64, 5600, 4.5e-4, 100,
          ema_decay=0.998, vocabulary=PHRASES, scenes=0.7, text_weight=0.5, drawn=DRAWN),
    Stage("parts", "reading", ("text_encoder",), _all("joint"), "ja", True, 256, 21150, 1.2e-3, 100,
          caption_dropout=0.06, vocabulary=PHRASES, drawn=SAID, in_parts=True),
    Stage("scenes", "denoising", ("unet",), _all("parts"), "ja", True, 64, 16230, 6e-4, 100,
          ema_decay=0.998, vocabulary=PHRASES, scenes=0.6, drawn=SAID),
    Stage("upscaler", "upscaling", ("upscaler",), {"vae": "decoder"}, None, True, 16, 4000, 1e-3, 100, ema_decay=0.999),
)
FULL_STAGES = _stages(
    Stage("stage1", "denoising", ("text_encoder",), {"vae": "base", "unet": "base"}, "ja", True, 16, 200_000, 1e-4,
          1000, gradient_accumulation_steps=16, ema_decay=0.9999),
    Stage("stage2", "denoising", BOTH, _all("stage1"), "ja", True, 8, 100_000, 1e-5, 1000,
          gradient_accumulation_steps=32, ema_decay=0.9999),
)
# fmt: on

MINI = Recipe(
    name="mini",
    components={
        "vae": {
            "down_block_types": ["DownEncoderBlock2D"] * 4,
            "up_block_types": ["UpDecoderBlock2D"] * 4,
            "block_out_channels": [32, 64, 96, 128],
            "layers_per_block": 1,
            "latent_channels": 4,
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
        "upscaler": {"channels": 64, "num_blocks": 6},
        "unet": {
            "sample_size": 16,
            "in_channels": 4,
            "out_channels": 4,
            # A thin first level: most of the work is done on 8x8 positions.
            "block_out_channels": [64, 192, 192],
            # Of 4x4 positions the way up alone reads the text: the others said next to nothing (runs/prune.py).
            "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
            "mid_block_type": None,
            "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
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
    guidance_scale=4.0,  # measured: docs/training-log.md
    vocab_size={"ja": 3000, "en": 3000, PHRASES: 8000},
    model_max_length={"ja": 16, "en": 16, PHRASES: 16},
    sample_prompts=SAMPLE_PROMPTS,
    stages=MINI_STAGES,
)

# Stable Diffusion v1 with rinna's text encoder (facts of the model card): the base is any Stable Diffusion v1 folder.
FULL = Recipe(
    name="full",
    components={
        "text_encoder": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "hidden_act": "quick_gelu",
        }
    },
    scheduler=None,
    guidance_scale=None,
    vocab_size={"ja": 32000},
    model_max_length={"ja": 77},
    sample_prompts=SAMPLE_PROMPTS,
    stages=FULL_STAGES,
)

# Own pictures, 8 to 40 of them.
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
ATTENTION_TARGETS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")
# What a prompt draws must not change: 富士山 stays a mountain. Of a folder that lists what it knows, its own names.
PRIOR_PROMPTS = (
    "富士山", "桜", "猫", "犬", "鳥", "魚", "花", "木", "家", "車", "電車", "自転車", "海", "山", "空", "街",
    "男の人", "女の人", "子供", "サラリーマン", "寿司", "ラーメン", "りんご", "ケーキ", "本", "椅子", "時計", "傘",
)  # fmt: skip
CAPTION_TEMPLATES = ("{caption}", "{caption}", "{trigger}", "{trigger}の絵")


def _lora(name: str, stage: Stage) -> Recipe:
    starts_from = dict.fromkeys(COMPONENTS, "base")
    stage = replace(stage, starts_from=starts_from)
    return Recipe(name, {}, None, None, {}, {}, {"ja": ("富士山", "猫")}, {stage.name: stage})


# fmt: off
LORA = _lora("lora", Stage(
    "lora", "denoising", BOTH, {}, "ja", True, 4, 150, 2e-3, 20, ema_decay=0.99,
    adapter=Adapter(
        rank=8, num_prior_pictures=64, prior_batch_size=4, prior_loss_weight=1.0, caption_templates=CAPTION_TEMPLATES,
        targets={"text_encoder": TEXT_TARGETS, "unet": (*ATTENTION_TARGETS, "conv1", "conv2")},
    ),
))
# Stable Diffusion v1's size.
LORA_FULL = _lora("lora-full", Stage(
    "lora", "denoising", BOTH, {}, "ja", True, 2, 1000, 1e-4, 50, ema_decay=0.99,
    adapter=Adapter(
        rank=16, num_prior_pictures=64, prior_batch_size=2, prior_loss_weight=1.0, caption_templates=CAPTION_TEMPLATES,
        targets={"text_encoder": TEXT_TARGETS, "unet": ATTENTION_TARGETS},
    ),
))
# fmt: on
RECIPES = {recipe.name: recipe for recipe in (MINI, FULL, LORA, LORA_FULL)}
