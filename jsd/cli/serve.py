"""jsd serve [--host HOST] [--port PORT] [--weights FOLDER]"""

import argparse
from pathlib import Path

from jsd.cli.numbers import check_port, whole
from jsd.i18n import _


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="NAME", help=_("address to listen on") + " (%(default)s)"
    )
    parser.add_argument("--port", type=whole, default=5000, metavar="N", help=_("port to listen on") + " (%(default)s)")
    parser.add_argument(
        "--weights", type=Path, metavar="FOLDER", help=_("model folder (JSD_WEIGHTS, else weights/rinna, else mini)")
    )


def run(args: argparse.Namespace) -> None:
    from jsd.models.folder import choose_folder
    from jsd.serving.cog_server import DEFAULT_PORT, serve

    check_port(args.port, default=DEFAULT_PORT)
    folder = choose_folder(args.weights)
    print(folder, flush=True)  # serve() replaces this process
    serve(args.host, args.port, folder.path)
