"""Checkpoints of any age -> safetensors in the dtype that will run, so that loading is a memory map."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from jsd.atomic import replacing_folder, write_json
from jsd.devices import choose_placement, dtype_name, named_dtype
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.models.configs import read_json
from jsd.models.folder import open_model_folder
from jsd.models.tokenizer_json import open_to_diffusers
from jsd.models.weights import CHECKER, WEIGHT_STEMS, Weights, find_weights

# Weights of any framework, which are converted, not copied; and what git and the hub keep for themselves.
WEIGHT_ENDINGS = (".safetensors", ".bin", ".ckpt", ".pt", ".pth", ".msgpack", ".h5", ".onnx")
NOT_COPIED = (".git", ".cache")


def convert_folder(source: Path | str, destination: Path | str, dtype: str | None = None) -> torch.dtype:
    """Write `source` anew as safetensors; `dtype` None: what runs fastest here. Returns the dtype written."""
    source, destination = Path(source), Path(destination)
    target = target_dtype(dtype)
    open_model_folder(source)
    with new_folder(destination) as partial:
        _copy_the_rest(source, partial)
        for component in WEIGHT_STEMS:
            weights = find_weights(source / component, component)
            if weights is not None:
                path = partial / component / f"{WEIGHT_STEMS[component][0]}.safetensors"
                # See jsd.safety: the checker's thresholds do not survive rounding.
                kept = torch.float32 if component == CHECKER else target
                save_file(convert_tensors(weights, kept), path, metadata={"format": "pt"})
                _name_dtype(partial / component / "config.json", kept)
        open_to_diffusers(partial)
        open_model_folder(partial)
    return target


def target_dtype(dtype: str | None) -> torch.dtype:
    """The one named; None: what runs fastest here."""
    return choose_placement().dtype if dtype is None else named_dtype(dtype)


def check_free(destination: Path) -> None:
    """Nothing is overwritten: a model folder may have cost hours."""
    if destination.resolve() == Path.cwd() or os.path.ismount(destination):  # as of a container's volume
        raise InvalidInputError(
            "weights.cannot_be_moved",
            "{field} must be a folder that can be put there whole, and {value} is where the command runs or where a "
            "disk is mounted; name a new one in it",
            field="FOLDER",
            value=destination,
        )
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        raise InvalidInputError(
            "weights.in_the_way",
            "{field} must be a new or empty folder, and {value} exists; name another, or remove it first",
            field="FOLDER",
            value=destination,
        )


@contextmanager
def new_folder(destination: Path) -> Iterator[Path]:
    """A folder that becomes the model folder `destination` when the block ends well, else vanishes."""
    check_free(destination)
    with told_unwritable(destination), replacing_folder(destination) as partial:
        yield partial


@contextmanager
def told_unwritable(destination: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(
            "weights.unwritable",
            "the model folder {path} could not be written: {reason}; make room or name another "
            "folder, then run the same command again",
            path=destination,
            reason=error,
        ) from error


def _copy_the_rest(source: Path, partial: Path) -> None:
    """Configs, vocabulary, licence, model card; links (the hub's cache is full of them) become files."""
    components = (one for one in source.iterdir() if one.is_symlink() and one.is_dir())  # which rglob does not enter
    for path in sorted([*source.rglob("*"), *(inner for one in components for inner in one.rglob("*"))]):
        relative = path.relative_to(source)
        of_weights = path.name.endswith((*WEIGHT_ENDINGS, ".index.json", ".index.fp16.json"))
        if path.is_file() and not of_weights and relative.parts[0] not in NOT_COPIED:
            (partial / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, partial / relative)


def convert_tensors(weights: Weights, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """By their names today, in `dtype`; ModelFolderError where a value is beyond it."""
    folder = weights.files[0].parent
    return {name: cast(tensor, dtype, folder, name) for name, tensor in weights.tensors()}


def cast(tensor: torch.Tensor, dtype: torch.dtype, path: Path, name: str) -> torch.Tensor:
    """A copy in `dtype`; ModelFolderError, with `path` and `name`, where a value is beyond it."""
    converted = tensor.to(dtype, copy=True).contiguous()
    if not torch.isfinite(converted).all() and torch.isfinite(tensor).all():
        raise ModelFolderError(
            "weights.overflow",
            "{path}: the tensor {name} has values beyond {dtype}; convert with --dtype bfloat16 or float32",
            path=path,
            name=name,
            dtype=dtype_name(dtype),
        )
    return converted


def _name_dtype(path: Path, dtype: torch.dtype) -> None:
    """transformers 5 loads in the dtype that config.json names."""
    config = read_json(path)
    for key in ("dtype", "torch_dtype"):
        if key in config:
            config[key] = dtype_name(dtype)
    write_json(path, config)
