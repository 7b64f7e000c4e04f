"""LoRA files merged into a model's weights, and taken out again bit for bit (arXiv 2106.09685).

W' = W + weight * (alpha / r) * B A, with A (r, in) the "down" and B (out, r) the "up" matrix. kohya's names (A1111,
ComfyUI), peft's and those of older diffusers are read. A file is merged whole or not at all, but for what kohya's
trainer learnt of CLIP's English text encoder, which reads other tokens.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from threading import RLock
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from jsd.engines import OPENVINO
from jsd.errors import InvalidInputError, ModelFolderError, Note, first_line
from jsd.models.openvino import CompiledUNet
from jsd.models.record import file_digest
from jsd.models.single_names import place
from jsd.rules import split_weight

# The module and the part of it that a tensor is: peft's, kohya's, and the three that diffusers has written.
_KEY = re.compile(
    r"(?:base_model\.model\.)?(?P<module>.+?)"
    r"(?:\.(?P<part>lora_A|lora_B|lora_down|lora_up|lora\.down|lora\.up|lora_linear_layer\.down|lora_linear_layer\.up)"
    r"(?:\.default)?\.weight|_lora\.(?P<processor>down|up)\.weight|\.(?P<alpha>alpha))"
)
_DOWN = ("lora_A", "lora_down", "lora.down", "lora_linear_layer.down", "down")
# What other kinds of adapters and other families of models have in their names.
_OTHER_KINDS = {
    "dora_scale": "DoRA",
    "lora_magnitude_vector": "DoRA",
    "hada_": "LoHa",
    "lokr_": "LoKr",
    "lora_mid": "LoCon (Tucker)",
}
# What peft's save_pretrained writes of one network; here it is the UNet's.
PEFT_FILE, PEFT_SETTINGS = "adapter_model.safetensors", "adapter_config.json"
_OTHER_SETTINGS = ("use_rslora", "alpha_pattern", "use_dora")
# Of peft's `init_lora_weights`: these change the model's weights before training, and what is saved goes with those.
_OTHER_STARTS = ("pissa", "olora", "corda", "lora_ga", "loftq")
VERSION = "jsd_version"  # in the metadata of a file that jsd trained
# Of a second text encoder.
_SDXL = ("lora_te2_", "text_encoder_2.")


@dataclass(frozen=True, kw_only=True)
class Lora:
    """`updates`: (network, module) -> (A, B, alpha / r), each module that the file changes."""

    path: Path
    sha256: str
    updates: dict[tuple[str, str], tuple[Tensor, Tensor, float]]
    is_cut: bool  # of an English text encoder's part


class Adapters:
    """The LoRA files that are merged into `networks` (name -> module: unet, text_encoder) at the moment."""

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self.networks = networks
        self.records: list[dict[str, object]] = []  # of each: name, weight, SHA-256
        self.notes: list[Note] = []
        self._applied: object = ()
        self.lock = RLock()  # of what draws with them: pipelines are called from pools of threads
        self._originals: dict[tuple[str, str], Tensor] = {}

    @torch.inference_mode()
    def apply(self, loras: Sequence[str]) -> None:
        """Merge `loras` ("FILE" or "FILE:WEIGHT") and no others; InvalidInputError, and nothing changed, where one
        cannot be."""
        with self.lock:
            self._apply(loras)

    def _apply(self, loras: Sequence[str]) -> None:
        if loras and any(isinstance(one, CompiledUNet) for one in self.networks.values()):
            raise InvalidInputError(
                "lora.engine",
                "{field} change the model's weights, which the engine {value} has compiled; leave {field} out, or use "
                "the engine torch",
                field="loras",
                value=OPENVINO,
            )
        choices = [split_weight(one) for one in loras]
        wanted = tuple((name, weight, *map(_stamp, _files(Path(name)))) for name, weight in choices)
        if wanted == self._applied:
            return
        read = [(read_lora(Path(name), self.networks), weight) for name, weight in choices]
        self._applied = None  # whatever ends this half-way: the next begins with the folder's own weights
        self._restore()
        for lora, weight in read:
            for key, (down, up, scale) in lora.updates.items():
                parameter = self._weight(key)
                if key not in self._originals:
                    self._originals[key] = parameter.detach().to("cpu", copy=True)
                change = (up.float().flatten(1) @ down.float().flatten(1)).reshape(parameter.shape)
                parameter.copy_(parameter.float() + weight * scale * change.to(parameter.device))
        self.records = [{"name": one.path.name, "weight": weight, "sha256": one.sha256} for one, weight in read]
        self.notes = [
            Note(
                "lora.text_encoder",
                "{field}: {value} was trained beside an English text encoder; what it learnt of that is left out, the "
                "rest is used",
                field="loras",
                value=one.path.name,
            )
            for one, _ in read
            if one.is_cut
        ]
        self._applied = wanted

    def _restore(self) -> None:
        for key, original in self._originals.items():
            self._weight(key).copy_(original)
        self._originals, self.records, self.notes = {}, [], []

    def _weight(self, key: tuple[str, str]) -> Tensor:
        weight = self.networks[key[0]].get_submodule(key[1]).weight
        assert isinstance(weight, Tensor)
        return weight


def read_lora(path: Path, networks: Mapping[str, nn.Module]) -> Lora:
    """A .safetensors file whose every tensor fits `networks`; else InvalidInputError with what does not."""
    names = dict(_names(networks))
    parts: dict[tuple[str, str], dict[str, Tensor]] = {}
    is_cut = False
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InvalidInputError(
            "lora.unreadable",
            "{field} must be .safetensors files, and {value} cannot be read as one: {reason}; check the path, or "
            "download it again",
            field="loras",
            value=path,
            reason=first_line(error),
        ) from error
    for key, tensor in tensors.items():
        _check_kind(path, key, is_sdxl="text_encoder_2" in networks)
        found = _KEY.fullmatch(key)
        module = None if found is None else names.get(_module_name(found["module"], found["processor"] is not None))
        if found is None or module is None:
            raise InvalidInputError(
                "lora.key",
                "{field} must fit the model, and {name} of {value} fits no part of it; use a LoRA that was trained for "
                "this model's family",
                field="loras",
                value=path,
                name=key,
            )
        # kohya's trainer has CLIP's vocabulary built in; what we train says so.
        if key.startswith("lora_te") and VERSION not in metadata:
            is_cut = True
            continue
        part = "alpha" if found["alpha"] else "A" if (found["part"] or found["processor"]) in _DOWN else "B"
        parts.setdefault(module, {})[part] = tensor
    if is_cut and not parts:
        raise InvalidInputError(
            "lora.other_encoder",
            "{field} must be files for this model's parts, and {value} is of an English text encoder; use another",
            field="loras",
            value=path,
        )
    if not parts:
        raise InvalidInputError(
            "lora.empty",
            "{field} must be files with LoRA tensors in them, and {value} has none; use another file",
            field="loras",
            value=path,
        )
    settings = _peft_settings(path, metadata)
    _check_settings(path, settings)
    updates = {}
    for (network, module_path), tensors_of in parts.items():
        _check_shapes(path, networks[network].get_submodule(module_path), module_path, tensors_of)
        rank = tensors_of["A"].shape[0]
        alpha = float(tensors_of["alpha"] if "alpha" in tensors_of else settings.get(f"{network}.lora_alpha", rank))
        updates[network, module_path] = (tensors_of["A"], tensors_of["B"], alpha / rank)
    return Lora(path=path, sha256=lora_digest(path), updates=updates, is_cut=is_cut)


def lora_digest(path: Path) -> str:
    """SHA-256 of the file; where its settings lie beside it, over the digests of both."""
    digests = [file_digest(one) for one in _files(path)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    """All that is read of a LoRA: the file, and of peft's own saving the settings beside it."""
    settings = path.parent / PEFT_SETTINGS
    return [path, settings] if path.name == PEFT_FILE and settings.is_file() else [path]


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of change: a file that is written anew is merged anew."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _names(networks: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Every name under which a file may speak of a module with a weight matrix -> (network, module)."""
    kohya = {"unet": ("lora_unet_",), "text_encoder": ("lora_te_", "lora_te1_"), "text_encoder_2": ("lora_te2_",)}
    for network, root in networks.items():
        for path, module in root.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                key = (network, path)
                # transformers has dropped the prefix of the encoder that has no projection.
                for name in (path, f"text_model.{path}"):
                    yield f"{network}.{name}", key
                    yield from ((f"{prefix}{name.replace('.', '_')}", key) for prefix in kohya[network])
                if network == "unet":
                    yield path, key  # diffusers' first files held attention processors of the UNet alone
                    with suppress(ModelFolderError):  # a layer that the original code lacks
                        # Of SDXL, kohya's trainer writes the original code's names.
                        where = place(network, f"{path}.weight", root.config, is_sdxl=True).name
                        yield f"lora_unet_{where.removesuffix('.weight').split('.', 2)[2].replace('.', '_')}", key


