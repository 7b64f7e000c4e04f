"""The networks of a model folder: built as their config.json says, filled with their weights."""

import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from jsd.models.configs import read_json
from jsd.models.weights import (
    CHECKER,
    SECOND_ENCODER,
    TINY_VAE,
    UPSCALER,
    Shapes,
    checker_places,
    find_weights,
    networks_of,
    vae_place,
)

CONVOLUTIONAL = ("unet", "vae", UPSCALER)
INITIALISERS = frozenset(name for name in dir(torch.nn.init) if re.fullmatch("[a-z].*_", name))


def load_components(
    folder: Path, device: torch.device, dtype: torch.dtype, vae: Path | None = None, without: Collection[str] = ()
) -> dict[str, Any]:
    """The networks of a whole folder (see `jsd.models.folder.open_model_folder`) by name, for inference; `vae`: the
    folder of another VAE."""
    # Their files are read while their classes are imported.
    with ThreadPoolExecutor(1) as reader:
        places = {name: folder / name for name in networks_of(folder) if name not in without}
        if vae is not None:
            places["vae"] = vae_place(vae)
        reading = {name: reader.submit(_read, place, name, device, dtype) for name, place in places.items()}
        built = {name: build(name, read_json(place / "config.json")) for name, place in places.items()}
        return {name: _fill(built[name], reading[name].result()) for name in places}


def load_network(place: Path, component: str, device: torch.device, dtype: torch.dtype) -> Any:
    """One of them, whose own folder is `place`."""
    return _fill(build(component, read_json(place / "config.json")), _read(place, component, device, dtype))


def load_vae(folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """The VAE of a whole folder of one."""
    return load_network(vae_place(folder), "vae", device, dtype)


def load_safety_checker(folder: Path, device: torch.device) -> Any:
    """The StableDiffusionSafetyChecker of a whole folder that has one, in float32."""
    place, _processor = checker_places(folder)
    return load_network(place, CHECKER, device, torch.float32)


def load_image_processor(folder: Path) -> Any:
    """What makes a picture into the checker's pixel values; Pillow's, so that scores do not depend on torchvision."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return CLIPImageProcessorPil.from_pretrained(checker_places(folder)[1], local_files_only=True)


def build(component: str, config: dict[str, Any]) -> Any:
    """The network that a config.json calls for; none of its weights is allocated."""
    with _Unallocated():
        if component in CONVOLUTIONAL:
            from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
            from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

            from jsd.models.upscaler import Upscaler

            if component == "vae" and config.get("_class_name") == TINY_VAE:
                from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny

                # What the class itself writes beside its arguments, and then warns of.
                return AutoencoderTiny.from_config(
                    {name: one for name, one in config.items() if name != "block_out_channels"}
                )
            classes = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, UPSCALER: Upscaler}
            return classes[component].from_config(config)
        if component == CHECKER:
            from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
            from transformers.models.clip.configuration_clip import CLIPConfig

            return StableDiffusionSafetyChecker(CLIPConfig(**config))
        from transformers.models.clip.configuration_clip import CLIPTextConfig
        from transformers.models.clip.modeling_clip import CLIPTextModel, CLIPTextModelWithProjection

        encoder = CLIPTextModelWithProjection if component == SECOND_ENCODER else CLIPTextModel
        return encoder(CLIPTextConfig(**config))


def expected_shapes(component: str, config: dict[str, Any]) -> Shapes:
    """The shape of every tensor that a component's config.json calls for."""
    return {name: tuple(tensor.shape) for name, tensor in build(component, config).state_dict().items()}


def _read(place: Path, component: str, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
    """Name -> tensor; those of convolutions in the layout in which they are fast."""
    weights = find_weights(place, component)
    assert weights is not None, "the folder is whole"
    read = {}
    for name, tensor in weights.tensors():
        is_kernel = tensor.ndim == 4 and component in CONVOLUTIONAL
        layout = torch.channels_last if is_kernel else torch.contiguous_format
        read[name] = torch.empty(tensor.shape, dtype=dtype, device=device, memory_format=layout).copy_(tensor)
    return read


def _fill(model: Any, tensors: dict[str, Tensor]) -> Any:
    model.load_state_dict(tensors, assign=True)
    # Buffers that no file holds, as position ids, are not there yet.
    return model.to(next(iter(tensors.values())).device).eval()


class _Unallocated(TorchFunctionMode):
    """What layers make room for is on the meta device, and not initialised; what is computed meanwhile is real.

    All of a network on that device would not do: arithmetic there draws sympy in, and position ids must be real.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = {} if kwargs is None else kwargs
        if getattr(func, "__name__", "") in INITIALISERS:
            return kwargs.get("tensor", *args[:1])
        return func(*args, **{**kwargs, "device": "meta"} if func is torch.empty else kwargs)
