"""What a run chooses, and what its stage starts from: the folders of earlier stages, or a folder that is given."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jsd.errors import CheckpointError
from jsd.models.configs import check_noise_schedule, read_json
from jsd.training.recipes import Recipe, Stage


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
    device: str = "cpu"
    mixed_precision: str = "bf16"  # of autocast; "no" for fp32


def source_folder(recipe: Recipe, stage: Stage, component: str, options: TrainOptions) -> Path:
    """The model folder whose `component` the stage starts from."""
    if options.start_from is not None:
        if not (options.start_from / component).is_dir():
            raise CheckpointError(
                "train.start_from",
                "--start-from must be a model folder with a {component}, got {value}; try weights/mini",
                component=component,
                value=options.start_from,
            )
        return options.start_from
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
    if options.base is None:
        raise CheckpointError(
            "train.base",
            "the recipe {recipe} takes its {component} from a Stable Diffusion v1 folder, and "
            "--base is not given; give one",
            recipe=recipe.name,
            component=component,
        )
    if not (options.base / component).is_dir():
        raise CheckpointError(
            "train.base_lacks",
            "--base must be a Stable Diffusion v1 folder with a {component}/, and {value} has none; check the path",
            component=component,
            value=options.base,
        )
    return options.base


def scheduler_config(recipe: Recipe, options: TrainOptions) -> dict[str, Any]:
    if recipe.scheduler is not None:
        return recipe.scheduler
    if options.base is None:
        raise CheckpointError(
            "train.base",
            "the recipe {recipe} takes its {component} from a Stable Diffusion v1 folder, and "
            "--base is not given; give one",
            recipe=recipe.name,
            component="scheduler",
        )
    path = options.base / "scheduler" / "scheduler_config.json"
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