def _module_name(name: str, is_processor: bool) -> str:
    """attn1.processor.to_out, as diffusers wrote it until 0.20, is attn1.to_out.0."""
    if is_processor:
        name = name.replace(".processor.", ".")
        return f"{name}.0" if name.endswith("to_out") else name
    return name


def _of_another_kind(path: Path, kind: str, name: str) -> InvalidInputError:
    return InvalidInputError(
        "lora.kind",
        "{field} must be LoRA files for this model's family, and {value} is of another kind, {kind} ({name}); "
        "use another file",
        field="loras",
        value=path,
        kind=kind,
        name=name,
    )


def _check_kind(path: Path, key: str, *, is_sdxl: bool) -> None:
    kinds = _OTHER_KINDS if is_sdxl else _OTHER_KINDS | dict.fromkeys(_SDXL, "SDXL")
    for mark, kind in kinds.items():
        if mark in key:
            raise _of_another_kind(path, kind, key)


def _check_shapes(path: Path, module: Any, name: str, tensors: Mapping[str, Tensor]) -> None:
    weight = module.weight
    down, up = tensors.get("A"), tensors.get("B")
    fits = (
        down is not None
        and up is not None
        and down.dim() >= 2
        and up.dim() >= 2
        and down.shape[0] == up.shape[1] > 0
        and ("alpha" not in tensors or tensors["alpha"].numel() == 1)
        and (up.shape[0], down[0].numel()) == (weight.shape[0], weight[0].numel())
        and up[0, 0].numel() == 1
    )
    if not fits:
        shapes = {part: list(tensor.shape) for part, tensor in tensors.items()}
        raise InvalidInputError(
            "lora.shape",
            "{field} must have an A (rank, {inputs}) and a B ({outputs}, rank) for {name}, and {value} has {shapes}; "
            "use a LoRA that was trained for this model",
            field="loras",
            value=path,
            name=name,
            inputs=weight[0].numel(),
            outputs=weight.shape[0],
            shapes=shapes,
        )
    if not all(bool(torch.isfinite(tensor.float()).all()) for tensor in tensors.values()):
        raise InvalidInputError(
            "lora.not_finite",
            "{field} must hold finite numbers, and {value} has others for {name}; download it again, or use "
            "another file",
            field="loras",
            value=path,
            name=name,
        )


