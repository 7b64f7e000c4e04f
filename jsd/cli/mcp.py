"""jsd mcp [--weights FOLDER] [--device NAME] [--dtype NAME] [--output-dir FOLDER]"""

import argparse
from pathlib import Path

from jsd.cli.arguments import add_model_arguments, check_folder, chosen_model
from jsd.engines import choose_engine
from jsd.i18n import _


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    kept = _("keep the pictures there too; default: they are sent, and not kept")
    parser.add_argument("--output-dir", type=Path, metavar="FOLDER", help=kept)


def run(args: argparse.Namespace) -> None:
    from jsd.models.folder import open_model_folder
    from jsd.serving.mcp import serve

    if args.output_dir is not None:
        check_folder(args.output_dir, "output_dir")
    model = {"device": args.device, "dtype": args.dtype, "engine": choose_engine(args.engine)}
    serve(open_model_folder(chosen_model(args)), **model, output_dir=args.output_dir)
