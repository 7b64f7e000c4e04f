"""Where a model runs, and in which number format: chosen once, by what the hardware does fast."""

from dataclasses import dataclass

import torch

from jsd.errors import InvalidInputError

NATIVE_BF16 = (8, 0)  # compute capability
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


def choose_placement(device: str | None = None, dtype: str | torch.dtype | None = None) -> Placement:
    """CUDA, else MPS, else the CPU; bfloat16 or float16 where it is fast, else float32. `None`: unset."""
    dtype = dtype_name(dtype) if isinstance(dtype, torch.dtype) else dtype
    chosen = _choose_device(device)
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


def unknown_device(device: str, available: str) -> InvalidInputError:
    return InvalidInputError(
        "device.unknown",
        "{field} must be one that this machine has ({choices}), got {value}; leave it out for the fastest",
        field="device",
        choices=available,
        value=repr(device),
    )


def fast_dtype(device: torch.device) -> torch.dtype:
    """The format in which `device` runs a UNet fastest.

    On a CPU with bf16 instructions that is bfloat16 for the embedded model too: 17 M parameters, 16x16 latents,
    guidance: 20 ms a step against 25 ms, its VAE 24 ms against 56 ms (two cores, avx512_bf16).
    """
    if device.type == "cuda":
        # A T4 (7.5) emulates bfloat16, at a crawl; Ampere (8.0) and what came after it computes with it.
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= NATIVE_BF16 else torch.float16
    if device.type == "mps":
        return torch.float16
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
    return torch.bfloat16 if fast else torch.float32


def synchronize(device: torch.device) -> None:
    """Wait until `device` has done what it was given, so that a clock read next is true."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _choose_device(device: str | None) -> torch.device:
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device is None:
        return torch.device(next(name for name, there in present.items() if there))
    available = ", ".join(name for name, there in present.items() if there)
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise unknown_device(device, available) from error
    last = torch.cuda.device_count() - 1 if chosen.type == "cuda" else 0
    if not present.get(chosen.type, False) or (chosen.index is not None and chosen.index > last):
        raise unknown_device(device, available)
    return chosen
