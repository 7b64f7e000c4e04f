"""jsd train: one stage of a recipe, resumed by the same command."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--recipe", default="mini", help="row of the table of recipes (default: mini)")
    parser.add_argument("--stage", required=True, help="vae, clip_en, base, clip_ja, stage1 or stage2")
    parser.add_argument("--corpus", type=Path, default=Path("data/mini"), help="made by jsd data build")
    parser.add_argument("--output", type=Path, default=Path("checkpoints/mini"), help="one folder for each stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-train-steps", type=int, help="instead of the stage's own number")
    parser.add_argument("--checkpointing-steps", type=int, default=200)
    parser.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")


def run(args: argparse.Namespace) -> None:
    import dataclasses

    import torch

    from jsd.training.recipes import RECIPES
    from jsd.training.stages import TrainOptions, run_stage

    recipe = RECIPES[args.recipe]
    if args.max_train_steps is not None:
        stage = dataclasses.replace(recipe.stages[args.stage], max_train_steps=args.max_train_steps)
        recipe = dataclasses.replace(recipe, stages={**recipe.stages, args.stage: stage})
    device = args.device if args.device is not None else ("cuda" if torch.cuda.is_available() else "cpu")
    options = TrainOptions(
        corpus=args.corpus, output=args.output, seed=args.seed, device=device,
        checkpointing_steps=args.checkpointing_steps,
    )  # fmt: skip
    print(run_stage(recipe, args.stage, options))
