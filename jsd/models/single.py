"""A model folder as the one .safetensors file that A1111 and ComfyUI keep, and back.

Such a file has the tensors alone. What else a folder needs, configs and vocabulary, is put into its metadata, which
those programs do not read: they have a vocabulary of their own, CLIP's English one.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from jsd.atomic import replacing_file
from jsd.errors import InvalidInputError, ModelFolderError, first_line
from jsd.models.configs import read_json
from jsd.models.convert import cast, convert_tensors, new_folder, target_dtype, told_unwritable
from jsd.models.folder import open_model_folder
from jsd.models.single_names import Place, place
from jsd.models.tokenizer_json import open_to_diffusers
from jsd.models.verify import checked_shapes
from jsd.models.weights import CHECKER, MODELS, SECOND_ENCODER, UPSCALER, WEIGHT_STEMS, find_weights
from jsd.prompting.tokenizer import VOCABULARY_FILE

ENDING = ".safetensors"
FILES = "jsd.files"  # a key of the metadata: name -> base64
KEPT = (".json", ".model", ".md", "LICENSE")
INDEX_ENDINGS = (".index.json", ".index.fp16.json")
NEEDED = ("config.json", VOCABULARY_FILE)  # however large
MAX_KEPT_BYTES = 4 * 2**20
# Remade for each folder, or of parts that the file has no place for.
NOT_KEPT = ("tokenizer_2", CHECKER, "feature_extractor", UPSCALER, "page")
FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "": lambda tensor: tensor,
    "conv": lambda tensor: tensor[:, :, None, None],
    "turned": lambda tensor: tensor.T.contiguous(),
}
BACK: dict[str, Callable[[Tensor], Tensor]] = {
    **FORMS,
    "conv": lambda tensor: tensor.flatten(1),
    "0": lambda tensor: tensor.chunk(3)[0],
    "1": lambda tensor: tensor.chunk(3)[1],
    "2": lambda tensor: tensor.chunk(3)[2],
}


def write_single(source: Path, target: Path, dtype: str | None = None) -> tuple[torch.dtype, list[str]]:
    """A whole model folder -> a file that is not there yet. Returns the dtype, and the parts that are not in it."""
    written = target_dtype(dtype)
    open_model_folder(source)
    if target.exists():
        raise InvalidInputError(
            "weights.file_in_the_way",
            "{field} must be a new file, and {value} exists; name another, or remove it first",
            field="TARGET",
            value=target,
        )
    is_sdxl = (source / SECOND_ENCODER).is_dir()
    tensors: dict[str, Tensor] = {}
    for component in (*MODELS, SECOND_ENCODER) if is_sdxl else MODELS:
        config = read_json(source / component / "config.json")
        weights = find_weights(source / component, component)
        assert weights is not None, "the folder is whole"
        thirds: dict[str, dict[str, Tensor]] = {}
        for name, tensor in convert_tensors(weights, written).items():
            to = place(component, name, config, is_sdxl=is_sdxl)
            if to.form in FORMS:
                tensors[to.name] = FORMS[to.form](tensor)
            else:
                thirds.setdefault(to.name, {})[to.form] = tensor
        tensors |= {name: torch.cat([parts[third] for third in sorted(parts)]) for name, parts in thirds.items()}
    files = {name: b64encode(data).decode() for name, data in _files(source).items()}
    with told_unwritable(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(target) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt", FILES: json.dumps(files)})
    return written, [name for name in (CHECKER, UPSCALER) if (source / name).is_dir()]


def read_single(source: Path, target: Path, dtype: str | None = None, like: Path | None = None) -> torch.dtype:
    """Such a file -> a new model folder; configs and vocabulary are those of its metadata, or of the folder `like`."""
    written = target_dtype(dtype)
    if like is not None:
        open_model_folder(like)
    try:
        with safe_open(source, framework="pt") as file:
            files = _files(like) if like is not None else _files_within(source, file.metadata() or {})
            with new_folder(target) as partial:
                for name, data in files.items():
                    (partial / name).parent.mkdir(parents=True, exist_ok=True)
                    (partial / name).write_bytes(data)
                is_sdxl = f"{SECOND_ENCODER}/config.json" in files
                for component in (*MODELS, SECOND_ENCODER) if is_sdxl else MODELS:
                    path = partial / component / "config.json"
                    shapes, config = checked_shapes(component, path), read_json(path)
                    read = _Reader(source, file, written)
                    tensors = {
                        name: read(place(component, name, config, is_sdxl=is_sdxl), shape)
                        for name, shape in shapes.items()
                    }
                    path = partial / component / f"{WEIGHT_STEMS[component][0]}{ENDING}"
                    save_file(tensors, path, metadata={"format": "pt"})
                open_to_diffusers(partial)
                open_model_folder(partial)
    except (OSError, SafetensorError) as error:
        raise ModelFolderError(
            "single.unreadable",
            "{path} must be a .safetensors file, and cannot be read as one: {reason}; check the path, or copy it again",
            path=source,
            reason=first_line(error),
        ) from error
    return written


class _Reader:
    """Tensors of a file, in the form that a model folder has."""

    def __init__(self, path: Path, file: Any, dtype: torch.dtype) -> None:
        self.path, self.file, self.dtype, self.names = path, file, dtype, set(file.keys())

    def __call__(self, where: Place, shape: tuple[int, ...]) -> Tensor:
        tensor = BACK[where.form](self.file.get_tensor(where.name)) if where.name in self.names else None
        if tensor is None or tuple(tensor.shape) != shape:
            raise ModelFolderError(
                "single.tensor",
                "{path} must have the tensor {name} for {shape}, and has {found}; it is of another model than the "
                "configs, which --like FOLDER names",
                path=self.path,
                name=where.name,
                shape=list(shape),
                found="-" if tensor is None else list(tensor.shape),
            )
        return cast(tensor, self.dtype, self.path, where.name)


def _files(folder: Path) -> dict[str, bytes]:
    """What a folder needs beside its weights."""
    found = {}
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        name = path.relative_to(folder).as_posix()
        is_kept = path.is_file() and path.name.endswith(KEPT) and name.partition("/")[0] not in NOT_KEPT
        is_kept &= path.name != "tokenizer.json" and not path.name.endswith(INDEX_ENDINGS)  # shards are one file then
        if is_kept and (path.name.endswith(NEEDED) or path.stat().st_size <= MAX_KEPT_BYTES):
            found[name] = path.read_bytes()
    return found


def _files_within(path: Path, metadata: Mapping[str, str]) -> dict[str, bytes]:
    if FILES not in metadata:
        raise InvalidInputError(
            "single.foreign",
            "{field} must be a file that jsd weights convert wrote, for no other has a Japanese vocabulary in it, and "
            "{value} is none; for one that was made of such a file, name the model folder with --like FOLDER",
            field="SOURCE",
            value=path,
        )
    try:
        files = {str(name): b64decode(data) for name, data in json.loads(metadata[FILES]).items()}
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise _damaged(path) from error
    for name in files:
        parts = PurePosixPath(name).parts
        if len(parts) not in (1, 2) or ".." in parts or name.startswith("/") or not name.endswith(KEPT):
            raise _damaged(path)
    return {name: data for name, data in files.items() if not name.endswith(INDEX_ENDINGS)}


def _damaged(path: Path) -> ModelFolderError:
    return ModelFolderError(
        "single.metadata",
        "{path}: its metadata must hold files of a model folder, and does not; name the folder with --like FOLDER",
        path=path,
    )
