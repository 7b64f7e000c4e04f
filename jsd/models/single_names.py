"""Where a tensor of a model folder stands in the single file of A1111 and ComfyUI, whose names are the original code's.

Those of latent-diffusion for the UNet and the VAE, of transformers and OpenCLIP for the text encoders.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jsd.errors import ModelFolderError
from jsd.models.weights import SECOND_ENCODER

# Of the UNet's blocks those that the original code has.
BLOCKS = re.compile(r"(CrossAttn)?(Down|Up)Block2D")
DEFAULT_UP_BLOCKS = ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3)  # diffusers', and Stable Diffusion v1's
DEFAULT_VAE_CHANNELS = (64,)
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
OPEN_CLIP = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm": "ln_final",
    "encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}


@dataclass(frozen=True)
class Place:
    """A tensor's name in the file; `form`: "" as it is, "conv" with two sides of 1 more, "turned" transposed, "0" to
    "2" that third of it."""

    name: str
    form: str = ""


def place(component: str, name: str, config: Mapping[str, Any], *, is_sdxl: bool) -> Place:
    """Of the tensor `name` of a network with that config.json; ModelFolderError where the file has none for it."""
    found: Place | None
    if component == "unet":
        found = _unet(name, config)
    elif component == "vae":
        found = _vae(name, config)
    elif component == SECOND_ENCODER:
        found = _second_encoder(name)
    else:
        prefix = "conditioner.embedders.0" if is_sdxl else "cond_stage_model"
        found = Place(f"{prefix}.transformer.text_model.{name}")
    if found is None:
        raise ModelFolderError(
            "single.no_place",
            "{component}: the tensor {name} has no place in a single file, whose programs know networks of Stable "
            "Diffusion v1's and SDXL's kind alone; keep the folder",
            component=component,
            name=name,
        )
    return found


def _unet(name: str, config: Mapping[str, Any]) -> Place | None:
    prefix, per_block = "model.diffusion_model", config.get("layers_per_block", 2)
    up_types = config.get("up_block_types", DEFAULT_UP_BLOCKS)
    types = [*config.get("down_block_types", ()), *up_types]
    if type(per_block) is not int or not all(BLOCKS.fullmatch(kind) for kind in types):
        return None
    for ours, theirs in UNET.items():
        if name.startswith(f"{ours}."):
            return Place(f"{prefix}.{theirs}{name.removeprefix(ours)}")
    found = re.fullmatch(
        r"(?:(down|up)_blocks\.(\d+)|(mid)_block)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)", name
    )
    if found is None:
        return None
    way, block, middle, kind, number, rest = found.groups()
    index = int(block or 0) * (per_block + 1) + int(number)
    if kind == "resnets":
        part, _dot, leaf = rest.partition(".")
        rest = f"{RESNET[part]}.{leaf}" if part in RESNET else rest
    inner = "1" if kind == "attentions" else "0"
    if middle:
        inner = str(2 * int(number)) if kind == "resnets" else "1"
        return Place(f"{prefix}.middle_block.{inner}.{rest}")
    if kind == "downsamplers":
        return Place(f"{prefix}.input_blocks.{(int(block) + 1) * (per_block + 1)}.0.{rest.replace('conv.', 'op.')}")
    if kind == "upsamplers":
        has_attention = up_types[int(block)].startswith("CrossAttn")
        return Place(f"{prefix}.output_blocks.{index + per_block}.{1 + has_attention}.{rest}")
    return Place(f"{prefix}.{'input' if way == 'down' else 'output'}_blocks.{index + (way == 'down')}.{inner}.{rest}")


def _vae(name: str, config: Mapping[str, Any]) -> Place | None:
    prefix, form = "first_stage_model", ""

    def block(found: re.Match[str]) -> str:
        last = len(config.get("block_out_channels", DEFAULT_VAE_CHANNELS)) - 1
        number = int(found[2]) if found[1] == "down" else last - int(found[2])
        return f"{found[1]}.{number}."

    name = re.sub(r"(down|up)_blocks\.(\d+)\.", block, name)
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    name = name.replace(".resnets.", ".block.").replace("samplers.0.", "sample.")
    attention = re.fullmatch(r"(.+)\.mid_block\.attentions\.0\.(.+)\.(weight|bias)", name)
    if attention is not None:
        before, part, leaf = attention.groups()
        form = "conv" if leaf == "weight" and part != "group_norm" else ""
        name = f"{before}.mid.attn_1.{VAE_ATTENTION[part]}.{leaf}"
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    return None if re.search("_blocks|mid_block|layers", name) else Place(f"{prefix}.{name}", form)


def _second_encoder(name: str) -> Place:
    prefix = "conditioner.embedders.1.model"
    if name == "text_projection.weight":
        return Place(f"{prefix}.text_projection", "turned")
    name = name.removeprefix("text_model.")
    third = re.fullmatch(r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(weight|bias)", name)
    if third is not None:
        name = f"{prefix}.transformer.resblocks.{third[1]}.attn.in_proj_{third[3]}"
        return Place(name, str("qkv".index(third[2])))
    for ours, theirs in OPEN_CLIP.items():
        name = name.replace(ours, theirs)
    return Place(f"{prefix}.{name}")
