"""jsd train: one stage of a recipe, resumed by the same command."""

import argparse
import math
from pathlib import Path

from jsd.cli.generate import check_folder
from jsd.cli.numbers import check_whole, number, whole
from jsd.messages import message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from jsd.training.recipes import RECIPES

    stages = list(dict.fromkeys(stage for recipe in RECIPES.values() for stage in recipe.stages))
    add = parser.add_argument
    add("--recipe", default="mini", choices=list(RECIPES), help=f"{message('help.recipe')} (%(default)s)")
    add("--stage", required=True, choices=stages, help=message("help.stage"))
    corpus = Path("data/mini")
    add("--corpus", type=Path, default=corpus, metavar="FOLDER", help=f"{message('help.corpus')} (%(default)s)")
    add("--output", type=Path, metavar="FOLDER", help=message("help.stage_folders"))
    add("--base", type=Path, metavar="FOLDER", help=message("help.base"))
    add("--start-from", type=Path, metavar="FOLDER", help=message("help.start_from"))
    add("--seed", type=whole, default=0, metavar="N", help=f"{message('help.train_seed')} (%(default)s)")
    add("--max-train-steps", type=whole, metavar="N", help=message("help.max_train_steps"))
    add("--learning-rate", type=number, metavar="RATE", help=message("help.learning_rate"))
    add("--train-batch-size", type=whole, metavar="N", help=message("help.train_batch_size"))
    add("--from-scratch", action="append", default=[], metavar="COMPONENT", help=message("help.from_scratch"))
    add(
        "--checkpointing-steps",
        type=whole,
        default=200,
        metavar="N",
        help=f"{message('help.checkpointing_steps')} (%(default)s)",
    )
    add("--device", choices=("cpu", "cuda"), help=message("help.train_device"))
    add("--mixed-precision", choices=("bf16", "no"), help=message("help.mixed_precision"))
    add("--dry-run", action="store_true", help=message("help.dry_run"))


def run(args: argparse.Namespace) -> None:
    import dataclasses

    import torch

    from jsd.devices import choose_placement, fast_dtype
    from jsd.errors import InvalidInputError
    from jsd.options import MAX_SEED
    from jsd.training.plan import plan
    from jsd.training.recipes import RECIPES
    from jsd.training.stages import TrainOptions, run_stage

    recipe = RECIPES[args.recipe]
    if args.stage not in recipe.stages:
        raise InvalidInputError(
            "train.stage", field="stage", value=args.stage, recipe=recipe.name, stages=", ".join(recipe.stages)
        )
    stage = recipe.stages[args.stage]
    chosen = {name: getattr(args, name) for name in ("max_train_steps", "learning_rate", "train_batch_size")}
    for name, value in {**chosen, "checkpointing_steps": args.checkpointing_steps}.items():
        if value is not None and (isinstance(value, str) or not 0 < value < math.inf):  # NaN is refused too
            code = "train.positive" if name == "learning_rate" else "train.positive_whole"
            raise InvalidInputError(code, field=name, value=repr(value))
    check_whole("seed", args.seed, 0, MAX_SEED)
    can_start_afresh = [part for part in stage.starts_from if part in stage.trains and part in recipe.components]
    for part in args.from_scratch:
        if part not in can_start_afresh:
            choices = ", ".join(can_start_afresh)
            raise InvalidInputError("options.choice", field="from_scratch", choices=choices, value=part)
    output = args.output if args.output is not None else Path("checkpoints") / recipe.name
    check_folder(output, "output")
    if args.device is not None:
        choose_placement(args.device)
    starts_from = {part: source for part, source in stage.starts_from.items() if part not in args.from_scratch}
    stage = dataclasses.replace(
        stage, starts_from=starts_from, **{name: value for name, value in chosen.items() if value is not None}
    )
    recipe = dataclasses.replace(recipe, stages={**recipe.stages, args.stage: stage})
    device = args.device if args.device is not None else ("cuda" if torch.cuda.is_available() else "cpu")
    mixed_precision = args.mixed_precision
    if mixed_precision is None:
        mixed_precision = "bf16" if fast_dtype(torch.device(device)) == torch.bfloat16 else "no"
    options = TrainOptions(
        corpus=args.corpus,
        output=output,
        base=args.base,
        start_from=args.start_from,
        seed=args.seed,
        checkpointing_steps=args.checkpointing_steps,
        device=device,
        mixed_precision=mixed_precision,
    )
    print(plan(recipe, args.stage, options) if args.dry_run else run_stage(recipe, args.stage, options))
