"""A whole SDXL folder of random weights, 32 px, as Tohoku University's SDXL-jp is laid out."""

import json
from pathlib import Path

import torch
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from diffusers.schedulers import EulerDiscreteScheduler
from toy_folder import train_vocabulary
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from jsd.prompting.tokenizer import JapaneseTokenizer

WIDTHS = (32, 48)  # of the two text encoders
INDEX = {
    "_class_name": "StableDiffusionXLPipeline",
    "force_zeros_for_empty_prompt": True,
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "T5Tokenizer"],
    "tokenizer_2": ["transformers", "T5Tokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def write_toy_sdxl_folder(folder: Path) -> Path:
    for name in ("tokenizer", "tokenizer_2"):
        train_vocabulary(folder / name, model_max_length=16)
    vocab_size = JapaneseTokenizer.load(folder / "tokenizer").vocab_size
    torch.manual_seed(0)
    for number, width in enumerate(WIDTHS):
        config = CLIPTextConfig(
            vocab_size=vocab_size,
            hidden_size=width,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=4,
            max_position_embeddings=16,
            projection_dim=24,
            hidden_act=("quick_gelu", "gelu")[number],
            pad_token_id=3,
            bos_token_id=1,
            eos_token_id=2,  # transformers then pools at the largest token id; the model was trained so
        )
        encoder = (CLIPTextModel, CLIPTextModelWithProjection)[number](config)
        encoder.save_pretrained(folder / ("text_encoder", "text_encoder_2")[number])
    UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2),
        cross_attention_dim=sum(WIDTHS),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24 + 6 * 8,
    ).save_pretrained(folder / "unet")
    AutoencoderKL(
        latent_channels=4,
        block_out_channels=(32,) * 3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        sample_size=32,
        scaling_factor=0.13025,
        force_upcast=True,
    ).save_pretrained(folder / "vae")
    EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
    ).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(INDEX), "utf-8")
    return folder
