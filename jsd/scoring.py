"""How well a picture and a caption go together: a CLIP of two halves, each into vectors of length one.

A scorer is a folder of transformers' classes (AutoModel with `get_image_features` and `get_text_features`: CLIP,
SigLIP, SigLIP2), or `weights/clip_ja`, the repository's own: `JapaneseClip` with the SentencePiece vocabulary of the
embedded model. No code out of a folder is ever run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from jsd.atomic import write_json
from jsd.beside import weights_root
from jsd.errors import JsdError, ModelFolderError
from jsd.i18n import _
from jsd.models.configs import MAX_LAYERS, num_layers, read_json, unbuildable
from jsd.models.folder import folder_named
from jsd.prompting.tokenizer import JapaneseTokenizer

OWN, OWN_TYPE = "clip_ja", "jsd-japanese-clip"
SIZE_PX, NUM_ORIENTATIONS, THUMBNAIL_PX, LEVELS = 64, 8, 12, 4
Inputs = Mapping[str, Tensor]


class JapaneseClip(nn.Module):
    """Gradients and colours of a picture, and the pieces of a caption, each through two layers.

    The features of a picture are computed, not learnt: a few thousand drawings and some minutes of a CPU are too little
    for a convolutional network to see one thing in several hands.
    """

    mean: Tensor  # (F,), of the features of what it was trained on
    deviation: Tensor

    def __init__(self, vocab_size: int, pad_token_id: int, hidden_size: int, projection_dim: int) -> None:
        super().__init__()
        features = NUM_ORIENTATIONS * (8**2 + 4**2) + 3 * THUMBNAIL_PX**2 + LEVELS**3
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        self.image = nn.Sequential(
            nn.Dropout(0.3), nn.Linear(features, hidden_size), nn.GELU(), nn.Dropout(0.3),
            nn.Linear(hidden_size, projection_dim),
        )  # fmt: skip
        self.pieces = nn.Embedding(vocab_size, projection_dim, padding_idx=pad_token_id)
        self.text = nn.Sequential(
            nn.Linear(projection_dim, hidden_size), nn.GELU(), nn.Linear(hidden_size, projection_dim)
        )
        self.logit_scale = nn.Parameter(torch.tensor(2.659))  # log(1 / 0.07), arXiv 2103.00020

    @property
    def device(self) -> torch.device:
        return self.logit_scale.device

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        """(B, 3, 64, 64) in [-1, 1] -> (B, D)."""
        # On the CPU: MPS averages no sides that do not divide.
        return self.project(seen(pixel_values.cpu()).to(self.device))

    def project(self, features: Tensor) -> Tensor:
        """What `seen` gives (B, F) -> (B, D)."""
        projected: Tensor = self.image((features - self.mean) / self.deviation)
        return projected

    def get_text_features(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(B, L) -> (B, D)."""
        mask = attention_mask[..., None].float()
        mean = (self.pieces(input_ids) * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
        projected: Tensor = self.text(mean)
        return projected


def seen(pixel_values: Tensor) -> Tensor:
    """(B, 3, S, S) in [-1, 1] -> (B, F): gradients by cell and orientation (Dalal & Triggs, CVPR 2005), a thumbnail, a
    histogram of colours."""
    grey = pixel_values.mean(dim=1, keepdim=True)
    dx = F.pad(grey, (1, 1, 0, 0), "replicate").diff(dim=3)
    dy = F.pad(grey, (0, 0, 1, 1), "replicate").diff(dim=2)
    dx, dy = dx[..., 1:] + dx[..., :-1], dy[..., 1:, :] + dy[..., :-1, :]  # (B, 1, S, S)
    turn = (torch.atan2(dy, dx) % torch.pi) / torch.pi * NUM_ORIENTATIONS
    centres = torch.arange(NUM_ORIENTATIONS, device=turn.device)[None, :, None, None]
    away = (turn - centres).abs()
    oriented = torch.hypot(dx, dy) * F.relu(1 - torch.minimum(away, NUM_ORIENTATIONS - away))  # (B, 8, S, S)
    grids = [F.adaptive_avg_pool2d(oriented, cells).clamp(min=1e-8).sqrt().flatten(1) for cells in (8, 4)]
    thumbnail = F.adaptive_avg_pool2d(pixel_values, THUMBNAIL_PX).flatten(1)
    level = ((pixel_values + 1) / 2 * LEVELS).long().clamp(0, LEVELS - 1)
    colour = (level[:, 0] * LEVELS**2 + level[:, 1] * LEVELS + level[:, 2]).flatten(1)  # (B, S * S)
    shares = torch.zeros(len(colour), LEVELS**3, device=colour.device)
    shares.scatter_add_(1, colour, torch.full(colour.shape, 1 / colour.shape[1], device=colour.device))
    return torch.cat([*grids, thumbnail, shares.sqrt()], dim=1)


@dataclass(frozen=True)
class Scorer:
    name: str
    model: Any  # of transformers, or a JapaneseClip
    read_pictures: Callable[[Sequence[Image.Image]], Inputs]
    read_texts: Callable[[Sequence[str]], Inputs]
    tokenizer: JapaneseTokenizer | None = None  # of a JapaneseClip

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


def scorer_folder(folder: Path | None) -> Path:
    """The one that is named, else the repository's own; ModelFolderError where it cannot be a scorer."""
    if folder is None:
        folder = folder_named(OWN) or weights_root() / OWN
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
    if num_layers(config) > MAX_LAYERS:
        raise unbuildable(folder / "config.json", _("more than {limit} layers", limit=MAX_LAYERS))
    return folder


def load_scorer(folder: Path | None = None, device: str | torch.device = "cpu") -> Scorer:
    """`folder` None: the repository's own Japanese CLIP."""
    folder = scorer_folder(folder)
    config = read_json(folder / "config.json")
    try:
        if config.get("model_type") == OWN_TYPE:
            return Scorer(folder.name, load_own(folder, config).to(device).eval(), *_own(folder))
        from transformers import AutoModel

        model = AutoModel.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True).to(device).eval()
        if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
            raise ValueError(f"{type(model).__name__} has no get_image_features and get_text_features")
        return Scorer(folder.name, model, *_public(folder, model))
    except JsdError:
        raise
    except Exception as error:  # damaged files make the readers raise nearly anything
        raise ModelFolderError(
            "scorer.unreadable",
            "the scorer in {folder} cannot be loaded: {reason}; it needs the files of a CLIP or SigLIP of "
            "transformers, copy them again",
            folder=folder,
            reason=" ".join(str(error).split())[:300],
        ) from error


