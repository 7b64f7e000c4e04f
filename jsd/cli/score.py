"""jsd score FILE... PROMPT: how well a picture goes with a text."""

import argparse
from pathlib import Path

from jsd.cli.arguments import say
from jsd.i18n import _


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help=_("a picture, or several"))
    parser.add_argument("prompt", metavar="PROMPT", help=_("what it should show"))
    said = _("CLIP or SigLIP of transformers (weights/clip_ja)")
    parser.add_argument("--scorer", type=Path, metavar="FOLDER", help=said)


def run(args: argparse.Namespace) -> None:
    from jsd.images.opening import load_image
    from jsd.prompting.prompts import read_prompt
    from jsd.scoring import load_scorer

    images = [load_image(file, "file") for file in args.files]
    scorer = load_scorer(args.scorer)
    if scorer.tokenizer is not None:
        for note in read_prompt(scorer.tokenizer, args.prompt, long_prompt="truncate").notes():
            say(note)
    text_features = scorer.text_features([args.prompt])
    for file, image in zip(args.files, images, strict=True):
        name = f"{file}  " if len(args.files) > 1 else ""
        print(f"{name}{float(scorer.image_features([image]) @ text_features.T):.4f}  {scorer.name}")
