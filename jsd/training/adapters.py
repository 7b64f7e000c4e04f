"""LoRA layers for training, by peft: put beside the layers of a model, switched off for a moment, written to a file."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import jsd
from jsd.atomic import replacing_file
from jsd.errors import MissingExtraError
from jsd.models.record import folder_record
from jsd.rules import split_weight
from jsd.training.corpora.records import as_utf8
from jsd.training.recipes import Adapter

FILE = "lora.safetensors"
PREFIXES = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}  # kohya's


def import_peft() -> Any:
    try:
        import peft
    except ImportError:
        raise MissingExtraError("peft", "train") from None
    return peft


def add_adapters(networks: Mapping[str, nn.Module], adapter: Adapter) -> nn.ModuleDict:
    """Freeze `networks` (unet, text_encoder) and put LoRA layers beside their targets, without effect at first.

    Returns the layers by "component/layer/lora_A" and "…/lora_B": what trains, and all that a checkpoint must hold.
    """
    peft = import_peft()
    found: dict[str, nn.Module] = {}
    for name, targets in adapter.targets.items():
        config = peft.LoraConfig(r=adapter.rank, lora_alpha=adapter.rank, target_modules=list(targets))
        networks[name].requires_grad_(False)
        peft.inject_adapter_in_model(config, networks[name])
        for path, module in networks[name].named_modules():
            if path.endswith((".lora_A", ".lora_B")):
                # A module's name has no dot.
                found[f"{name}.{path}".replace(".", "/")] = module.default
    return nn.ModuleDict(found)


@contextmanager
def switched_off(networks: Mapping[str, nn.Module]) -> Iterator[None]:
    """Within, the networks compute what they did before `add_adapters`, and no gradients."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [one for network in networks.values() for one in network.modules() if isinstance(one, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        with torch.no_grad():
            yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def write_lora(path: Path, layers: nn.ModuleDict, metadata: Mapping[str, str]) -> None:
    """In kohya's names, in float16: A1111, ComfyUI and diffusers read them."""
    tensors: dict[str, Tensor] = {}
    for name, layer in layers.items():
        component, *path_parts, part = name.split("/")
        module = PREFIXES[component] + "_".join(path_parts).replace(".", "_")
        weight = layer.weight.detach().half().cpu().contiguous()  # type: ignore[operator]
        tensors[f"{module}.{ {'lora_A': 'lora_down', 'lora_B': 'lora_up'}[part] }.weight"] = weight
        if part == "lora_A":
            tensors[f"{module}.alpha"] = torch.tensor(float(len(weight)))
    with replacing_file(path) as temporary:
        save_file(tensors, temporary, metadata=dict(metadata))


def lora_metadata(
    base: Path, adapter: Adapter, prediction_type: str, trigger: str, captions: Sequence[str], title: str
) -> dict[str, str]:
    """What a file says of itself: kohya's keys, those of the Stability AI model metadata standard, and the base's own
    digest and licence. Values are text, as the format wants it."""
    record = {name: str(value) for name, value in folder_record(base).items()}
    counted = Counter(captions)
    said: dict[str, Any] = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": adapter.rank,
        "ss_network_alpha": adapter.rank,
        "ss_base_model_version": "sd_v1",
        "ss_output_name": title,
        "ss_tag_frequency": json.dumps({title: counted}, ensure_ascii=False),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": title,
        "modelspec.trigger_phrase": trigger,
        "modelspec.prediction_type": {"v_prediction": "v"}.get(prediction_type, prediction_type),
        "modelspec.license": record.get("licence", ""),
        "jsd_version": jsd.__version__,
        "base_model": base.resolve().name,
        "base_model_sha256": record["model_sha256"],
        **{f"base_{name}": value for name, value in record.items() if name != "model_sha256"},
    }
    return {name: as_utf8(str(value)) for name, value in said.items() if value != ""}


def trigger_of(lora: str) -> str:
    """The trigger words that a LoRA file ("FILE" or "FILE:WEIGHT") says it has; "" where it says none."""
    try:
        with safe_open(split_weight(lora)[0], framework="pt") as file:
            return str((file.metadata() or {}).get("modelspec.trigger_phrase", ""))
    except (OSError, SafetensorError):
        return ""  # whoever draws with it says why it cannot be read
