"""jsd serve [--host NAME] [--port N] [--weights FOLDER] [--queue N] ..."""

import argparse
import logging
import os

from jsd.cli.arguments import add_folder_arguments, add_loras_argument, chosen_model, offer_loras
from jsd.cli.numbers import number, whole
from jsd.engines import choose_engine
from jsd.errors import ServingError
from jsd.i18n import _
from jsd.rules import whole_number

DEFAULT_PORT = 5000
MAX_QUEUE, MAX_WAIT_SECONDS = 10_000, 86_400


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    shown = " (%(default)s)"
    add("--host", default="127.0.0.1", metavar="NAME", help=_("address to listen on") + shown)
    add("--port", type=whole, default=DEFAULT_PORT, metavar="N", help=_("port to listen on") + shown)
    add_folder_arguments(parser)
    add_loras_argument(parser)
    add("--queue", type=whole, default=32, metavar="N", help=_("requests that may wait; one more gets 429") + shown)
    add("--queue-seconds", type=whole, default=600, metavar="N", help=_("how long a request may wait") + shown)
    bound = _("the most that one request may cost: steps x pictures x pixels, in millions")
    add("--max-megapixel-steps", type=number, metavar="N", help=bound)
    private = _("let requests name pictures in networks that are not public")
    add("--allow-private-addresses", action="store_true", help=private)
    called = _("another name that this server is called by, as of a proxy before it; may be given more than once")
    add("--allow-host", action="append", default=[], metavar="NAME", help=called)
    apis = _("answer OpenAI's and A1111's clients from other machines too, not from this one alone")
    add("--clients", action="store_true", help=apis)
    logged = _("log what is said of each prediction, which may quote its prompt")
    add("--log-predictions", action="store_true", help=logged)


def run(args: argparse.Namespace) -> None:
    from jsd.models.folder import PARTS, open_model_folder
    from jsd.serving.address import check_address
    from jsd.serving.clients.studio import ServedModel
    from jsd.serving.cog_server import PREDICTOR, CogServer
    from jsd.serving.front import app
    from jsd.serving.front.line import Line
    from jsd.serving.guard import hostnames, is_open
    from jsd.serving.key import asked_key
    from jsd.serving.pictures import check_cog_folders
    from jsd.serving.settings import ALLOW_PRIVATE, MAX_COST, check_cost, max_cost

    whole_number("port", args.port, 1, 65535)
    key, names = asked_key(), hostnames(args.allow_host)
    whole_number("queue", args.queue, 0, MAX_QUEUE)
    whole_number("queue_seconds", args.queue_seconds, 1, MAX_WAIT_SECONDS)
    if args.max_megapixel_steps is not None:
        os.environ[MAX_COST] = str(check_cost(args.max_megapixel_steps, "max_megapixel_steps"))
    max_cost()  # told here, not in setup()
    if args.allow_private_addresses:
        os.environ[ALLOW_PRIVATE] = "1"
    offer_loras(args.loras)
    if args.weights is None:
        from jsd.models.fetch import fetch_if_asked

        fetch_if_asked()  # as setup() does, which is told the folder that is chosen here
    folder = chosen_model(args)
    os.environ.update({PARTS[name].variable: str(path) for name, path in folder.parts.items()})
    check_address(args.host, args.port)
    if not PREDICTOR.is_file():
        raise ServingError(
            "serve.no_predictor",
            "{path} must be there, and is not; clone the repository and run jsd serve there, or install jsd anew",
            path=PREDICTOR,
        )
    check_cog_folders()
    choose_engine()
    open_model_folder(folder)  # what setup() refuses, the server would log and go on without
    print(folder, flush=True)
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("jsd.serve").setLevel(logging.INFO)
    model = ServedModel.of_folder(folder) if args.clients or not is_open(args.host, names) else None
    server = CogServer(folder.path.resolve(), log_predictions=args.log_predictions)
    line = Line(length=args.queue, wait_seconds=args.queue_seconds)
    app.run(server, line, host=args.host, port=args.port, names=names, model=model, key=key)
