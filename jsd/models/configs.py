"""The JSON files of a model folder, which may hold anything: read with care, their values checked."""

import json
from pathlib import Path
from typing import Any

from jsd.errors import ModelFolderError
from jsd.i18n import _

GENERATION_CONFIG = "generation_config.json"
GUIDANCE_SCALE = 7.5  # of Stable Diffusion v1 (its model card), and of a folder that names none
GUIDANCE_LIMITS = (1, 20)
MAX_BYTES = 2**24  # tokenizers' apart, the longest that is published is the index of shards, 0.3 MB
# Blocks times layers a block times transformers a layer; 60 in SDXL's UNet, the largest. Building takes time with each.
MAX_LAYERS = 500
MAX_SAMPLE_SIZE = 4096  # latents of a UNet, pixels of a VAE; what is drawn by default must fit into memory


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; ModelFolderError where there is none."""
    try:
        # A pipe would be waited for; /dev/zero has no end.
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise FileNotFoundError(path)
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelFolderError(
            "folder.file_missing", "{path} is missing or cannot be read; copy or fetch the folder again", path=path
        ) from error
    except (ValueError, RecursionError) as error:
        raise _no_object(path) from error
    if not isinstance(value, dict):
        raise _no_object(path)
    return value


def guidance_scale(folder: Path) -> float:
    """What the folder's generation_config.json names as guidance_scale, else Stable Diffusion's."""
    path = folder / GENERATION_CONFIG
    value = read_json(path).get("guidance_scale", GUIDANCE_SCALE) if path.exists() else GUIDANCE_SCALE
    low, high = GUIDANCE_LIMITS
    if type(value) not in (int, float) or not low <= value <= high:
        raise ModelFolderError(
            "folder.guidance",
            "{path}: guidance_scale must be a number from {low} to {high}, got {value}; correct the file, or remove it",
            path=path,
            low=low,
            high=high,
            value=repr(value),
        )
    return float(value)


def check_noise_schedule(path: Path) -> None:
    """ModelFolderError where a scheduler_config.json lacks what a scheduler takes from it, or has wrong values."""
    from jsd.schedulers import make_scheduler

    config = read_json(path)
    needed = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")
    missing = [name for name in needed if name not in config]
    if missing:
        raise unbuildable(path, _("no {names}", names=", ".join(missing)))
    try:
        make_scheduler("DDIM", config, num_inference_steps=1)
    except ModelFolderError as error:
        raise unbuildable(path, str(error)) from error


def check_values(path: Path, config: dict[str, Any]) -> None:
    """What diffusers and transformers keep in a network's config and do not look at."""
    sample_size, scaling_factor = config.get("sample_size", 1), config.get("scaling_factor", 1)
    shift_factor, guidance_width = config.get("shift_factor"), config.get("time_cond_proj_dim")
    sides = sample_size if isinstance(sample_size, list) and len(sample_size) == 2 else [sample_size]
    right = {
        "sample_size": all(type(side) is int and 0 < side <= MAX_SAMPLE_SIZE for side in sides),
        "scaling_factor": type(scaling_factor) in (int, float) and scaling_factor > 0,
        "shift_factor": shift_factor is None or type(shift_factor) in (int, float),
        # Of LCM; two waves at least.
        "time_cond_proj_dim": guidance_width is None or (type(guidance_width) is int and guidance_width >= 4),
        # Conditions that no UNet is given here.
        "addition_embed_type": config.get("addition_embed_type") in (None, "text", "text_time"),
        "class_embed_type": config.get("class_embed_type") is None,
        "num_class_embeds": config.get("num_class_embeds") is None,
        "encoder_hid_dim_type": config.get("encoder_hid_dim_type") in (None, "text_proj"),
        # Latents that are shifted channel by channel.
        "latents_mean": config.get("latents_mean") is None,
        "latents_std": config.get("latents_std") is None,
    }
    for name, is_right in right.items():
        if not is_right:
            raise unbuildable(path, f"{name} {config[name]!r}")
    if num_layers(config) > MAX_LAYERS:
        raise unbuildable(path, _("more than {limit} layers", limit=MAX_LAYERS))


def num_layers(config: dict[str, Any]) -> int:
    """How many layers a network has at most, of what its config says; of a checker the larger of its two networks."""
    count = 1
    for name, value in config.items():
        if "layers" in name or name.endswith("_blocks"):
            numbers = [number for number in _flat(value) if type(number) is int]
            count *= max([1, *numbers])
    blocks = [len(value) for value in config.values() if isinstance(value, list)]
    parts = [num_layers(value) for value in config.values() if isinstance(value, dict)]
    return max([count * max([1, *blocks]), *parts])


def unbuildable(path: Path, reason: str) -> ModelFolderError:
    return ModelFolderError(
        "folder.config",
        "{path} must describe a model that can be built and drawn with, and does not: {reason}; copy or fetch the "
        "folder again",
        path=path,
        reason=reason,
    )


def _flat(value: object) -> list[object]:
    return [item for part in value for item in _flat(part)] if isinstance(value, list) else [value]


def _no_object(path: Path) -> ModelFolderError:
    return ModelFolderError("folder.not_json", "{path} must be a JSON object; copy or fetch it again", path=path)
