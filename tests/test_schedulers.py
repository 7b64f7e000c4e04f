from inspect import signature

import numpy as np
import pytest
import torch

from jsd.schedulers import SCHEDULERS, STABLE_DIFFUSION, make_scheduler

FOLDER_CONFIG = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 900,
    "prediction_type": "v_prediction",
    # What another class saved and must not be carried along.
    "clip_sample": True,
    "set_alpha_to_one": True,
    "steps_offset": 7,
    "timestep_spacing": "trailing",
    "thresholding": True,
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_the_noise_schedule_is_the_folders(name: str) -> None:
    config = make_scheduler(name, FOLDER_CONFIG, 5).config
    for key in ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "prediction_type"):
        assert config[key] == FOLDER_CONFIG[key], f"{name}: {key} is {config[key]}"


@pytest.mark.parametrize("name", SCHEDULERS)
def test_everything_else_is_the_classs_default_or_stable_diffusions(name: str) -> None:
    scheduler = make_scheduler(name, FOLDER_CONFIG, 5)
    default = {key: p.default for key, p in signature(type(scheduler).__init__).parameters.items()}
    expected = STABLE_DIFFUSION | SCHEDULERS[name][1]
    for key in ("clip_sample", "set_alpha_to_one", "steps_offset", "timestep_spacing", "thresholding"):
        if key in default:
            assert scheduler.config[key] == expected.get(key, default[key]), f"{name}: {key}"
    assert scheduler.config.get("use_karras_sigmas", False) is (name == "KarrasDPM")
    assert scheduler.config.get("skip_prk_steps", True) is True


@pytest.mark.parametrize("num_inference_steps", [2, 5, 25])
def test_lms_coefficients_are_the_integrals_of_their_polynomials(num_inference_steps: int) -> None:
    scheduler = make_scheduler("KLMS", FOLDER_CONFIG, num_inference_steps)
    for t in range(num_inference_steps):
        order = min(t + 1, 4)
        nodes = scheduler.sigmas[[t - k for k in range(order)]].double().numpy()
        taus = np.linspace(float(scheduler.sigmas[t]), float(scheduler.sigmas[t + 1]), 2001)
        for current in range(order):
            others = np.delete(nodes, current)
            values = np.prod([(taus - s) / (nodes[current] - s) for s in others], axis=0) * np.ones_like(taus)
            expected = np.trapezoid(values, taus)
            got = scheduler.get_lms_coefficient(order, t, current)
            assert got == pytest.approx(expected, rel=1e-4, abs=1e-4), f"order {order}, t {t}, node {current}"


@pytest.mark.parametrize("name", SCHEDULERS)
def test_one_step_gives_finite_latents(name: str) -> None:
    scheduler = make_scheduler(name, FOLDER_CONFIG | {"prediction_type": "epsilon"}, 1)
    latents = torch.ones(1, 4, 2, 2) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        latents = scheduler.step(scheduler.scale_model_input(latents, t), t, latents).prev_sample
    assert torch.isfinite(latents).all()
