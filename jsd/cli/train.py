"""jsd train: one stage of a recipe, resumed by the same command."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from jsd.training.recipes import RECIPES

    stages = list(dict.fromkeys(stage for recipe in RECIPES.values() for stage in recipe.stages))
    parser.add_argument("--recipe", default="mini", choices=list(RECIPES))
    parser.add_argument("--stage", required=True, choices=stages)
    parser.add_argument("--corpus", type=Path, default=Path("data/mini"), help="made by jsd data build")
    parser.add_argument("--output", type=Path, help="one folder for each stage (default: checkpoints/RECIPE)")
    parser.add_argument("--base", type=Path, help="Stable Diffusion v1 folder that --recipe full starts from")
    parser.add_argument(
        "--start-from", type=Path, help="model folder to go on from (weights/mini), instead of the stages before"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-train-steps", type=int, help="instead of the stage's own number")
    parser.add_argument("--learning-rate", type=float, help="instead of the stage's own")
    parser.add_argument("--train-batch-size", type=int, help="instead of the stage's own")
    parser.add_argument(
        "--from-scratch", action="append", default=[], metavar="COMPONENT", help="start it from nothing all the same"
    )
    parser.add_argument("--checkpointing-steps", type=int, default=200)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    parser.add_argument("--mixed-precision", choices=("bf16", "no"), default="bf16")
    parser.add_argument("--dry-run", action="store_true", help="print the plan, the parameters and the memory")


def run(args: argparse.Namespace) -> None:
    import dataclasses

    import torch

    from jsd.devices import choose_placement
    from jsd.errors import InvalidInputError
    from jsd.options import MAX_SEED
    from jsd.training.plan import plan
    from jsd.training.recipes import RECIPES
    from jsd.training.stages import TrainOptions, run_stage

    recipe = RECIPES[args.recipe]
    if args.stage not in recipe.stages:
        raise InvalidInputError("train.stage", field="stage", value=args.stage, recipe=recipe.name,
                                stages=", ".join(recipe.stages))  # fmt: skip
    stage = recipe.stages[args.stage]
    chosen = {name: getattr(args, name) for name in ("max_train_steps", "learning_rate", "train_batch_size")}
    for name, value in {**chosen, "checkpointing_steps": args.checkpointing_steps}.items():
        if value is not None and not value > 0:  # not a number is refused too
            raise InvalidInputError("train.positive", field=name, value=value)
    if not 0 <= args.seed <= MAX_SEED:
        raise InvalidInputError("options.whole", field="seed", low=0, high=MAX_SEED, value=args.seed)
    can_start_afresh = [part for part in stage.starts_from if part in stage.trains and part in recipe.components]
    for part in args.from_scratch:
        if part not in can_start_afresh:
            choices = ", ".join(can_start_afresh)
            raise InvalidInputError("options.choice", field="from_scratch", choices=choices, value=part)
    if args.device is not None:
        choose_placement(args.device)
    starts_from = {part: source for part, source in stage.starts_from.items() if part not in args.from_scratch}
    stage = dataclasses.replace(
        stage, starts_from=starts_from, **{name: value for name, value in chosen.items() if value is not None}
    )
    recipe = dataclasses.replace(recipe, stages={**recipe.stages, args.stage: stage})
    options = TrainOptions(
        corpus=args.corpus,
        output=args.output if args.output is not None else Path("checkpoints") / recipe.name,
        base=args.base,
        start_from=args.start_from,
        seed=args.seed,
        checkpointing_steps=args.checkpointing_steps,
        device=args.device if args.device is not None else ("cuda" if torch.cuda.is_available() else "cpu"),
        mixed_precision=args.mixed_precision,
    )
    print(plan(recipe, args.stage, options) if args.dry_run else run_stage(recipe, args.stage, options))
