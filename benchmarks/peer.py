"""diffusers' own pipelines as a user has them: its classes, its defaults, or compiled as its documents say.

Token ids are ours: it has no tokenizer for them.
"""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from benchmarks.measure import GUIDANCE_SCALE, PHASES, PROMPT, SCHEDULER, SEED, Draw, Task
from jsd.devices import synchronize
from jsd.models.folder import ModelFolder
from jsd.sampling import initial_noise, noise_generators
from jsd.schedulers import make_scheduler


def load_peer(task: Task) -> Draw:
    folder, dtype, device = ModelFolder(Path(task.folder)), getattr(torch, task.dtype), torch.device(task.device)
    pipeline = _pipeline(folder, dtype, task.steps).to(device)
    pipeline.set_progress_bar_config(disable=True)
    if task.implementation == "diffusers compiled":
        _compile(pipeline, device)
    encode = _encoder(pipeline, folder)
    side = pipeline.unet.config.sample_size

    @torch.no_grad()
    def draw(batch: int) -> tuple[Any, dict[str, float]]:
        noise = initial_noise(
            noise_generators(range(SEED, SEED + batch)), (pipeline.unet.config.in_channels, side, side)
        )
        times = [perf_counter()]
        embeds = encode(batch)
        synchronize(device)
        times.append(perf_counter())
        latents = pipeline(
            **embeds,
            latents=noise.to(device, dtype),
            num_inference_steps=task.steps,
            guidance_scale=GUIDANCE_SCALE,
            output_type="latent",
        ).images
        synchronize(device)
        times.append(perf_counter())
        picture = _decode(pipeline, latents)
        times.append(perf_counter())
        seconds = (end - start for start, end in pairwise(times))
        return picture, dict(zip(PHASES, seconds, strict=True))

    return draw


def _pipeline(folder: ModelFolder, dtype: torch.dtype, steps: int) -> Any:
    path = folder.path
    parts: dict[str, Any] = {
        "vae": AutoencoderKL.from_pretrained(path / "vae", torch_dtype=dtype),
        "unet": UNet2DConditionModel.from_pretrained(path / "unet", torch_dtype=dtype),
        "text_encoder": CLIPTextModel.from_pretrained(path / "text_encoder", dtype=dtype),
        "scheduler": make_scheduler(SCHEDULER, folder.scheduler_config, steps),
        "tokenizer": None,
        "feature_extractor": None,
    }
    if not (path / "text_encoder_2").is_dir():
        return StableDiffusionPipeline(**parts, safety_checker=None, requires_safety_checker=False)
    second = CLIPTextModelWithProjection.from_pretrained(path / "text_encoder_2", dtype=dtype)
    return StableDiffusionXLPipeline(**parts, text_encoder_2=second, tokenizer_2=None, add_watermarker=False)


def _compile(pipeline: Any, device: torch.device) -> None:
    """For a GPU; elsewhere it is traced alone, to try the way."""
    how: dict[str, Any] = {"mode": "reduce-overhead"} if device.type == "cuda" else {"backend": "aot_eager"}
    for network in (pipeline.unet, pipeline.vae):
        network.to(memory_format=torch.channels_last)
    pipeline.unet.compile(**how)
    pipeline.vae.decode = torch.compile(pipeline.vae.decode, **how)


def _encoder(pipeline: Any, folder: ModelFolder) -> Callable[[int], dict[str, Tensor]]:
    """What makes the pipeline's arguments for a batch of the prompt, and of no negative prompt."""
    ids = [folder.tokenizer.encode(text) for text in (PROMPT, "")]

    def encode(batch: int) -> dict[str, Tensor]:
        input_ids = torch.tensor(ids, device=pipeline.device)  # (2, L)
        second = getattr(pipeline, "text_encoder_2", None)
        if second is None:
            both = {"prompt_embeds": pipeline.text_encoder(input_ids).last_hidden_state}
        else:
            outputs = [one(input_ids, output_hidden_states=True) for one in (pipeline.text_encoder, second)]
            hidden = torch.cat([output.hidden_states[-2] for output in outputs], dim=-1)
            both = {"prompt_embeds": hidden, "pooled_prompt_embeds": outputs[1].text_embeds}
        if folder.zero_empty_negative:
            both = {name: torch.stack([rows[0], torch.zeros_like(rows[1])]) for name, rows in both.items()}
        prefixes = ("", "negative_")
        return {
            f"{prefix}{name}": rows[index : index + 1].repeat_interleave(batch, dim=0)
            for name, rows in both.items()
            for index, prefix in enumerate(prefixes)
        }

    return encode


def _decode(pipeline: Any, latents: Tensor) -> Any:
    """As the pipelines do: SDXL's in float32, where its VAE would overflow in float16."""
    vae = pipeline.vae
    is_upcast = isinstance(pipeline, StableDiffusionXLPipeline) and vae.dtype == torch.float16
    is_upcast = is_upcast and vae.config.force_upcast
    if is_upcast:
        vae.to(torch.float32)
    decoded = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor, return_dict=False)[0]
    picture = pipeline.image_processor.postprocess(decoded)[0]
    if is_upcast:
        vae.to(torch.float16)
    return picture
