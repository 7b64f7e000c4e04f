"""The weights of a component: which of the files in its folder hold them, and the tensors in them.

A file may be safetensors or a pickle of torch's, in full or half precision, whole or in shards (`-00001-of-00002`).
An index of shards only says which of them belong together; what is in a shard, the shard itself knows.
"""

import errno
import re
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, cast

from safetensors import safe_open

from jsd.errors import ModelFolderError
from jsd.models.configs import read_json
from jsd.models.names import current_name

if TYPE_CHECKING:
    from torch import Tensor

MODELS = ("text_encoder", "unet", "vae")
TINY_VAE = "AutoencoderTiny"  # TAESD's class: quick, and a little blurred
SECOND_ENCODER = "text_encoder_2"  # of SDXL
PROCESSOR_FILE = "preprocessor_config.json"
UPSCALER = "upscaler"  # of pictures, after the VAE: see `jsd.models.upscaler`
FACTOR = 4  # how many times as large it makes them
CHECKER = "safety_checker"
# component -> the names that transformers and diffusers give its file: (.safetensors, .bin)
WEIGHT_STEMS = {
    "text_encoder": ("model", "pytorch_model"),
    SECOND_ENCODER: ("model", "pytorch_model"),
    "unet": ("diffusion_pytorch_model", "diffusion_pytorch_model"),
    "vae": ("diffusion_pytorch_model", "diffusion_pytorch_model"),
    UPSCALER: ("diffusion_pytorch_model", "diffusion_pytorch_model"),
    CHECKER: ("model", "pytorch_model"),
}
# What is read at once, so that no more than this lies in memory beside the tensors that were read before.
MAX_POINTER_BYTES = 1024  # of git-lfs
GROUP_BYTES = 64 * 2**20

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Weights:
    """`files` hold them; of the shards that belong together `missing` are not there."""

    component: str
    files: tuple[Path, ...]
    missing: tuple[Path, ...] = ()

    def shapes(self) -> dict[str, tuple[Path, str, tuple[int, ...]]]:
        """A tensor's name today -> its file, its name there and its shape; from headers alone."""
        found = {}
        for path in self.files:
            for name, shape in read_shapes(path).items():
                current = current_name(self.component, name)
                if current is not None:
                    found[current] = (path, name, shape)
        return found

    def tensors(self) -> "Iterator[tuple[str, Tensor]]":
        """Each by its name today, on the CPU; its memory is the file's: copy it before the next is asked for."""
        for path in self.files:
            shapes = read_shapes(path)
            # Only torch's zip format can be mapped; before 1.6 it was a bare pickle, read as a whole.
            is_mapped = path.suffix == ".safetensors" or zipfile.is_zipfile(path)
            for names in _groups(shapes) if is_mapped else [list(shapes)]:
                with _told(path):
                    # Opened anew for each group: a map that is closed gives the memory of its pages back.
                    tensors = _read_tensors(path, names)
                for name in names:
                    current = current_name(self.component, name)
                    if current is not None:
                        yield current, tensors[name]


def networks_of(folder: Path) -> tuple[str, ...]:
    """The networks that draw: of Stable Diffusion v1, or of SDXL, whose folder has a second text encoder; and the
    upscaler that a folder may bring."""
    return (*MODELS, *(name for name in (SECOND_ENCODER, UPSCALER) if (folder / name).is_dir()))


def has_safety_checker(folder: Path) -> bool:
    return (folder / CHECKER).is_dir()


def vae_place(folder: Path) -> Path:
    """Of a model folder its VAE's, else the folder itself."""
    return folder / "vae" if (folder / "vae").is_dir() else folder


def checker_places(folder: Path) -> tuple[Path, Path]:
    """Where a safety checker is, and the config of what it sees: of a model folder, else of the checker's own, which
    has both in one place, or beside one another as in a model folder."""
    if has_safety_checker(folder):
        return folder / CHECKER, folder / "feature_extractor"
    is_alone = (folder / PROCESSOR_FILE).exists() or not (folder.parent / "feature_extractor").is_dir()
    return folder, folder if is_alone else folder.parent / "feature_extractor"


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """One of the forms in which a component's weights may be written."""

    whole: str
    index: str
    shard: re.Pattern[str]


def find_weights(place: Path, component: str) -> Weights | None:
    """The weights that are loaded of `component`, whose folder is `place`; None where it has none.

    Of what is there: safetensors before pickles, full precision before half, a whole file before shards.
    """
    present = {path.name for path in place.glob("*") if path.is_file()}  # no pipe, no device
    for nothing_there in (False, True):
        for kind in _kinds(component):
            wanted = [kind.whole] if kind.whole in present else _shards(place, kind, present)
            # An index is no reason to look no further: what it names may be long gone.
            if wanted and (nothing_there or not present.isdisjoint(wanted)):
                files = tuple(place / name for name in wanted if name in present)
                missing = tuple(place / name for name in wanted if name not in present)
                return Weights(component=component, files=files, missing=missing)
    return None


