"""Every sampler judged without a model: the data are a Gaussian, so the exact denoiser, the exact answer and what a
first-order method makes of the same noise levels are known in closed form.

Of y = x_t / sqrt(a) = x_0 + sigma eps, with x_0 of mean MEAN and spread SPREAD:
    exact denoiser         E[x_0 | y] = MEAN + (y - MEAN) SPREAD^2 / (SPREAD^2 + sigma^2)
    exact answer           (y - MEAN) / sqrt(SPREAD^2 + sigma^2) stays what it is down to sigma = 0
"""

from collections.abc import Sequence
from functools import partial
from itertools import groupby, pairwise
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from jsd.errors import InvalidInputError
from jsd.sampling import Start, denoise, initial_noise, noise_generators, start_from_image, start_from_noise
from jsd.schedulers import DISTILLED, DISTILLED_STEPS, SCHEDULERS, make_scheduler

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
MEAN, SPREAD = 0.3, 0.5
COUNTS = (*range(1, 31), 37, 45, 60, 100, 334)
STRENGTHS = (0.1, 0.5, 1.0)
ANCESTRAL = "K_EULER_ANCESTRAL"
NOISY = (ANCESTRAL, *DISTILLED)  # they add noise of their own, and are judged by mean and spread
VARIANCE_PRESERVING = (
    "DDIM",
    "DDIM_TRAILING",
    "PNDM",
    "DPMSolverMultistep",
    "KarrasDPM",
    *DISTILLED,
)  # their latents are x_t, the others' y
# On what else a UNet may have been trained; counts at which long steps show.
OTHER_NOISE: dict[str, dict[str, object]] = {
    "v_prediction": {"prediction_type": "v_prediction"},
    "sample": {"prediction_type": "sample"},
    "zero terminal SNR": {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
    "few levels": {"num_train_timesteps": 61},
}


class ExactUNet:
    """E[x_0 | x_t] as the scheduler's prediction type wants it; the noise level is that of the timestep it is told."""

    dtype = torch.float32

    def __init__(self, scheduler: Any) -> None:
        self.sigmas = np.sqrt(1 / scheduler.alphas_cumprod.double().numpy() - 1)
        self.prediction_type = scheduler.config.prediction_type
        self.seen: list[tuple[float, Tensor]] = []

    def sigma(self, t: Tensor | float) -> float:
        return float(np.interp(float(t), np.arange(len(self.sigmas)), self.sigmas))

    def __call__(self, x_t: Tensor, t: Tensor, **_: object) -> tuple[Tensor]:
        sigma = self.sigma(t)
        self.seen.append((sigma, x_t))
        a = 1 / (1 + sigma**2)
        y = x_t.double() / sqrt(a)
        x_0 = MEAN + (y - MEAN) * SPREAD**2 / (SPREAD**2 + sigma**2)
        noise = (y - x_0) / sigma
        answers = {"sample": x_0, "epsilon": noise, "v_prediction": sqrt(a) * noise - sqrt(1 - a) * x_0}
        return (answers[self.prediction_type].float(),)


def picture(side: int) -> Tensor:
    """(1, 1, side, side) of the data."""
    return MEAN + SPREAD * torch.randn(1, 1, side, side, generator=torch.Generator().manual_seed(5))


def begin(name: str, num: int, strength: float | None, config: dict[str, Any], side: int) -> Start:
    """From noise where `strength` is None, else from `picture`, the upper half of which is kept."""
    scheduler = make_scheduler(name, config, num)
    noise = initial_noise(noise_generators([0]), (1, side, side))
    if strength is None:
        return start_from_noise(scheduler, noise)
    mask = torch.ones(1, 1, side, side)
    mask[:, :, : side // 2] = 0
    return start_from_image(scheduler, noise, picture(side), strength, mask)


def run(start: Start) -> tuple[Tensor, ExactUNet]:
    unet = ExactUNet(start.scheduler)
    options = {"prompt_embeds": torch.zeros(1, 1, 1), "negative_prompt_embeds": None, "guidance_scale": 1.0}
    *_, state = denoise(unet, start, generators=noise_generators([1]), **options)
    return state.latents.double(), unet


def levels(start: Start) -> list[float]:
    """Each sigma that is run, down to the last."""
    unet = ExactUNet(start.scheduler)
    if hasattr(start.scheduler, "sigmas"):
        sigmas = start.scheduler.sigmas.tolist()[-1 - len(start.timesteps) :]
    else:
        sigmas = [*map(unet.sigma, start.timesteps), unet.sigma(0)]
    return [sigma for sigma, _ in groupby(sigmas)]


def first_order(sigmas: Sequence[float], y: Tensor) -> Tensor:
    """Euler's method, and DDIM's, which are the same."""
    for sigma, following in pairwise(sigmas):
        y = y + (following - sigma) * sigma / (SPREAD**2 + sigma**2) * (y - MEAN)
    return y / sqrt(1 + sigmas[-1] ** 2)


def error(x: Tensor, exact: Tensor) -> float:
    return float((x - exact).square().mean().sqrt()) / SPREAD


def noisy_step(name: str, sigma: float, following: float, between: float) -> tuple[float, float]:
    """How much of y's way from MEAN is left after a step, and the spread of the noise that is added."""
    to, noise = {
        ANCESTRAL: (following**2 / sigma, following * sqrt(1 - (following / sigma) ** 2)),
        "LCM": (0.0, following),
        "TCD": (between, sqrt(max(following**2 - between**2, 0.0))),
    }[name]
    return 1 + (to - sigma) * sigma / (SPREAD**2 + sigma**2), noise


def noisy_error(name: str, start: Start, sigmas: Sequence[float], y: Tensor, latents: Tensor) -> str | None:
    unet = ExactUNet(start.scheduler)
    mean, variance = float(y.mean()), float(y.var())
    if name == ANCESTRAL:
        steps = [(sigma, following, 0.0) for sigma, following in pairwise(sigmas)]
    else:
        # TCD goes down to 0.7 of the next timestep and up again; neither adds noise to the last.
        times = [int(torch.floor((1 - 0.3) * t)) for t in [*start.timesteps[1:], torch.tensor(0)]]
        steps = [(*pair, unet.sigma(t)) for pair, t in zip(pairwise(sigmas), times, strict=True)]
        steps[-1] = (steps[-1][0], 0.0, unet.sigma(0))
    for step in steps:
        k, noise = noisy_step(name, *step)
        mean, variance = MEAN + k * (mean - MEAN), k**2 * variance + noise**2
    off = (abs(float(latents.mean()) - mean) / SPREAD, abs(float(latents.std()) - sqrt(variance)) / SPREAD)
    return None if max(off) < 0.05 else f"mean and spread are off by {off}"


def judge(name: str, num: int, strength: float | None, config: dict[str, Any]) -> str | None:
    """What is wrong, if anything is."""
    if name in DISTILLED and num > DISTILLED_STEPS:
        return None
    side = 64 if name in NOISY else 8
    start = begin(name, num, strength, config, side)
    if len(start.timesteps) == 0:
        return None
    sigmas = levels(start)
    drawn = slice(None) if start.known is None else slice(side // 2, None)
    y = start.latents[:, :, drawn].double() * (sqrt(1 + sigmas[0] ** 2) if name in VARIANCE_PRESERVING else 1)
    latents, _ = run(start)
    if start.known is not None and not torch.equal(
        latents[:, :, : side // 2].float(), picture(side)[:, :, : side // 2]
    ):
        return "the picture is not kept"
    latents = latents[:, :, drawn]
    if name in NOISY:
        return noisy_error(name, start, sigmas, y, latents)
    exact = MEAN + (y - MEAN) * SPREAD / sqrt(SPREAD**2 + sigmas[0] ** 2)
    got, limit = error(latents, exact), 1.1 * error(first_order(sigmas, y), exact) + 0.01
    return None if got <= limit else f"error {got:.3f}, above {limit:.3f}"


@pytest.mark.parametrize("name", SCHEDULERS)
def test_no_scheduler_is_worse_than_first_order(name: str) -> None:
    """From noise, and from a picture of which half is kept."""
    cells = [(num, strength) for num in COUNTS for strength in (None, *(STRENGTHS if num <= 30 else (0.1, 0.5)))]
    wrong = {cell: said for cell in cells if (said := judge(name, *cell, CONFIG)) is not None}
    assert wrong == {}, f"{name}, (steps, strength): {wrong}"


@pytest.mark.parametrize("noise", OTHER_NOISE)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_nor_on_other_noise(name: str, noise: str) -> None:
    config = CONFIG | OTHER_NOISE[noise]
    if (name, noise) == (ANCESTRAL, "sample"):
        with pytest.raises(InvalidInputError, match="DPMSolverMultistep"):
            make_scheduler(name, config, 25)
        return
    cells = [(num, strength) for num in (1, 2, 3, 4, 5, 7, 13, 25) for strength in (None, 0.5)]
    wrong = {cell: said for cell in cells if (said := judge(name, *cell, config)) is not None}
    assert wrong == {}, f"{name}, (steps, strength): {wrong}"


def test_ancestral_steps_lose_spread() -> None:
    """The one exception, as the method has it: each step takes a little more noise away than it adds."""
    spreads = [float(run(begin(ANCESTRAL, num, None, CONFIG, 64))[0].std()) / SPREAD for num in (25, 100, 500)]
    assert spreads == pytest.approx([0.84, 0.94, 0.98], abs=0.02)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_schedule_starts_where_the_noise_is(name: str) -> None:
    for num in (*COUNTS, 125, 167, 200, 251, 333, 401, 499):
        if name in DISTILLED and num > DISTILLED_STEPS:
            continue
        scheduler = make_scheduler(name, CONFIG, num)
        first = float(scheduler.timesteps[0])
        assert first >= (999 if num == 1 else 1000 - 1000 / num), f"{num} steps start at {first}"
        if name == "DDIM" and num > 1 and 1000 % num == 0:
            assert scheduler.timesteps.tolist() == [*range(1, 1001, 1000 // num)][::-1], "diffusers' own"


@pytest.mark.parametrize("name", SCHEDULERS)
def test_strength_1_keeps_nothing_of_the_picture(name: str) -> None:
    noise, scheduler = torch.ones(1, 1, 8, 8), partial(make_scheduler, name, CONFIG, 4)
    starts = [start_from_image(scheduler(), noise, value * noise, 1.0) for value in (-1, 1)]
    for start in starts:
        assert torch.equal(run(start)[0], run(start_from_noise(scheduler(), noise))[0])


@pytest.mark.parametrize("name", SCHEDULERS)
def test_what_is_kept_stands_at_the_noise_of_every_step(name: str) -> None:
    start = begin(name, 10, 0.5, CONFIG, 8)
    _, unet = run(start)
    assert start.known is not None
    for sigma, x_t in unet.seen:
        expected = (picture(8) + sigma * start.known.noise) / sqrt(1 + sigma**2)
        torch.testing.assert_close(x_t[:, :, :4], expected[:, :, :4], rtol=0, atol=0.01)
