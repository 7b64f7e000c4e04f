"""Scorers of a few thousand weights, in the files of the public ones and of the repository's own."""

from pathlib import Path

import torch
from toy_folder import train_vocabulary
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast, SiglipConfig, SiglipModel

from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.scoring import JapaneseClip, save_own

TOWER = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
PICTURES = {"image_size": 32, "patch_size": 8}


def write_own(folder: Path) -> Path:
    """As `weights/clip_ja`."""
    torch.manual_seed(0)
    tokenizer = JapaneseTokenizer.load(train_vocabulary(folder / "tokenizer", model_max_length=16))
    save_own(JapaneseClip(tokenizer.vocab_size, tokenizer.pad_token_id, hidden_size=16, projection_dim=8), folder)
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
