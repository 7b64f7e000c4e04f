"""A table: public name -> diffusers scheduler.

Each is built from the folder's noise schedule alone. Converting one scheduler's saved config into another's
class would carry the first one's spacing and clipping along, and change the pictures.
"""

import warnings
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

# public name -> (module and class in diffusers.schedulers, what differs from the class's defaults)
# By module, because without scipy diffusers.schedulers itself hides LMSDiscreteScheduler.
SCHEDULERS: dict[str, tuple[str, dict[str, object]]] = {
    "DDIM": ("scheduling_ddim.DDIMScheduler", {}),
    "DPMSolverMultistep": ("scheduling_dpmsolver_multistep.DPMSolverMultistepScheduler", {}),
    "K_EULER": ("scheduling_euler_discrete.EulerDiscreteScheduler", {}),
    "K_EULER_ANCESTRAL": ("scheduling_euler_ancestral_discrete.EulerAncestralDiscreteScheduler", {}),
    "PNDM": ("scheduling_pndm.PNDMScheduler", {}),
    "KLMS": ("scheduling_lms_discrete.LMSDiscreteScheduler", {}),
    "HeunDiscrete": ("scheduling_heun_discrete.HeunDiscreteScheduler", {}),
    "KarrasDPM": ("scheduling_dpmsolver_multistep.DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
}

# What a folder says about the noise its UNet was trained on.
NOISE_SCHEDULE = ("beta_start", "beta_end", "beta_schedule", "trained_betas", "num_train_timesteps", "prediction_type")

# Stable Diffusion's choices where a class has them.
STABLE_DIFFUSION = {"steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False, "skip_prk_steps": True}

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")
# Gauss and Legendre's two nodes on [-1, 1] are plus and minus this: exact for polynomials up to degree 3.
GAUSS_LEGENDRE_NODE = 3**-0.5


def make_scheduler(name: str, scheduler_config: Mapping[str, Any], num_inference_steps: int) -> Any:
    """The scheduler `name`, ready to start, on the noise schedule of a folder's scheduler_config.json."""
    path, extra = SCHEDULERS[name]
    module_name, class_name = path.split(".")
    scheduler_class = getattr(import_module(f"diffusers.schedulers.{module_name}"), class_name)
    accepted = signature(scheduler_class.__init__).parameters
    config = {key: scheduler_config[key] for key in NOISE_SCHEDULE if key in scheduler_config}
    config |= {key: value for key, value in STABLE_DIFFUSION.items() if key in accepted}
    with warnings.catch_warnings():
        # numpy 2 says this of every tensor that diffusers hands to np.array.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        scheduler = scheduler_class(**config, **extra)
        # On the CPU whatever the device: a step reads single values, and each would wait for the device.
        scheduler.set_timesteps(num_inference_steps, device="cpu")
    if class_name == "LMSDiscreteScheduler":
        # The class asks scipy, which nothing else here needs, for the integral of a polynomial.
        scheduler.get_lms_coefficient = partial(_lms_coefficient, scheduler)
    return scheduler


def _lms_coefficient(scheduler: Any, order: int, t: int, current_order: int) -> float:
    """The Lagrange polynomial of node `current_order`, integrated over [sigma_t, sigma_{t+1}]; order <= 4."""
    sigmas = [float(scheduler.sigmas[t - k]) for k in range(order)]
    start, end = float(scheduler.sigmas[t]), float(scheduler.sigmas[t + 1])
    middle, half = (start + end) / 2, (end - start) / 2
    integral = 0.0
    for node in (-GAUSS_LEGENDRE_NODE, GAUSS_LEGENDRE_NODE):
        tau = middle + half * node
        product = half
        for k, sigma in enumerate(sigmas):
            if k != current_order:
                product *= (tau - sigma) / (sigmas[current_order] - sigma)
        integral += product
    return integral
