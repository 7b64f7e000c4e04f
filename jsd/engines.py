"""What computes the UNet and the VAE's decoder: torch, or OpenVINO on a CPU."""

import importlib.util
import os
from collections.abc import Callable
from typing import Any

from jsd.errors import MissingExtraError
from jsd.rules import not_one_of

TORCH, OPENVINO = "torch", "openvino"
ENGINES = (TORCH, OPENVINO)
VARIABLE = "JSD_ENGINE"


def choose_engine(engine: str | None = None) -> str:
    """`engine`, else JSD_ENGINE, else torch; MissingExtraError where it is not installed."""
    field, chosen = "engine", engine
    if chosen is None:
        field, chosen = VARIABLE, os.environ.get(VARIABLE) or TORCH
    if chosen not in ENGINES:
        raise not_one_of(field, chosen, ENGINES)
    if chosen == OPENVINO and importlib.util.find_spec("openvino") is None:
        raise MissingExtraError("openvino", "openvino")
    return chosen


def loader(engine: str) -> Callable[..., dict[str, Any]]:
    """What loads the networks of a folder: see `jsd.models.components.load_components`."""
    if engine == OPENVINO:
        from jsd.models.openvino import load_compiled

        return load_compiled
    from jsd.models.components import load_components

    return load_components
