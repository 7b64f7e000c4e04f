"""jsd train: one stage of a recipe, resumed by the same command."""

import argparse
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jsd.cli.arguments import check_folder
from jsd.cli.columns import aligned
from jsd.cli.numbers import number, whole
from jsd.errors import InvalidInputError
from jsd.i18n import N_, _
from jsd.rules import not_one_of, whole_number

if TYPE_CHECKING:
    from jsd.training.recipes import Recipe, Stage

CHOSEN = ("max_train_steps", "learning_rate", "train_batch_size", "gradient_accumulation_steps")  # instead of a row's
MAX_WORKERS = 256
DEVICES = ("cpu", "cuda")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from jsd.training.recipes import RECIPES

    stages = list(dict.fromkeys(stage for recipe in RECIPES.values() for stage in recipe.stages))
    add = parser.add_argument
    add(
        "--recipe",
        default="mini",
        choices=list(RECIPES),
        help=_("the embedded model, rinna's size, or own pictures as LoRA for either") + " (%(default)s)",
    )
    add(
        "--stage",
        choices=stages,
        help=_("which of the recipe's stages to run, in this order; needless where it has one"),
    )
    corpus = Path("data/mini")
    add(
        "--corpus",
        type=Path,
        default=corpus,
        metavar="FOLDER",
        help=_("a corpus of jsd data build or import, or pictures with captions") + " (%(default)s)",
    )
    add("--output", type=Path, metavar="FOLDER", help=_("gets one folder for each stage (checkpoints/RECIPE)"))
    sprites = Path("data/scenes")
    add(
        "--sprites",
        type=Path,
        default=sprites,
        metavar="FOLDER",
        help=_("that scenes are composed of, as jsd data sprites makes it") + " (%(default)s)",
    )
    sources = Path("data/sources")
    add("--sources", type=Path, default=sources, metavar="FOLDER", help=_("where packages are kept") + " (%(default)s)")
    add("--base", type=Path, metavar="FOLDER", help=_("model folder that --recipe full and lora start from"))
    add(
        "--start-from",
        type=Path,
        metavar="FOLDER",
        help=_("model folder to go on from (weights/mini), instead of the stages before"),
    )
    add(
        "--trigger",
        default="",
        metavar="WORDS",
        help=_("words that shall call what is learnt; in every caption of LoRA"),
    )
    add("--class-prompt", default="", metavar="TEXT", help=_("what it is, as the model knows it: that stays as it is"))
    _add_settings(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """What does not change what is learnt from what, but how."""
    add = parser.add_argument
    add("--seed", type=whole, default=0, metavar="N", help=_("of weights, batches and noise") + " (%(default)s)")
    add("--max-train-steps", type=whole, metavar="N", help=_("instead of the stage's own number"))
    said = _("of this run; what is learnt by then is its model, and the same command goes on")
    add("--max-train-seconds", type=number, metavar="N", help=said)
    add("--learning-rate", type=number, metavar="RATE", help=_("instead of the stage's own"))
    add("--train-batch-size", type=whole, metavar="N", help=_("of pictures or texts; instead of the stage's own"))
    said = _("batches that make a step, of each process; instead of the stage's own")
    add("--gradient-accumulation-steps", type=whole, metavar="N", help=said)
    add(
        "--from-scratch",
        action="append",
        default=[],
        metavar="COMPONENT",
        help=_("begin with this component's weights at random, not from an earlier stage"),
    )
    add(
        "--checkpointing-steps",
        type=whole,
        metavar="N",
        help=_("steps from one checkpoint and its samples to the next (200, of a short stage a quarter)"),
    )
    said = _("of 1,024 composed scenes each, at most") + " (%(default)s)"
    add("--scene-shards", type=whole, default=384, metavar="N", help=said)
    said = _("processes that make batches ahead, for a GPU") + " (%(default)s)"
    add("--dataloader-num-workers", type=whole, default=0, metavar="N", help=said)
    add("--device", choices=DEVICES, help=_("cuda where there is one, else cpu"))
    add(
        "--mixed-precision", choices=("bf16", "no"), help=_("format of the arithmetic (default: bf16 where it is fast)")
    )
    add("--dry-run", action="store_true", help=_("print the plan, the parameters and the memory"))


def run(args: argparse.Namespace) -> None:
    import dataclasses

    import torch

    from jsd.devices import TRAINING_FITS, fast_dtype, out_of_memory
    from jsd.options import MAX_SEED
    from jsd.training.plan import plan
    from jsd.training.processes import Processes, launched_accumulation, launched_precision
    from jsd.training.recipes import RECIPES
    from jsd.training.stages import run_stage
    from jsd.training.starting import TrainOptions

    recipe = RECIPES[args.recipe]
    stage = _stage(args, recipe)
    processes = Processes.launched()
    if args.gradient_accumulation_steps is None:
        args.gradient_accumulation_steps = launched_accumulation()
    chosen = {name: getattr(args, name) for name in CHOSEN}
    others = ("checkpointing_steps", "scene_shards", "max_train_seconds")
    _check_positive({**chosen, **{name: getattr(args, name) for name in others}})
    whole_number("seed", args.seed, 0, MAX_SEED)
    whole_number("dataloader_num_workers", args.dataloader_num_workers, 0, MAX_WORKERS)
    output = args.output if args.output is not None else Path("checkpoints") / recipe.name
    check_folder(output, "output")
    stage = dataclasses.replace(
        stage,
        starts_from=_starts_from(stage, recipe, args.from_scratch),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    recipe = dataclasses.replace(recipe, stages={**recipe.stages, args.stage: stage})
    device = processes.device or _device(args.device)
    mixed_precision = args.mixed_precision if args.mixed_precision is not None else launched_precision()
    if mixed_precision is None:
        mixed_precision = "bf16" if fast_dtype(torch.device(device), training=True) == torch.bfloat16 else "no"
    options = TrainOptions(
        corpus=args.corpus,
        output=output,
        sprites=args.sprites,
        sources=args.sources,
        base=args.base if stage.adapter is None else _base(args),
        start_from=args.start_from,
        trigger=args.trigger.strip(),
        class_prompt=args.class_prompt.strip(),
        seed=args.seed,
        checkpointing_steps=min(200, max(1, stage.max_train_steps // 4))
        if args.checkpointing_steps is None
        else args.checkpointing_steps,
        max_train_seconds=args.max_train_seconds,
        scene_shards=args.scene_shards,
        dataloader_num_workers=args.dataloader_num_workers,
        device=device,
        mixed_precision=mixed_precision,
        processes=processes,
    )
    with out_of_memory(TRAINING_FITS):
        said = aligned(plan(recipe, args.stage, options)) if args.dry_run else run_stage(recipe, args.stage, options)
    if processes.is_first:
        print(said)


def _device(named: str | None) -> str:
    """`named`, else JSD_DEVICE, else what is there; a Note is said where that is the CPU beside a GPU."""
    from jsd.devices import choose_placement, device_of_environment

    named = device_of_environment() if named is None else named
    chosen = choose_placement(named, "float32").device
    if chosen.type in DEVICES:
        return str(chosen)
    if named is not None:
        raise not_one_of("device", named, DEVICES)
    return "cpu"


def _base(args: argparse.Namespace) -> Path:
    """What LoRA is trained for: of the embedded model's own recipe that model, whatever else has been fetched."""
    from jsd.models.folder import EMBEDDED, choose_folder, folder_named
    from jsd.training.recipes import LORA

    is_open = args.base is None and os.environ.get("JSD_WEIGHTS", "") == ""
    return choose_folder(folder_named(EMBEDDED) if is_open and args.recipe == LORA.name else args.base).path


def _starts_from(stage: "Stage", recipe: "Recipe", from_scratch: Sequence[str]) -> dict[str, str]:
    """The stage's, without the components that are to start from scratch."""
    can_start_afresh = [part for part in stage.starts_from if part in stage.trains and part in recipe.components]
    for part in from_scratch:
        if part not in can_start_afresh:
            raise not_one_of("from_scratch", part, can_start_afresh)
    return {part: source for part, source in stage.starts_from.items() if part not in from_scratch}


def _stage(args: argparse.Namespace, recipe: "Recipe") -> "Stage":
    if args.stage is None and len(recipe.stages) == 1:
        args.stage = next(iter(recipe.stages))
    if args.stage not in recipe.stages:
        raise InvalidInputError(
            "train.stage",
            "stage must be one of the recipe {recipe}: {stages}; got {value}",
            field="stage",
            value=args.stage,
            recipe=recipe.name,
            stages=", ".join(recipe.stages),
        )
    stage = recipe.stages[args.stage]
    for field in ("trigger", "class_prompt"):
        if stage.adapter is None and getattr(args, field) != "":
            raise InvalidInputError(
                "train.only_adapter",
                "{field} is of the recipes of LoRA, and the recipe is {recipe}, got {value}; leave it out, or take "
                "--recipe lora",
                field=field,
                recipe=recipe.name,
                value=repr(getattr(args, field)),
            )
    if stage.adapter is not None and args.start_from is not None:
        raise InvalidInputError(
            "train.adapter_base",
            "{field} is of stages that train a model, and a LoRA is trained on that of --base; got {value}; pass it as "
            "--base",
            field="start_from",
            value=args.start_from,
        )
    return stage


def _check_positive(values: Mapping[str, float | str | None]) -> None:
    for name, value in values.items():
        if value is not None and (isinstance(value, str) or not 0 < value < math.inf):  # NaN is refused too
            if name in ("learning_rate", "max_train_seconds"):
                rule = ("train.positive", N_("{field} must be a number more than 0, got {value}; give one"))
            else:
                rule = ("train.positive_whole", N_("{field} must be a whole number more than 0, got {value}; give one"))
            raise InvalidInputError(*rule, field=name, value=repr(value))
