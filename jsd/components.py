"""The three networks of a model folder, from any of the files in which they are published."""

from pathlib import Path
from typing import Any

import torch
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from diffusers.utils import is_accelerate_available
from transformers import CLIPTextModel
from transformers.utils import logging as transformers_logging

from jsd.weights import weights_files


def load_components(folder: Path, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """text_encoder, unet and vae of a whole folder (see `jsd.weights.open_model_folder`), for inference."""

    def load(component: str, model_class: Any, **options: object) -> Any:
        options |= weights_files(folder, component)[0].load_options()
        model = model_class.from_pretrained(folder / component, local_files_only=True, **options)
        return model.to(device).eval()

    # accelerate skips the initialisation of weights that are about to be loaded; it is optional.
    options = {"torch_dtype": dtype, "low_cpu_mem_usage": is_accelerate_available()}
    # transformers draws a progress bar for a load that takes a second.
    had_bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    text_encoder = load("text_encoder", CLIPTextModel, dtype=dtype)
    if had_bar:
        transformers_logging.enable_progress_bar()
    return {
        "text_encoder": text_encoder,
        "unet": load("unet", UNet2DConditionModel, **options).to(memory_format=torch.channels_last),
        "vae": load("vae", AutoencoderKL, **options).to(memory_format=torch.channels_last),
    }
