"""The networks of a model folder, from any of the files in which they are published."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from diffusers.utils import is_accelerate_available
from transformers import CLIPTextModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils import logging as transformers_logging

from jsd.models.folder import CHECKER, weights_files


def load_components(folder: Path, device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """text_encoder, unet and vae of a whole folder (see `jsd.models.folder.open_model_folder`), for inference."""

    def load(component: str, model_class: Any, **options: object) -> Any:
        options |= weights_files(folder, component)[0].load_options()
        model = model_class.from_pretrained(folder / component, local_files_only=True, **options)
        return model.to(device).eval()

    # accelerate skips the initialisation of weights that are about to be loaded; it is optional.
    options = {"torch_dtype": dtype, "low_cpu_mem_usage": is_accelerate_available()}
    with _no_progress_bar():
        text_encoder = load("text_encoder", CLIPTextModel, dtype=dtype)
    return {
        "text_encoder": text_encoder,
        "unet": load("unet", UNet2DConditionModel, **options).to(memory_format=torch.channels_last),
        "vae": load("vae", AutoencoderKL, **options).to(memory_format=torch.channels_last),
    }


def load_safety_checker(folder: Path, device: torch.device) -> Any:
    """The StableDiffusionSafetyChecker of a whole folder that has one, in float32."""
    options = weights_files(folder, CHECKER)[0].load_options()
    with _no_progress_bar():
        model = StableDiffusionSafetyChecker.from_pretrained(
            folder / CHECKER, local_files_only=True, dtype=torch.float32, **options
        )
    return model.to(device).eval()


def load_image_processor(folder: Path) -> Any:
    """What makes a picture into the checker's pixel values; Pillow's, so that scores do not depend on torchvision."""
    return CLIPImageProcessorPil.from_pretrained(folder / "feature_extractor", local_files_only=True)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """transformers draws one for a load that takes a second."""
    had_bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if had_bar:
            transformers_logging.enable_progress_bar()
