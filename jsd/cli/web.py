"""jsd web [--host HOST] [--port PORT] [--weights FOLDER] [--device NAME] [--dtype NAME] [--allow-host NAME]"""

import argparse

from jsd.cli.arguments import add_loras_argument, add_model_arguments, chosen_model, offer_loras
from jsd.cli.numbers import whole
from jsd.engines import choose_engine
from jsd.i18n import _
from jsd.rules import whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="NAME", help=_("address to listen on") + " (%(default)s)"
    )
    parser.add_argument("--port", type=whole, default=7860, metavar="N", help=_("port to listen on") + " (%(default)s)")
    add_model_arguments(parser)
    add_loras_argument(parser)
    words = _("a name by which a browser may call this server too, such as that of a proxy; may be repeated")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help=words)


def run(args: argparse.Namespace) -> None:
    from jsd.serving.guard import hostnames
    from jsd.serving.web import serve

    whole_number("port", args.port, 1, 65535)
    offer_loras(args.loras)
    engine = choose_engine(args.engine)
    model = {"weights": chosen_model(args), "device": args.device, "dtype": args.dtype, "engine": engine}
    serve(args.host, args.port, **model, names=hostnames(args.allow_host))
