"""Where a model runs, and in which number format: chosen once, by what the hardware does fast."""

import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jsd.engines import OPENVINO, TORCH
from jsd.errors import GenerationError, InvalidInputError, Note
from jsd.i18n import N_

CUDA = torch.device("cuda")
NATIVE_BF16 = (8, 0)  # compute capability
# What others than CUDA's allocator say: they raise a RuntimeError, not torch.OutOfMemoryError, which is one.
OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "MPS backend out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
# Rules of what must fit into the memory: their codes, and what is said.
PICTURES_FIT = (
    "generation.memory",
    N_("the pictures must fit into the device's memory, and they do not; ask for fewer outputs or a smaller size"),
)
MODEL_FITS = (
    "model.memory",
    N_(
        "the model must fit into the device's memory, and it does not; take a smaller model, another device, or dtype "
        "bfloat16"
    ),
)
TRAINING_FITS = (
    "train.memory",
    N_(
        "what a stage learns must fit into the device's memory, and it does not; give a smaller --train-batch-size, "
        "with as many more --gradient-accumulation-steps"
    ),
)
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Placement:
    device: torch.device
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.device}, {dtype_name(self.dtype)}"


def dtype_name(dtype: torch.dtype) -> str:
    """`float32`, `float16` or `bfloat16`: a key of `DTYPES`."""
    return str(dtype).removeprefix("torch.")


def choose_placement(
    device: str | None = None, dtype: str | torch.dtype | None = None, engine: str = TORCH
) -> Placement:
    """JSD_DEVICE, else CUDA, else MPS, else the CPU; bfloat16 or float16 where it is fast, else float32. `None`: unset.

    Warns with a Note where that is the CPU of a machine that has a GPU.
    """
    dtype = dtype_name(dtype) if isinstance(dtype, torch.dtype) else dtype
    field = "device" if device is not None else "JSD_DEVICE"
    device = device_of_environment() if device is None else device
    device = "cpu" if device is None and engine == OPENVINO else device
    chosen = _choose_device(device, field)
    if engine == OPENVINO and chosen.type != "cpu":
        raise InvalidInputError(
            "device.engine",
            "{field} must be cpu for the engine {engine}, got {value}; leave {field} out, or use the engine torch",
            field=field,
            engine=engine,
            value=device,
        )
    idle = unusable_gpu() if device is None and chosen.type == "cpu" else None
    if idle is not None:
        warnings.warn(idle, stacklevel=3)
    if dtype is None:
        return Placement(device=chosen, dtype=fast_dtype(chosen))
    named = named_dtype(dtype)
    if chosen.type == "cpu" and dtype == "float16":
        raise InvalidInputError(
            "device.cpu_float16",
            "{field} {value} does not go with the CPU, where it is hundreds of times too slow; "
            "use bfloat16 or float32, or leave {field} out",
            field="dtype",
            value=dtype,
        )
    return Placement(device=chosen, dtype=named)


def named_dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise InvalidInputError(
            "device.dtype",
            "{field} must be one of {choices}, got {value}; leave it out for the fastest",
            field="dtype",
            choices=", ".join(DTYPES),
            value=repr(name),
        )
    return DTYPES[name]


def unknown_device(device: str, available: str, field: str = "device") -> InvalidInputError:
    return InvalidInputError(
        "device.unknown",
        "{field} must be one that this machine has ({choices}), got {value}; leave it out for the fastest",
        field=field,
        choices=available,
        value=repr(device),
    )


def device_of_environment() -> str | None:
    return os.environ.get("JSD_DEVICE") or None