def load_own(folder: Path, config: Mapping[str, Any]) -> JapaneseClip:
    model = JapaneseClip(**{name: value for name, value in config.items() if name != "model_type"})
    model.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
    return model


def save_own(model: JapaneseClip, folder: Path) -> None:
    """In float16; the vocabulary goes beside it, into `tokenizer/`."""
    config = {
        "model_type": OWN_TYPE,
        "vocab_size": model.pieces.num_embeddings,
        "pad_token_id": model.pieces.padding_idx,
        "hidden_size": model.text[0].out_features,
        "projection_dim": model.pieces.embedding_dim,
    }
    write_json(folder / "config.json", config)
    save_file(
        {name: value.half().contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors"
    )


def _own(
    folder: Path,
) -> tuple[Callable[[Sequence[Image.Image]], Inputs], Callable[[Sequence[str]], Inputs], JapaneseTokenizer]:
    tokenizer = JapaneseTokenizer.load(folder / "tokenizer")

    def texts(captions: Sequence[str]) -> Inputs:
        return read_captions(captions, tokenizer)

    def pictures(images: Sequence[Image.Image]) -> Inputs:
        return {"pixel_values": pixels(np.stack([squared(image, SIZE_PX) for image in images]))}

    return pictures, texts, tokenizer


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
