"""A table: public name -> diffusers scheduler.

Each is built from the folder's noise schedule alone. Converting one scheduler's saved config into another's
class would carry the first one's spacing and clipping along, and change the pictures.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

from jsd import solvers
from jsd.errors import InvalidInputError, ModelFolderError, Note

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
    "LCM": ("scheduling_lcm.LCMScheduler", {}),
    "TCD": ("scheduling_tcd.TCDScheduler", {}),
    "DDIM_TRAILING": ("scheduling_ddim.DDIMScheduler", {}),  # timesteps as SDXL-Lightning's, arXiv 2402.13929
}
# For models that were distilled, or their LoRA: arXiv 2310.04378, 2402.19159; they know as many noise levels.
DISTILLED, DISTILLED_STEPS, DISTILLED_GUIDANCE = ("LCM", "TCD"), 50, 2.0

# What a folder says about the noise its UNet was trained on.
NOISE_SCHEDULE = ("beta_start", "beta_end", "beta_schedule", "trained_betas", "num_train_timesteps", "prediction_type")
# Other such keys, and their values where the noise is that of the betas: nothing here draws with any other.
NOISE_OF_BETAS: dict[str, tuple[object, ...]] = {
    "rescale_betas_zero_snr": (None, False, True),
    "snr_shift_scale": (None, 1),
    "timestep_type": (None, "discrete"),
    "use_flow_sigmas": (None, False),
    "variance_type": (None, "fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
}
MAX_TRAIN_TIMESTEPS = 10_000  # ten times what anybody trains with; tables grow with it

# Stable Diffusion's choices where a class has them.
STABLE_DIFFUSION = {"steps_offset": 1, "set_alpha_to_one": False, "clip_sample": False, "skip_prk_steps": True}

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")
# The last alphas_cumprod of a schedule without signal: diffusers' choice, so that sigma stays finite.
ALMOST_NO_SIGNAL = 2**-24


def make_scheduler(name: str, scheduler_config: Mapping[str, Any], num_inference_steps: int) -> Any:
    """The scheduler `name`, ready to start, on the noise schedule of a folder's scheduler_config.json."""
    path, extra = SCHEDULERS[name]
    module_name, class_name = path.split(".")
    scheduler_class = getattr(import_module(f"diffusers.schedulers.{module_name}"), class_name)
    accepted = signature(scheduler_class.__init__).parameters
    config = _noise_schedule(scheduler_config)
    config |= {key: value for key, value in STABLE_DIFFUSION.items() if key in accepted}
    _check_request(name, config, num_inference_steps)
    if name in DISTILLED:
        config["original_inference_steps"] = min(DISTILLED_STEPS, config["num_train_timesteps"])
    if num_inference_steps == 1:
        # Other spacings put a single step where there is no noise.
        config["timestep_spacing"] = "trailing"
    with warnings.catch_warnings():
        # numpy 2 says this of every tensor that diffusers hands to np.array.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        scheduler = scheduler_class(**config, **extra)
        # On the CPU whatever the device: a step reads single values, and each would wait for the device.
        scheduler.set_timesteps(num_inference_steps, device="cpu")
    if name == "KLMS":
        scheduler.get_lms_coefficient = partial(solvers.lms_coefficient, scheduler)
    elif name == "HeunDiscrete":
        scheduler.step = partial(solvers.heun_step, scheduler)
    elif name in ("DDIM", "DDIM_TRAILING", "PNDM"):
        is_trailing = name == "DDIM_TRAILING" or scheduler_config.get("rescale_betas_zero_snr") is True
        spaced = solvers.trailing_timesteps if is_trailing else solvers.even_timesteps
        timesteps = spaced(num_inference_steps, config["num_train_timesteps"])
        steps = solvers.EvenSteps(scheduler, timesteps, multistep=name == "PNDM")
        scheduler.step, scheduler.set_begin_index = steps.step, steps.begin
    alphas_cumprod = scheduler.alphas_cumprod
    if not bool((alphas_cumprod > 0).all() & (alphas_cumprod < 1).all() & (alphas_cumprod.diff() <= 0).all()):
        raise _unknown_noise(f"betas {config}")
    return scheduler


def check_steps(name: str, num_inference_steps: int) -> None:
    if name in DISTILLED and num_inference_steps > DISTILLED_STEPS:
        raise InvalidInputError(
            "scheduler.distilled",
            "{field} must be at most {limit} with {scheduler}, got {value}; it is made for 4 to 8",
            field="num_inference_steps",
            limit=DISTILLED_STEPS,
            scheduler=name,
            value=num_inference_steps,
        )


