"""How well a picture and a caption go together: a CLIP of two halves, each into vectors of length one.

A scorer is a folder of transformers' classes (AutoModel with `get_image_features` and `get_text_features`: CLIP,
SigLIP, SigLIP2, a vision-text dual encoder). The repository's own, `weights/clip_ja`, is such a folder with the
SentencePiece vocabulary of the embedded model. No code out of a folder is ever run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from jsd.errors import ModelFolderError
from jsd.models.configs import read_json
from jsd.models.folder import weights_root
from jsd.prompting.tokenizer import VOCABULARY_FILE, JapaneseTokenizer

OWN = "clip_ja"
Inputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Scorer:
    name: str
    model: Any  # of transformers
    read_pictures: Callable[[Sequence[Image.Image]], Inputs]
    read_texts: Callable[[Sequence[str]], Inputs]

    @torch.inference_mode()
    def image_features(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB -> (B, D), of length one."""
        return self._features(self.model.get_image_features(**self._moved(self.read_pictures(images))))

    @torch.inference_mode()
    def text_features(self, captions: Sequence[str]) -> Tensor:
        """(B, D), of length one."""
        return self._features(self.model.get_text_features(**self._moved(self.read_texts(captions))))

    def similarity(self, images: Sequence[Image.Image], captions: Sequence[str]) -> Tensor:
        """(B,): the cosine of each picture and its caption, in [-1, 1]."""
        return (self.image_features(images) * self.text_features(captions)).sum(dim=1)

    def _moved(self, inputs: Inputs) -> dict[str, Tensor]:
        return {name: value.to(self.model.device) for name, value in inputs.items()}

    @staticmethod
    def _features(output: Any) -> Tensor:
        features = output if isinstance(output, Tensor) else output.pooler_output
        return torch.nn.functional.normalize(features.float(), dim=-1).cpu()


def load_scorer(folder: Path | None = None, device: str = "cpu") -> Scorer:
    """`folder` None: the repository's own Japanese CLIP."""
    from transformers import AutoModel

    folder = weights_root() / OWN if folder is None else folder
    if not (folder / "config.json").is_file():
        raise ModelFolderError(
            "scorer.absent",
            "a scorer must be a folder with config.json and model.safetensors, and {folder} is none; give a CLIP or "
            "SigLIP of transformers, or leave it out for weights/clip_ja",
            folder=folder,
        )
    config = read_json(folder / "config.json")
    if "auto_map" in config:
        raise ModelFolderError(
            "scorer.code",
            "a scorer must be one of transformers' own classes, and {folder} needs code of its own ({value}), which is "
            "never run; take a CLIP or SigLIP, as llm-jp/waon-siglip2-base-patch16-256",
            folder=folder,
            value=config.get("model_type"),
        )
    try:
        model = AutoModel.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True).to(device).eval()
        if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
            raise ValueError(f"{type(model).__name__} has no get_image_features and get_text_features")
        if (folder / "tokenizer" / VOCABULARY_FILE).is_file():
            return Scorer(folder.name, model, *_own(folder, config))
        return Scorer(folder.name, model, *_public(folder, model))
    except (ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise ModelFolderError(
            "scorer.unreadable",
            "the scorer in {folder} cannot be loaded: {reason}; it needs the files of a CLIP or SigLIP of "
            "transformers, copy them again",
            folder=folder,
            reason=" ".join(str(error).split())[:300],
        ) from error


def _own(
    folder: Path, config: Mapping[str, Any]
) -> tuple[Callable[[Sequence[Image.Image]], Inputs], Callable[[Sequence[str]], Inputs]]:
    tokenizer = JapaneseTokenizer.load(folder / "tokenizer")
    size = int(config["vision_config"]["image_size"])

    def texts(captions: Sequence[str]) -> Inputs:
        return read_captions(captions, tokenizer)

    def pictures(images: Sequence[Image.Image]) -> Inputs:
        return {"pixel_values": pixels(np.stack([squared(image, size) for image in images]))}

    return pictures, texts


def read_captions(captions: Sequence[str], tokenizer: JapaneseTokenizer) -> dict[str, Tensor]:
    """As `clip_ja` reads them: input_ids and attention_mask (B, L)."""
    input_ids = torch.tensor([tokenizer.encode(caption) for caption in captions])
    return {"input_ids": input_ids, "attention_mask": (input_ids != tokenizer.pad_token_id).long()}


def squared(image: Image.Image, size: int) -> np.ndarray:
    """(size, size, 3): the whole picture, on white where it is no square."""
    return np.asarray(ImageOps.pad(image.convert("RGB"), (size, size), Image.Resampling.BICUBIC, (255, 255, 255)))


def pixels(pictures: np.ndarray) -> Tensor:
    """(B, H, W, 3) bytes -> (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def _public(
    folder: Path, model: Any
) -> tuple[Callable[[Sequence[Image.Image]], Inputs], Callable[[Sequence[str]], Inputs]]:
    from transformers import AutoImageProcessor, AutoTokenizer

    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    window = int(model.config.text_config.max_position_embeddings)
    # SigLIP was trained on full windows, and has no mask for a shorter one.
    padding = "max_length" if model.config.model_type.startswith("siglip") else True

    def texts(captions: Sequence[str]) -> Inputs:
        return dict(tokenizer(list(captions), padding=padding, truncation=True, max_length=window, return_tensors="pt"))

    def pictures(images: Sequence[Image.Image]) -> Inputs:
        return dict(processor(images=list(images), return_tensors="pt"))

    return pictures, texts
