"""The toy model: a whole model folder of random weights, as diffusers and transformers save one; its vocabulary."""

import json
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

SENTENCES = (
    "サラリーマン 油絵",
    "猫の肖像画 油絵",
    "富士山と桜の水彩画",
    "夏の海、こいのぼり",
    "赤い背景に立つ鳥居",
    "キラキラした寿司の絵文字",
)
# As in rinna's folder: a class that diffusers does not have.
INDEX = {
    "_class_name": "JapaneseStableDiffusionPipeline",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "T5Tokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def train_vocabulary(
    folder: Path, sentences: Iterable[str] = SENTENCES, model_max_length: int | None = None, **training: object
) -> Path:
    """Write a tokenizer folder with the released vocabulary's control pieces."""
    from sentencepiece import SentencePieceTrainer

    model = BytesIO()
    settings = {
        "vocab_size": 80,
        "hard_vocab_limit": False,
        "normalization_rule_name": "nmt_nfkc",
        "pad_id": 3,
        "pad_piece": "[PAD]",
        "control_symbols": ["[CLS]", "[SEP]", "[MASK]"],
        "minloglevel": 2,
    }
    SentencePieceTrainer.train(sentence_iterator=iter(sentences), model_writer=model, **{**settings, **training})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(model.getvalue())
    if model_max_length is not None:
        config = {"model_max_length": model_max_length, "do_lower_case": True}
        (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return folder


def write_toy_folder(
    folder: Path,
    *,
    latent_channels: int = 4,
    vae_blocks: int = 3,
    prediction_type: str = "epsilon",
    time_cond_proj_dim: int | None = None,
) -> Path:
    """A diffusers folder: pictures of 8 latents a side, each 2 ** (vae_blocks - 1) px wide."""
    import torch
    from diffusers.models import AutoencoderKL, UNet2DConditionModel
    from diffusers.schedulers import DDIMScheduler
    from transformers import CLIPTextConfig, CLIPTextModel

    from jsd.prompting.tokenizer import JapaneseTokenizer

    tokenizer = JapaneseTokenizer.load(train_vocabulary(folder / "tokenizer", model_max_length=16))
    torch.manual_seed(0)
    text_config = CLIPTextConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=16,
        pad_token_id=3,
        bos_token_id=1,
        eos_token_id=2,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=latent_channels,
        out_channels=latent_channels,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        attention_head_dim=4,
        time_cond_proj_dim=time_cond_proj_dim,
    )
    vae = AutoencoderKL(
        latent_channels=latent_channels,
        block_out_channels=(32,) * vae_blocks,
        down_block_types=("DownEncoderBlock2D",) * vae_blocks,
        up_block_types=("UpDecoderBlock2D",) * vae_blocks,
        sample_size=8 * 2 ** (vae_blocks - 1),
    )
    CLIPTextModel(text_config).save_pretrained(folder / "text_encoder")
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction_type
    ).save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps(INDEX), "utf-8")
    return folder
