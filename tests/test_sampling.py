from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from jsd.sampling import DenoisingState, denoise, initial_noise, noise_generators, start_from_image, start_from_noise
from jsd.schedulers import SCHEDULERS, make_scheduler

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SHAPE = (4, 8, 8)


@pytest.fixture(scope="module")
def unet(toy_folder: Path) -> Any:
    from diffusers.models import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(toy_folder / "unet", local_files_only=True).eval()


@pytest.fixture(scope="module")
def embeds() -> Tensor:
    """(4, L, D): four different prompts."""
    return torch.randn(4, 16, 32, generator=torch.Generator().manual_seed(1))


def run(
    unet: Any, embeds: Tensor, seeds: list[int], name: str = "DDIM", steps: int = 4, **kwargs: Any
) -> Iterator[DenoisingState]:
    generators = noise_generators(seeds)
    start = start_from_noise(make_scheduler(name, CONFIG, steps), initial_noise(generators, SHAPE))
    options = {"guidance_scale": 7.5, "negative_prompt_embeds": torch.zeros_like(embeds)} | kwargs
    return denoise(unet, start, prompt_embeds=embeds, generators=generators, **options)


def last(states: Iterator[DenoisingState]) -> Tensor:
    *_, state = states
    return state.latents


@pytest.mark.parametrize("name", SCHEDULERS)
def test_an_image_does_not_depend_on_its_batch(name: str, unet: Any, embeds: Tensor) -> None:
    batch = last(run(unet, embeds, [7, 8, 9, 10], name))
    single = last(run(unet, embeds[2:3], [9], name))
    torch.testing.assert_close(batch[2:3], single, rtol=1e-4, atol=1e-4)


def test_the_noise_of_an_image_is_its_seeds_first_draw() -> None:
    noise = initial_noise(noise_generators([3, 4]), SHAPE)
    expected = torch.randn((1, *SHAPE), generator=torch.Generator("cpu").manual_seed(4), dtype=torch.float32)
    assert torch.equal(noise[1:], expected)


def test_guidance_1_is_the_prompt_alone(unet: Any, embeds: Tensor) -> None:
    """w = 1 leaves noise_pred_text: the half without a prompt is not computed, and the result is the same."""
    calls: list[int] = []
    handle = unet.register_forward_pre_hook(lambda module, args: calls.append(args[0].shape[0]))
    one = last(run(unet, embeds[:1], [0], guidance_scale=1.0))
    num_single = list(calls)
    calls.clear()
    nearly = last(run(unet, embeds[:1], [0], guidance_scale=1 + 1e-12))
    handle.remove()
    assert num_single == [1] * 4, f"guidance 1 should call the UNet with one image a step, got {num_single}"
    assert calls == [2] * 4, f"guidance should take one call of both halves a step, got {calls}"
    torch.testing.assert_close(one, nearly, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("interval", "sizes"),
    [((0.0, 1.0), [2, 2, 2, 2]), ((0.0, 0.5), [2, 2, 1, 1]), ((0.3, 1.0), [1, 2, 2, 2]), ((1.0, 1.0), [1, 1, 1, 1])],
)
def test_guidance_within_an_interval_costs_its_second_half_there_alone(
    interval: tuple[float, float], sizes: list[int], unet: Any, embeds: Tensor
) -> None:
    calls: list[int] = []
    handle = unet.register_forward_pre_hook(lambda module, args: calls.append(args[0].shape[0]))
    last(run(unet, embeds[:1], [0], guidance_interval=interval))  # at 1 - t / T = 0.25, 0.5, 0.75 and 1, about
    handle.remove()
    assert calls == sizes


def test_guidance_and_the_negative_prompt_change_the_result(unet: Any, embeds: Tensor) -> None:
    plain = last(run(unet, embeds[:1], [0]))
    assert not torch.allclose(plain, last(run(unet, embeds[:1], [0], guidance_scale=2.0)))
    assert not torch.allclose(plain, last(run(unet, embeds[:1], [0], negative_prompt_embeds=embeds[1:2])))


def test_each_step_yields_its_state_and_leaves_gradients_alone(unet: Any, embeds: Tensor) -> None:
    steps = []
    for state in run(unet, embeds[:1], [0]):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled(), "inference mode leaks to the caller"
        assert not state.latents.requires_grad, "each step would keep the graph of all before it"
        assert state.latents.shape == (1, *SHAPE) and state.latents.dtype == torch.float32
        steps.append((state.step, state.num_steps))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_nothing_runs_after_the_caller_stops(unet: Any, embeds: Tensor) -> None:
    calls: list[int] = []
    handle = unet.register_forward_pre_hook(lambda module, args: calls.append(1))
    states = run(unet, embeds[:1], [0], steps=10)
    next(states)
    states.close()  # type: ignore[attr-defined]
    handle.remove()
    assert len(calls) == 1


@pytest.mark.parametrize(("strength", "num_steps"), [(0.0, 0), (0.05, 0), (0.5, 5), (0.8, 8), (1.0, 10)])
def test_strength_is_the_part_of_the_schedule_that_runs(strength: float, num_steps: int) -> None:
    noise = initial_noise(noise_generators([0]), SHAPE)
    start = start_from_image(make_scheduler("DDIM", CONFIG, 10), noise, torch.zeros(1, *SHAPE), strength)
    assert len(start.timesteps) == num_steps


@pytest.mark.parametrize("strength", [0.0, 0.05])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_strength_too_small_for_a_step_keeps_the_picture(name: str, strength: float) -> None:
    picture = torch.ones(1, *SHAPE)
    noise = initial_noise(noise_generators([0, 1]), SHAPE)
    start = start_from_image(make_scheduler(name, CONFIG, 10), noise, picture, strength)
    assert len(start.timesteps) == 0
    assert torch.equal(start.latents, picture.expand(2, -1, -1, -1))
