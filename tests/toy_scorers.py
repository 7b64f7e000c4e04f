"""Scorers of a few thousand weights, in the files of the public ones and of the repository's own."""

from pathlib import Path

import torch
from conftest import train_vocabulary
from transformers import (
    BertConfig,
    CLIPConfig,
    CLIPModel,
    ConvNextConfig,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

TOWER = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
PICTURES = {"image_size": 32, "patch_size": 8}


def write_own(folder: Path) -> Path:
    """As `weights/clip_ja`."""
    torch.manual_seed(0)
    train_vocabulary(folder / "tokenizer", model_max_length=16)
    vision = ConvNextConfig(
        image_size=32, num_stages=2, hidden_sizes=[8, 16], depths=[1, 1], hidden_size=16, layer_scale_init_value=1.0
    )
    text = BertConfig(vocab_size=200, max_position_embeddings=16, **TOWER)
    config = VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=16)
    VisionTextDualEncoderModel(config).save_pretrained(folder)
    return folder


def write_clip(folder: Path) -> Path:
    text = {**TOWER, "vocab_size": 300, "max_position_embeddings": 16, "bos_token_id": 1, "eos_token_id": 2}
    return _public(
        folder, CLIPModel(CLIPConfig(text_config=text, vision_config={**TOWER, **PICTURES}, projection_dim=16)), "CLIP"
    )


def write_siglip(folder: Path) -> Path:
    """The class of SigLIP2's folders of one resolution, as llm-jp's."""
    text = {**TOWER, "vocab_size": 300, "max_position_embeddings": 16}
    return _public(folder, SiglipModel(SiglipConfig(text_config=text, vision_config={**TOWER, **PICTURES})), "Siglip")


def _public(folder: Path, model: torch.nn.Module, kind: str) -> Path:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

    letters = pre_tokenizers.ByteLevel.alphabet()
    words = {word: number for number, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", *sorted(letters)])}
    tokenizer = Tokenizer(models.BPE(words, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    processors = {"CLIP": CLIPImageProcessorPil, "Siglip": SiglipImageProcessorPil}
    size = {"height": 32, "width": 32}
    processors[kind](size=size, crop_size=size).save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
