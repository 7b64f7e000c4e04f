"""Build, load and save the components of a model folder: plain diffusers and transformers classes."""

from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from jsd.atomic import copy_plain, write_json, write_text
from jsd.errors import ModelFolderError
from jsd.models.components import load_network
from jsd.models.configs import GENERATION_CONFIG
from jsd.models.record import licence_front_matter
from jsd.models.upscaler import Upscaler
from jsd.models.verify import verify_network
from jsd.models.weights import CHECKER, UPSCALER
from jsd.prompting.tokenizer import JapaneseTokenizer

CLASSES: dict[str, Any] = {
    "vae": AutoencoderKL,
    "unet": UNet2DConditionModel,
    "text_encoder": CLIPTextModel,
    "upscaler": Upscaler,
}
INITIAL_LOGVAR = -4.0
UNTRAINED = (UPSCALER, CHECKER, "feature_extractor")  # folders of a model that draws


class ImageEncoder(nn.Module):
    """The picture half of the contrastive stage: latents (B, C, h, w) -> image_features (B, D), of length one."""

    def __init__(self, latent_channels: int, size: int, width: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(latent_channels, width, 3, padding=1),  # (B, width, h, w)
            nn.SiLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1),  # (B, width, h/2, w/2)
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(width * (size // 2) ** 2, dim),
        )
        self.text_projection = nn.Linear(dim, dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(2.659))  # log(1 / 0.07), arXiv 2103.00020

    def forward(self, latents: Tensor) -> Tensor:
        features: Tensor = self.layers(latents)
        return nn.functional.normalize(features.float(), dim=-1)

    def text_features(self, hidden: Tensor, input_ids: Tensor, eos_token_id: int) -> Tensor:
        """hidden (B, L, D) at the first </s> -> text_features (B, D), of length one."""
        end = (input_ids == eos_token_id).int().argmax(dim=1)  # (B,)
        pooled = hidden[torch.arange(len(hidden)), end]
        return nn.functional.normalize(self.text_projection(pooled).float(), dim=-1)


def build(component: str, config: dict[str, Any], tokenizer: JapaneseTokenizer | None = None) -> Any:
    """A component with fresh weights."""
    if component == "text_encoder":
        assert tokenizer is not None
        return CLIPTextModel(
            CLIPTextConfig(
                **config,
                vocab_size=tokenizer.vocab_size,
                max_position_embeddings=tokenizer.model_max_length,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=1,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
    module = CLASSES[component](**config)
    if component == "vae":
        _start_near_linear(module)
    return module


@torch.no_grad()
def _start_near_linear(vae: Any) -> None:
    """Residual branches start at zero and the posterior narrow: the class's own start hides the picture in noise."""
    for block in vae.modules():
        if isinstance(block, ResnetBlock2D):
            block.conv2.weight.zero_()
    channels = vae.config.latent_channels
    vae.quant_conv.bias[channels:] = INITIAL_LOGVAR


def load(component: str, folder: Path) -> Any:
    """The component in `folder`/COMPONENT, in fp32, from whichever files drawing takes it; ModelFolderError where its
    weights are missing or damaged."""
    place = folder / component
    for problem in verify_network(place, component):
        raise problem
    network = load_network(place, component, torch.device("cpu"), torch.float32)
    if not isinstance(network, CLASSES[component]):
        raise ModelFolderError(
            "folder.other_class",
            "{path} must be of the class {classes}, and is of {found}; name another folder",
            path=place / "config.json",
            classes=CLASSES[component].__name__,
            found=type(network).__name__,
        )
    return network.to(memory_format=torch.contiguous_format)


def keep_untrained(source: Path, folder: Path) -> None:
    """Into a model folder what the one that it was made of has and no stage trains: an upscaler, a safety checker; and
    its licence."""
    for name in UNTRAINED:
        if (source / name).is_dir():
            copy_plain(source / name, folder / name)
    card = licence_front_matter(source)
    if card != "":
        write_text(folder / "README.md", card)


def write_model_folder(
    folder: Path, modules: dict[str, Any], scheduler: dict[str, Any], guidance_scale: float | None
) -> None:
    """Write `modules`, the scheduler's config and, unless None, the model's own guidance scale."""
    for name, module in modules.items():
        module.save_pretrained(folder / name, safe_serialization=True)
    config = {
        "_class_name": "DDIMScheduler",
        **scheduler,
        "steps_offset": 1,
        "set_alpha_to_one": False,
        "clip_sample": False,
    }
    write_json(folder / "scheduler" / "scheduler_config.json", config)
    if guidance_scale is not None:
        write_json(folder / GENERATION_CONFIG, {"guidance_scale": guidance_scale})
