"""Pixels <-> latents: the only place that knows the VAE's scaling factor."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from jsd.errors import GenerationError


@torch.inference_mode()
def encode_image(vae: Any, pixel_values: Tensor, *, upcast: bool = False) -> Tensor:
    """pixel_values (B, 3, H, W) in [-1, 1] -> latents (B, C, h, w) float32, scaled: the mean."""
    latents = _run(vae, lambda x: _latents(vae.encode(x)), pixel_values, upcast)
    return (latents - _shift(vae)) * float(vae.config.scaling_factor)


@torch.inference_mode()
def decode_latents(vae: Any, latents: Tensor, *, upcast: bool = False) -> Tensor:
    """latents (B, C, h, w), scaled -> images (B, 3, H, W) float32 in [0, 1]."""
    latents = latents / float(vae.config.scaling_factor) + _shift(vae)
    # One by one: the VAE's activations are the peak of memory, and batching gains nothing.
    decoded = [_run(vae, lambda x: vae.decode(x, return_dict=False)[0], x, upcast) for x in latents[:, None]]
    return (torch.cat(decoded) / 2 + 0.5).clamp(0, 1)


def _latents(encoded: Any) -> Tensor:
    """TAESD's class gives them as they are, the other a distribution."""
    latents: Tensor = encoded.latents if hasattr(encoded, "latents") else encoded.latent_dist.mode()
    return latents


def _shift(vae: Any) -> float:
    shift = vae.config.get("shift_factor")
    return 0.0 if shift is None else float(shift)


def _dtype(vae: Any) -> torch.dtype:
    """The VAE's; where a cancelled request left a part of it in float32, all of it is brought back first."""
    dtypes = sorted({one.dtype for one in vae.parameters()}, key=lambda one: one.itemsize)
    if len(dtypes) > 1:
        torch.nn.Module.to(vae, dtypes[0])
    dtype: torch.dtype = vae.dtype
    return dtype


def _run(vae: Any, run: Callable[[Tensor], Tensor], x: Tensor, upcast: bool) -> Tensor:
    """`run` in the VAE's dtype; in float32 where half precision overflowed, or is known to: `upcast`."""
    dtype, device = _dtype(vae), vae.device
    result = torch.full((), torch.nan) if upcast and dtype == torch.float16 else run(x.to(device, dtype)).float()
    if bool(torch.isfinite(result).all()):
        return result
    if dtype != torch.float32:
        try:
            # nn.Module's own `to`: diffusers' warns at every call.
            torch.nn.Module.to(vae, torch.float32)
            result = run(x.to(device, torch.float32))
        finally:
            torch.nn.Module.to(vae, dtype)
    if not bool(torch.isfinite(result).all()):
        raise GenerationError(
            "generation.vae",
            "pictures must be finite numbers, and the VAE gave others even in float32; check the weights with jsd "
            "weights verify",
        )
    return result