def choose_names(names: Collection[str], component: str) -> list[str]:
    """Of the names in a component's folder those of the weights that `find_weights` would take."""
    for kind in _kinds(component):
        found = [kind.whole] if kind.whole in names else sorted(filter(kind.shard.fullmatch, names))
        if found:
            return found
    return []


def _kinds(component: str) -> Iterator[_Kind]:
    for stem, ending in zip(WEIGHT_STEMS[component], ("safetensors", "bin"), strict=True):
        for variant in ("", ".fp16"):
            # Both places of the variant were written.
            shard = (
                rf"{stem}({re.escape(variant)}-\d{{5}}-of-\d{{5}}|-\d{{5}}-of-\d{{5}}{re.escape(variant)})\.{ending}"
            )
            yield _Kind(
                whole=f"{stem}{variant}.{ending}", index=f"{stem}.{ending}.index{variant}.json", shard=re.compile(shard)
            )


def _shards(place: Path, kind: _Kind, present: Collection[str]) -> list[str]:
    """The names of the shards that belong together, there or not: as the index says, else by number."""
    named = _named(place / kind.index)
    sets = {_numbered(name) for name in present if kind.shard.fullmatch(name)}
    if not sets or not set(present).isdisjoint(named):
        return named
    # Of two sets the one that lacks least: the other is what an earlier version left.
    return list(min(sorted(sets), key=lambda names: len(set(names) - set(present))))


def _named(index: Path) -> list[str]:
    """The shards that an index names; none where it cannot be used."""
    try:
        names = set(read_json(index)["weight_map"].values())
        return sorted(names) if all(name == Path(name).name for name in names) else []
    except (ModelFolderError, KeyError, AttributeError, TypeError):
        return []


def _numbered(name: str) -> tuple[str, ...]:
    """A shard's name -> the names of all shards of its set."""
    before, digits, total, after = re.fullmatch(r"(.*-)(\d+)-of-(\d+)(.*)", name).groups()  # type: ignore[union-attr]
    return tuple(f"{before}{number:0{len(digits)}d}-of-{total}{after}" for number in range(1, int(total) + 1)) or (
        name,
    )


def read_shapes(path: Path) -> Shapes:
    """The shape of every tensor of a file, from its header alone."""
    with _told(path):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="numpy") as tensors:
                return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
        return {name: tuple(tensor.shape) for name, tensor in _read_pickle(path, device="meta").items()}


def _read_tensors(path: Path, names: list[str]) -> "dict[str, Tensor]":
    if path.suffix != ".safetensors":
        return _read_pickle(path)
    with safe_open(path, framework="pt") as tensors:
        return {name: tensors.get_tensor(name) for name in names}


def _read_pickle(path: Path, device: str = "cpu") -> "dict[str, Tensor]":
    """A `.bin` checkpoint as a memory map, without running what a pickle may carry."""
    import torch

    mmap = zipfile.is_zipfile(path)
    return cast("dict[str, Tensor]", torch.load(path, weights_only=True, mmap=mmap, map_location=device))


def _groups(shapes: Shapes) -> Iterator[list[str]]:
    """Names of tensors that are read together, `GROUP_BYTES` in float32 or a single larger one."""
    group: list[str] = []
    size = 0
    for name, shape in shapes.items():
        if group and size + prod(shape) * 4 > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(name)
        size += prod(shape) * 4
    if group:
        yield group


def _check_no_pointer(path: Path) -> None:
    """ModelFolderError where git-lfs has not fetched the file: a clone without it has 130 bytes of text instead."""
    if not path.is_file() or path.stat().st_size > MAX_POINTER_BYTES:
        return
    if path.read_bytes().startswith(b"version https://git-lfs"):
        raise ModelFolderError(
            "folder.pointer",
            "{path} must be the file itself, and is only git-lfs' word for it; run git lfs pull in the folder, or jsd "
            "weights fetch",
            path=path,
        )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file of weights as one ModelFolderError."""
    _check_no_pointer(path)
    try:
        yield
    except UnpicklingError as error:
        raise ModelFolderError(
            "folder.unsafe",
            "{path} must hold tensors alone, and holds what loading could run, or is damaged; "
            "use a file saved as safetensors",
            path=path,
        ) from error
    # Bytes out of place make the unpickler raise almost anything.
    except Exception as error:
        if "DefaultCPUAllocator" in str(error) or getattr(error, "errno", None) == errno.ENOMEM:
            raise  # what is too large is not damaged
        raise ModelFolderError(
            "folder.damaged",
            "{path} is truncated or not a checkpoint ({size_bytes} bytes); copy or fetch it again",
            path=path,
            size_bytes=path.stat().st_size if path.exists() else 0,
        ) from error
