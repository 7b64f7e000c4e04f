"""Our training step beside that of diffusers' example (examples/text_to_image/train_text_to_image.py), in one run.

    python -m benchmarks.training [--weights FOLDER] [--device cuda] [--batch N] [--steps N] [--rounds N]

The same UNet learns, in the same format, from the same batches, with AdamW, clipping and an average of the weights (its
--use_ema); the text encoder is fixed. The example encodes pictures in every step, so it is measured as it is, and from
latents like ours. All variants in turn, several times; the first step of each turn is left out. Data loading takes no
part in any: the batches are made before.
"""

import argparse
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.optimization import get_scheduler
from diffusers.schedulers import DDPMScheduler
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

from benchmarks.measure import ROOT, hardware
from jsd.atomic import write_json
from jsd.devices import dtype_name, fast_dtype, synchronize
from jsd.models.configs import read_json
from jsd.models.folder import ModelFolder
from jsd.training import modules
from jsd.training.loop import train
from jsd.training.objectives import Losses, denoising_loss
from jsd.training.recipes import Stage
from jsd.training.starting import alphas_cumprod, step_generator

LEARNING_RATE, MAX_GRAD_NORM, SNR_GAMMA = 1e-5, 1.0, 5.0  # the example's; the last is ours


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What every variant has: the networks, float32; a batch; the format of the arithmetic."""

    unet: Any
    text_encoder: Any
    vae: Any
    scheduler: dict[str, Any]
    pixel_values: Tensor  # (B, 3, H, W) in [-1, 1]
    latents: Tensor  # (B, C, h, w), scaled
    input_ids: Tensor  # (B, L)
    dtype: torch.dtype  # of autocast

    @property
    def autocast(self) -> torch.autocast:
        return torch.autocast(self.latents.device.type, self.dtype, enabled=self.dtype != torch.float32)

    @classmethod
    def load(cls, folder: Path, device: torch.device, batch: int) -> "Setting":
        networks = {name: modules.load(name, folder).to(device) for name in ("unet", "text_encoder", "vae")}
        for network in networks.values():
            network.requires_grad_(False)
        networks["unet"].requires_grad_().train()
        vae, side = networks["vae"], networks["unet"].config.sample_size
        factor = 2 ** (len(vae.config.block_out_channels) - 1)
        generator = torch.Generator().manual_seed(0)
        ids = ModelFolder(folder).tokenizer.encode("サラリーマン 油絵")
        return cls(
            **networks,
            scheduler=read_json(folder / "scheduler" / "scheduler_config.json"),
            pixel_values=(torch.rand(batch, 3, side * factor, side * factor, generator=generator) * 2 - 1).to(device),
            latents=torch.randn(batch, vae.config.latent_channels, side, side, generator=generator).to(device),
            input_ids=torch.tensor([ids] * batch, device=device),
            dtype=torch.bfloat16 if fast_dtype(device, training=True) == torch.bfloat16 else torch.float32,
        )


def example_steps(setting: Setting, steps: int, *, from_pictures: bool) -> list[float]:
    """Seconds of each step of the example's loop."""
    unet, device = setting.unet, setting.latents.device
    names = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type")
    known = {name: setting.scheduler[name] for name in names if name in setting.scheduler}
    noise_scheduler = DDPMScheduler(**known)
    optimizer = torch.optim.AdamW(unet.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    lr_scheduler = get_scheduler("constant", optimizer)
    ema_unet = EMAModel(unet.parameters())
    times = []
    for _ in range(steps + 1):
        synchronize(device)
        times.append(perf_counter())
        with setting.autocast:
            latents = setting.latents
            if from_pictures:
                latents = (
                    setting.vae.encode(setting.pixel_values).latent_dist.sample() * setting.vae.config.scaling_factor
                )
            noise = torch.randn_like(latents)
            timesteps = torch.randint(0, noise_scheduler.config.num_train_timesteps, (len(latents),), device=device)
            noisy_latents = noise_scheduler.add_noise(latents, noise, timesteps)
            encoder_hidden_states = setting.text_encoder(setting.input_ids, return_dict=False)[0]
            is_velocity = noise_scheduler.config.prediction_type == "v_prediction"
            target = noise_scheduler.get_velocity(latents, noise, timesteps) if is_velocity else noise
            model_pred = unet(noisy_latents, timesteps, encoder_hidden_states, return_dict=False)[0]
            loss = F.mse_loss(model_pred.float(), target.float(), reduction="mean")
        loss.item()  # it logs every one
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(unet.parameters(), MAX_GRAD_NORM)
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()
        ema_unet.step(unet.parameters())
    synchronize(device)
    times.append(perf_counter())
    return _after_the_first(times)


class _EnoughError(Exception):
    """Instead of a last step: it would write a checkpoint."""


def our_steps(setting: Setting, steps: int) -> list[float]:
    """Seconds of each step of `jsd.training.loop.train`."""
    stage = Stage(
        "benchmark", "denoising", ("unet",), {}, "ja", True, len(setting.latents), steps + 2, LEARNING_RATE, 0
    )
    alphas = alphas_cumprod(setting.scheduler).to(setting.latents.device)
    times = []

    def compute_loss(step: int) -> Losses:
        synchronize(setting.latents.device)
        times.append(perf_counter())
        if step == steps + 1:
            raise _EnoughError
        hidden = setting.text_encoder(setting.input_ids).last_hidden_state
        prediction_type, generator = setting.scheduler.get("prediction_type", "epsilon"), step_generator(0, step)
        return denoising_loss(setting.unet, alphas, prediction_type, SNR_GAMMA, setting.latents, hidden, generator)

    with TemporaryDirectory() as folder, suppress(_EnoughError):
        train(
            stage,
            nn.ModuleDict({"unet": setting.unet}),
            compute_loss,
            Path(folder),
            settings={},
            checkpointing_steps=steps + 2,
            autocast=setting.autocast,
            log=lambda *_: None,
            sample=lambda _: None,
        )
    return _after_the_first(times)


def _after_the_first(times: Sequence[float]) -> list[float]:
    """Which makes the optimiser's state."""
    return [end - start for start, end in pairwise(times)][1:]


VARIANTS: dict[str, Callable[[Setting, int], list[float]]] = {
    "diffusers' example": lambda setting, steps: example_steps(setting, steps, from_pictures=True),
    "the same from latents": lambda setting, steps: example_steps(setting, steps, from_pictures=False),
    "jsd": our_steps,
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4, help="measured in each turn, after one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("outputs") / "training.json")
    args = parser.parse_args(argv)
    setting = Setting.load(args.weights, torch.device(args.device), args.batch)
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(args.rounds):
        for name, measure in VARIANTS.items():
            seconds[name] += measure(setting, args.steps)
    where = f"{args.weights.name}, batch {args.batch}, {dtype_name(setting.dtype)}"
    where += f", {hardware(args.device)}, torch {torch.__version__}"
    rates = {name: args.batch / median(found) for name, found in seconds.items()}
    write_json(args.output, {"where": where, "step_seconds": seconds, "pictures_a_second": rates})
    print("| | a step, s: least | median | most | pictures a second | times the example |\n|" + 6 * " --- |")
    for name, found in seconds.items():
        times = " | ".join(f"{one:.3f}" for one in (min(found), median(found), max(found)))
        print(f"| {name} | {times} | {rates[name]:.1f} | {rates[name] / rates[next(iter(rates))]:.2f} |")
    print(f"\n{where}. Data loading takes no part.\n{args.output}")


if __name__ == "__main__":
    main()