def unusable_gpu() -> Note | None:
    """Of an NVIDIA GPU in this machine that torch cannot use, unless it was hidden on purpose."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if hidden or not (Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi")) or _has_cuda(CUDA):
        return None
    return Note(
        "device.unusable_gpu",
        "this machine has an NVIDIA GPU (driver {driver}) that torch {torch} ({cuda}) cannot use, and its CPU is "
        "hundreds of times slower; update the driver or install another build of torch, or ask for the CPU by name: "
        "JSD_DEVICE=cpu",
        driver=_driver_version(),
        torch=torch.__version__,
        cuda="without CUDA" if torch.version.cuda is None else f"CUDA {torch.version.cuda}",
    )


def _has_cuda(device: torch.device) -> bool:
    """Whether torch can use it, with this driver and with its own kernels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's words for it, which name no remedy of ours
        return torch.cuda.is_available() and _has_kernels(device)


def _has_kernels(device: torch.device) -> bool:
    """Whether torch was built for its architecture: sm_86 runs on 8.6 and 8.9, compute_86 (PTX) on any later one too.
    ROCm calls its own by other names."""
    built = re.findall(r"(sm|compute)_(\d+)(\d)", " ".join(torch.cuda.get_arch_list()))
    if not built:
        return True
    capability = torch.cuda.get_device_capability(device)
    return any(
        (int(major), int(minor)) <= capability and (kind == "compute" or int(major) == capability[0])
        for kind, major, minor in built
    )


def _driver_version() -> str:
    with suppress(OSError):
        found = re.search(r"Kernel Module\b.*?\s(\d+\.[\d.]+)", Path("/proc/driver/nvidia/version").read_text("utf-8"))
        if found is not None:
            return found[1]
    return "unknown"


def fast_dtype(device: torch.device, *, training: bool = False) -> torch.dtype:
    """The format in which `device` runs a UNet fastest.

    On an AMD CPU with avx512_bf16 that is bfloat16 for the embedded model too: 17 M parameters, 16x16 latents,
    guidance: 20 ms a step against 25 ms, its VAE 24 ms against 56 ms (two cores). Intel's with that and without AMX
    multiply matrices in bfloat16 half as fast as in float32 (2048x2048: 80 and 150 GFLOP/s a core): a step of full
    size took 27 s there, in float32 19 s. Training is another matter: 3.9 s a step of 64 in bfloat16, 2.6 s in float32,
    with avx512_bf16; only AMX makes bfloat16 the faster one.
    """
    if device.type == "cuda":
        # A T4 (7.5) emulates bfloat16, at a crawl; Ampere (8.0) and what came after it computes with it.
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= NATIVE_BF16 else torch.float16
    if device.type == "mps":
        return torch.float16
    ask = getattr(torch.cpu, "get_capabilities", None)  # torch 2.9 and 2.10 do not tell
    capabilities: Mapping[str, Any] = {} if ask is None else ask()
    is_fast = capabilities.get("amx_bf16", False)
    if not training and "Intel" not in str(capabilities.get("cpu_name")):
        is_fast = is_fast or capabilities.get("avx512_bf16", False)
    return torch.bfloat16 if is_fast else torch.float32


def synchronize(device: torch.device) -> None:
    """Wait until `device` has done what it was given, so that a clock read next is true."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _choose_device(device: str | None, field: str) -> torch.device:
    if device == "cpu":  # no look at a GPU, which would take memory there
        return torch.device("cpu")
    present = {"cuda": _has_cuda(CUDA), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device is None:
        return torch.device(next(name for name, there in present.items() if there))
    available = ", ".join(name for name, there in present.items() if there)
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise unknown_device(device, available, field) from error
    last = torch.cuda.device_count() - 1 if chosen.type == "cuda" else 0
    is_beyond = chosen.index is not None and chosen.index > last
    if is_beyond or not (_has_cuda(chosen) if chosen.type == "cuda" else present.get(chosen.type, False)):
        raise unknown_device(device, available, field)
    return chosen


@contextmanager
def out_of_memory(rule: tuple[str, str] = PICTURES_FIT) -> Iterator[None]:
    """GenerationError where what is done within does not fit into the memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # the first is of numpy
        known = isinstance(error, MemoryError | torch.OutOfMemoryError)
        if known or any(words in str(error) for words in OUT_OF_MEMORY):
            raise GenerationError(*rule) from error
        raise