def _check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Settings of peft with which a module's share is not alpha / r, or goes with other weights than the model's."""
    for name, value in settings.items():
        kind = name.rpartition(".")[2]
        if kind in _OTHER_SETTINGS and value:
            raise _of_another_kind(path, kind, name)
        if kind == "init_lora_weights" and str(value).lower().startswith(_OTHER_STARTS):
            raise _of_another_kind(path, str(value), name)


def _peft_settings(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """ "unet.lora_alpha" -> 8 and so on: diffusers writes peft's settings into a file, peft itself beside it.

    Where both are silent, alpha is the rank.
    """
    beside = _files(path)[1:]
    try:
        if beside:
            found = {f"unet.{name}": value for name, value in json.loads(beside[0].read_text("utf-8")).items()}
        else:
            found = dict(json.loads(metadata.get("lora_adapter_metadata", "{}")))
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        if not beside:
            return {}
        raise InvalidInputError(
            "lora.settings",
            "{field} must have peft's settings beside them, and {settings} of {value} cannot be read; download it "
            "again, or delete it where alpha is the rank",
            field="loras",
            value=path,
            settings=beside[0].name,
        ) from error
    return {
        name: value
        for name, value in found.items()
        if not name.endswith(".lora_alpha") or (isinstance(value, int | float) and isfinite(value))
    }
