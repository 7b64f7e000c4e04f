"""jsd score FILE... PROMPT: how well a picture goes with a text."""

import argparse
from pathlib import Path

from jsd.i18n import _


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE", help=_("a picture, or several"))
    parser.add_argument("prompt", metavar="PROMPT", help=_("what it should show"))
    said = _("CLIP or SigLIP of transformers (weights/clip_ja)")
    parser.add_argument("--scorer", type=Path, metavar="FOLDER", help=said)


def run(args: argparse.Namespace) -> None:
    from jsd.images.opening import load_image
    from jsd.scoring import load_scorer

    images = [load_image(file, "file") for file in args.files]
    scorer = load_scorer(args.scorer)
    text_features = scorer.text_features([args.prompt])
    for file, image in zip(args.files, images, strict=True):
        name = f"{file}  " if len(args.files) > 1 else ""
        print(f"{name}{float(scorer.image_features([image]) @ text_features.T):.4f}  {scorer.name}")
