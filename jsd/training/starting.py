"""What a run chooses, and what its stage starts from: the folders of earlier stages, or a folder that is given."""

import platform
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import jsd
from jsd.errors import CheckpointError
from jsd.models.configs import check_noise_schedule, guidance_scale, read_json
from jsd.models.record import folder_digest
from jsd.models.weights import SECOND_ENCODER
from jsd.training.processes import Processes
from jsd.training.recipes import Recipe, Stage

# Of a stage's row, what a run may change when it goes on.
MAY_CHANGE = ("max_train_steps", "learning_rate", "lr_warmup_steps", "ema_decay")


@dataclass(frozen=True)
class TrainOptions:
    """What a run chooses; what a stage is stands in its row."""

    corpus: Path
    output: Path  # holds one folder for each stage
    sprites: Path | None = None  # the file that scenes are composed of
    sources: Path = Path("data/sources")  # packages of drawings, fetched where they are missing
    base: Path | None = None  # a Stable Diffusion v1 folder, for recipes that start from one
    start_from: Path | None = None  # a model folder to take everything from, instead of the stages before
    seed: int = 0
    checkpointing_steps: int = 200
    max_train_seconds: float | None = None  # a run that is stopped by them has what it learnt so far as its model
    scene_shards: int = 384  # of 1,024 scenes each, at most
    dataloader_num_workers: int = 0  # processes that make batches ahead
    device: str = "cpu"
    mixed_precision: str = "no"  # of autocast; "bf16" where that is fast: see jsd.devices.fast_dtype
    trigger: str = ""  # words that call what is learnt from own pictures
    class_prompt: str = ""  # what that is, as the model has it so far
    processes: Processes = field(default=Processes(), compare=False)

    @property
    def ahead(self) -> tuple[int, int]:
        """Processes that make batches, and how far the batches of this process lie apart."""
        return self.dataloader_num_workers, self.processes.count

    @property
    def autocast(self) -> torch.autocast:
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16, enabled=self.mixed_precision == "bf16")


def source_folder(recipe: Recipe, stage: Stage, component: str, options: TrainOptions) -> Path:
    """The model folder whose `component` the stage starts from."""
    if options.start_from is not None:
        return started_from(options.start_from, component).parent
    name = stage.starts_from[component]
    if name in recipe.stages:
        folder = options.output / name / "model"
        if not (folder / component).is_dir():
            raise CheckpointError(
                "train.order",
                "the stage {stage} starts from the stage {needs}, which has no model yet; run: jsd "
                "train --stage {needs}",
                stage=stage.name,
                needs=name,
            )
        return folder
    base = _base(recipe, component, options)
    if not (base / component).is_dir():
        raise CheckpointError(
            "train.base_lacks",
            "--base must be a Stable Diffusion v1 folder with a {component}/, and {value} has none; check the path",
            component=component,
            value=base,
        )
    return base


def started_from(start_from: Path, component: str) -> Path:
    """Its folder in the model folder that --start-from names."""
    if not (start_from / component).is_dir():
        raise CheckpointError(
            "train.start_from",
            "--start-from must be a model folder with a {component}, got {value}; try weights/mini",
            component=component,
            value=start_from,
        )
    return start_from / component


def _base(recipe: Recipe, component: str, options: TrainOptions) -> Path:
    if options.base is None:
        raise CheckpointError(
            "train.base",
            "the recipe {recipe} takes its {component} from a Stable Diffusion v1 folder, and "
            "--base is not given; give one",
            recipe=recipe.name,
            component=component,
        )
    return options.base


def own_guidance(recipe: Recipe, options: TrainOptions) -> float | None:
    """What the model folder that is made shall say; None: Stable Diffusion's."""
    return recipe.guidance_scale if options.start_from is None else guidance_scale(options.start_from)