def scheduler_note(
    name: str, loras: Sequence[str], guidance_scale: float, *, is_distilled: bool = False
) -> Note | None:
    """Of one that wants a distilled model, or another than this, or less guidance. Only one that was distilled with its
    guidance says so; of others, and of a LoRA, nothing does."""
    if is_distilled and name not in DISTILLED:
        return Note(
            "scheduler.distilled_model",
            "{field} {value} is not for this model, which was distilled for few steps; take {names}",
            field="scheduler",
            value=name,
            names=" / ".join(DISTILLED),
        )
    if is_distilled or name not in DISTILLED:
        return None
    if loras:
        return (
            None
            if guidance_scale <= DISTILLED_GUIDANCE
            else Note(
                "scheduler.strong_guidance",
                "{field} {value} with {scheduler}: files distilled for few steps want 1 to {limit:g}",
                field="guidance_scale",
                value=guidance_scale,
                scheduler=name,
                limit=DISTILLED_GUIDANCE,
            )
        )
    return Note(
        "scheduler.wants_distilled",
        "{field} {value} is for a model distilled for few steps, or for its LoRA file; pictures of others are blurred",
        field="scheduler",
        value=name,
    )


def _check_request(name: str, config: Mapping[str, Any], num_inference_steps: int) -> None:
    if num_inference_steps >= config["num_train_timesteps"]:
        raise InvalidInputError(
            "scheduler.many_steps",
            "{field} must be below the {num_train_timesteps} noise levels that the model was trained on, got {value}",
            field="num_inference_steps",
            num_train_timesteps=config["num_train_timesteps"],
            value=num_inference_steps,
        )
    check_steps(name, num_inference_steps)
    if config["prediction_type"] == "sample" and name == "K_EULER_ANCESTRAL":
        raise InvalidInputError(
            "scheduler.sample",
            "{field} must be another than {value} for this model, which predicts the picture and not its noise; "
            "take DPMSolverMultistep",
            field="scheduler",
            value=name,
        )


def _noise_schedule(scheduler_config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of every class that say on what noise the UNet was trained; ModelFolderError on any other noise."""
    config: dict[str, Any] = {"num_train_timesteps": 1000, "prediction_type": "epsilon"}
    config |= {key: scheduler_config[key] for key in NOISE_SCHEDULE if key in scheduler_config}
    num, trained_betas = config["num_train_timesteps"], config.get("trained_betas")
    zero_terminal_snr = scheduler_config.get("rescale_betas_zero_snr") is True
    right = {key: scheduler_config.get(key) in values for key, values in NOISE_OF_BETAS.items()} | {
        "num_train_timesteps": type(num) is int and 1 < num <= MAX_TRAIN_TIMESTEPS,
        "trained_betas": trained_betas is None or (isinstance(trained_betas, list) and len(trained_betas) == num),
        # Where all is noise, knowing the noise tells nothing of the picture.
        "prediction_type": config["prediction_type"] in PREDICTION_TYPES[zero_terminal_snr:],
    }
    for key, is_right in right.items():
        if not is_right:
            value = repr(config.get(key, scheduler_config.get(key)))
            raise _unknown_noise(f"{key} {value}" + ", rescale_betas_zero_snr" * zero_terminal_snr)
    betas = _betas(config)
    if zero_terminal_snr:
        config["trained_betas"] = _zero_terminal_snr(betas)
    return config


def _betas(config: Mapping[str, Any]) -> Any:
    """(num_train_timesteps,), each of which adds noise, and none of which leaves nothing else."""
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    given = {key: value for key, value in config.items() if "beta" in key}
    try:
        noise = DDIMScheduler(**config)
    except Exception as error:  # what a wrong value raises is up to diffusers
        raise _unknown_noise(f"{given} ({error})") from error
    a = noise.alphas_cumprod
    if not bool((a > 0).all() and (a < 1).all() and (a.diff() <= 0).all()):
        raise _unknown_noise(str(given))
    return noise.betas


def _zero_terminal_snr(betas: Any) -> list[float]:
    """With which the last timestep is noise alone (arXiv 2305.08891, algorithm 1), but for a trace."""
    from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr

    rescaled = rescale_zero_terminal_snr(betas)
    before = float((1 - rescaled[:-1]).prod())
    return [*rescaled[:-1].tolist(), 1 - min(ALMOST_NO_SIGNAL, before / 4) / before]


def _unknown_noise(value: str) -> ModelFolderError:
    return ModelFolderError(
        "scheduler.noise",
        "the scheduler's config must name a noise that the schedulers here can draw with, got {value}; use the program "
        "that this model was made for",
        value=value,
    )
