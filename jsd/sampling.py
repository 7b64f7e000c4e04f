"""From noise to latents: the one denoising loop, and where it starts.

Symbols of the papers: latents x_t, noise eps ~ N(0, 1), timesteps T..1, guidance_scale w; strength is the
part of the schedule that image to image runs. The scheduler owns the noise levels; latents stay float32
whatever the dtype of the UNet, so that half precision does not round x_t at every step.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from jsd.solvers import predict_original


@dataclass(frozen=True, kw_only=True)
class DenoisingState:
    """After `step` of `num_steps` UNet calls; a scheduler may need more calls than the steps asked for."""

    step: int
    num_steps: int
    latents: Tensor  # (B, C, h, w) float32
    predicted: Tensor  # (B, C, h, w) float32: x_0 as the UNet sees it in this step's x_t


@dataclass(frozen=True, kw_only=True)
class KnownRegion:
    """What inpainting keeps: the input picture, at every noise level."""

    image_latents: Tensor  # (1, C, h, w)
    noise: Tensor  # (B, C, h, w)
    mask: Tensor  # (1, 1, h, w), 1 where the picture is repainted


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a batch enters the noise schedule; a scheduler serves one batch."""

    scheduler: Any
    timesteps: Tensor  # (num_steps,), the first is the noise level of the latents
    latents: Tensor  # (B, C, h, w) float32
    known: KnownRegion | None = None


def noise_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One CPU generator per image: a picture depends on its own seed, not on its batch, nor on the device."""
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def initial_noise(generators: Sequence[torch.Generator], shape: tuple[int, int, int]) -> Tensor:
    """shape (C, h, w) -> noise (B, C, h, w) float32 on the CPU, one draw of each generator."""
    return torch.cat([torch.randn((1, *shape), generator=g, dtype=torch.float32) for g in generators])


def start_from_noise(scheduler: Any, noise: Tensor, known: KnownRegion | None = None) -> Start:
    """Text to image: noise (B, C, h, w), all of the schedule."""
    latents = noise * scheduler.init_noise_sigma  # (B, C, h, w)
    # By position: where noise levels lie close, several have the same timestep.
    scheduler.set_begin_index(0)
    return Start(scheduler=scheduler, timesteps=scheduler.timesteps, latents=latents, known=known)


def start_from_image(
    scheduler: Any, noise: Tensor, image_latents: Tensor, strength: float, mask: Tensor | None = None
) -> Start:
    """Image to image: the last `strength` of the schedule, from image_latents (1, C, h, w) and noise.

    With a mask (1, 1, h, w) the picture is kept where it is 0. With a strength too small for one step, the
    latents are the picture's and there is nothing to do; 1 begins from noise alone.
    """
    known = None if mask is None else KnownRegion(image_latents=image_latents, noise=noise, mask=mask)
    num_run = int(scheduler.num_inference_steps * strength)
    if num_run == 0:
        return Start(scheduler=scheduler, timesteps=scheduler.timesteps[:0], latents=image_latents.expand_as(noise))
    if strength == 1:
        return start_from_noise(scheduler, noise, known)
    num_skipped = (scheduler.num_inference_steps - num_run) * scheduler.order
    scheduler.set_begin_index(num_skipped)
    timesteps = scheduler.timesteps[num_skipped:]  # (num_steps,)
    latents = scheduler.add_noise(image_latents, noise, timesteps[:1])  # (B, C, h, w)
    return Start(scheduler=scheduler, timesteps=timesteps, latents=latents, known=known)


def _told(encoder_hidden_states: Tensor, added: Mapping[str, Tensor] | None, num_rows: int) -> dict[str, Any]:
    """The UNet's arguments for the last `num_rows` of what is added: the negative prompts' come first."""
    told: dict[str, Any] = {"encoder_hidden_states": encoder_hidden_states}
    if added is not None:
        told["added_cond_kwargs"] = {name: rows[-num_rows:] for name, rows in added.items()}
    return told


@torch.inference_mode()
def denoise(
    unet: Any,
    start: Start,
    *,
    prompt_embeds: Tensor,
    negative_prompt_embeds: Tensor | None,
    guidance_scale: float,
    generators: Sequence[torch.Generator],
    added_cond_kwargs: Mapping[str, Tensor] | None = None,
    guidance_interval: tuple[float, float] = (0.0, 1.0),
    timestep_cond: Tensor | None = None,
) -> Iterator[DenoisingState]:
    """x_T -> x_0, a state after each step. Embeddings (B, L, D); the negative ones are unread at guidance 1.

    `generators` give the noise that an ancestral scheduler adds at each step, one per image; `added_cond_kwargs` and
    `timestep_cond`: what the UNets of some models are told besides (`jsd.conditioning`). Guidance is used where
    1 - t / T, T the number of noise levels, lies within `guidance_interval` (arXiv 2404.07724); elsewhere a step costs
    half.
    """
    scheduler, latents, known = start.scheduler, start.latents, start.known
    told = _told(prompt_embeds, added_cond_kwargs, len(latents))
    if timestep_cond is not None:
        told["timestep_cond"] = timestep_cond
    told_both = told
    if guidance_scale != 1 and negative_prompt_embeds is not None:
        both = torch.cat([negative_prompt_embeds, prompt_embeds])  # (2B, L, D)
        told_both = _told(both, added_cond_kwargs, 2 * len(latents))
    draws_noise = "generator" in signature(scheduler.step).parameters
    step_kwargs = {"generator": list(generators)} if draws_noise else {}
    dtype = unet.dtype
    for i, t in enumerate(start.timesteps):
        way = 1 - float(t) / scheduler.config.num_train_timesteps
        guided = told_both is not told and guidance_interval[0] <= way <= guidance_interval[1]
        sample = scheduler.scale_model_input(latents, t)  # (B, C, h, w)
        latent_model_input = sample.to(dtype)
        if guided:
            latent_model_input = torch.cat([latent_model_input] * 2)  # (2B, C, h, w)
        noise_pred = unet(latent_model_input, t, return_dict=False, **(told_both if guided else told))[0].float()
        if guided:
            # w > 1 moves from what any picture would have towards what this prompt's has (arXiv 2207.12598).
            noise_pred_uncond, noise_pred_text = noise_pred.chunk(2)  # (B, C, h, w) each
            noise_pred = noise_pred_uncond + guidance_scale * (noise_pred_text - noise_pred_uncond)
        predicted = predict_original(scheduler, sample, noise_pred, float(t))  # (B, C, h, w)
        latents = scheduler.step(noise_pred, t, latents, return_dict=False, **step_kwargs)[0]
        if known is not None:
            kept = known.image_latents
            if i + 1 < len(start.timesteps):
                kept = scheduler.add_noise(kept, known.noise, start.timesteps[i + 1 : i + 2])
            latents = (1 - known.mask) * kept + known.mask * latents
            predicted = (1 - known.mask) * known.image_latents + known.mask * predicted
        yield DenoisingState(step=i + 1, num_steps=len(start.timesteps), latents=latents, predicted=predicted)