def scheduler_config(recipe: Recipe, options: TrainOptions) -> dict[str, Any]:
    """On what noise the UNet that the stage starts from was trained."""
    if options.start_from is not None:
        base = started_from(options.start_from, "scheduler").parent
    elif recipe.scheduler is not None:
        return recipe.scheduler
    else:
        base = _base(recipe, "scheduler", options)
    if read_json(base / "unet" / "config.json").get("time_cond_proj_dim") is not None:
        raise CheckpointError(
            "train.distilled",
            "{field} must be a model that was not distilled, for training tells it no guidance scale, and {value} was "
            "(time_cond_proj_dim); take the model that it was made of",
            field="--base" if options.start_from is None else "--start-from",
            value=base,
        )
    if (base / SECOND_ENCODER).is_dir():
        raise CheckpointError(
            "train.sdxl",
            "{field} must be a Stable Diffusion v1 folder, and {value} is of SDXL ({name}/), which jsd draws with and "
            "does not train; give another",
            field="--base" if options.start_from is None else "--start-from",
            value=base,
            name=SECOND_ENCODER,
        )
    path = base / "scheduler" / "scheduler_config.json"
    check_noise_schedule(path)
    config: dict[str, Any] = read_json(path)
    others = {
        "rescale_betas_zero_snr": (None, False),
        "trained_betas": (None,),
        "prediction_type": ("epsilon", "v_prediction"),
    }
    for name, known in others.items():
        if config.get(name, known[0]) not in known:
            raise _unknown_schedule(f"{name} {config[name]}")
    names = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")
    return {name: config[name] for name in names} | {"prediction_type": config.get("prediction_type", "epsilon")}


def _unknown_schedule(value: str) -> CheckpointError:
    return CheckpointError(
        "train.schedule",
        "training knows the noise schedule scaled_linear, the model folder's is {value}; start from another folder",
        value=value,
    )


def alphas_cumprod(scheduler: dict[str, Any]) -> Tensor:
    """(T,): the share of signal left at each timestep, for Stable Diffusion's scaled-linear betas."""
    if scheduler["beta_schedule"] != "scaled_linear":
        raise _unknown_schedule(scheduler["beta_schedule"])
    roots = torch.linspace(
        scheduler["beta_start"] ** 0.5, scheduler["beta_end"] ** 0.5, scheduler["num_train_timesteps"]
    )
    return torch.cumprod(1 - roots**2, dim=0)


def step_generator(seed: int, step: int, device: str = "cpu") -> torch.Generator:
    """The noise of one step."""
    return torch.Generator(device).manual_seed((seed << 32) + step)


def run_settings(stage: Stage, options: TrainOptions, corpus: str) -> dict[str, object]:
    """What decides what every step computes; how many steps there are, at which rate, may change half way.

    `corpus`: a digest of its records.
    """
    return {
        **{name: value for name, value in asdict(stage).items() if name not in MAY_CHANGE},
        "base": None if options.base is None else folder_digest(options.base),
        "start_from": None if options.start_from is None else folder_digest(options.start_from),
        "seed": options.seed,
        "mixed_precision": options.mixed_precision,
        "trigger": options.trigger,
        "class_prompt": options.class_prompt,
        "scene_shards": options.scene_shards,
        "corpus": corpus,
        "num_processes": options.processes.count,
    }


def description(recipe: Recipe, stage: Stage, options: TrainOptions) -> dict[str, object]:
    on_cuda = options.device.startswith("cuda")
    chosen = {one.name: getattr(options, one.name) for one in fields(options) if one.name != "processes"}
    return {
        "recipe": recipe.name,
        "stage": asdict(stage),
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in chosen.items()},
        "num_processes": options.processes.count,
        "hardware": torch.cuda.get_device_name() if on_cuda else f"CPU, {torch.get_num_threads()} threads",
        "machine": platform.machine(),
        "versions": {
            "jsd": jsd.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "diffusers", "transformers", "sentencepiece", "numpy")},
        },
    }
