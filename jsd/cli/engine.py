"""Where work is done: in this process, or on a Ray cluster."""

import argparse

from jsd.cli.numbers import whole
from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.rules import not_one_of, whole_number

ENGINES = ("local", "ray")
MAX_WORKERS = 10_000


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--engine",
        default=ENGINES[0],
        metavar="|".join(ENGINES),
        help=_("ray: over a cluster, the same results") + " (%(default)s)",
    )
    add("--workers", type=whole, metavar="N", help=_("with ray: default one for each GPU, else for each machine"))
    add("--ray-address", metavar="HOST:PORT", help=_("with ray: a running cluster (RAY_ADDRESS, else none: start one)"))


def check_engine(args: argparse.Namespace) -> None:
    if args.engine not in ENGINES:
        raise not_one_of("engine", args.engine, ENGINES)
    if args.workers is not None:
        whole_number("workers", args.workers, 1, MAX_WORKERS)
    for field in ("workers", "ray_address"):
        if args.engine != "ray" and getattr(args, field) is not None:
            raise InvalidInputError(
                "batch.only_ray",
                "{field} is for the engine ray, and the engine is {value}; add --engine ray, or leave {field} out",
                field=field,
                value=args.engine,
            )
