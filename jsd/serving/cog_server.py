"""Cog's own server on `predict.py`, without Docker: the program that also runs inside every built image."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import jsd
from jsd.errors import ServingError
from jsd.models.folder import open_model_folder
from jsd.serving.address import check_address
from jsd.serving.schema import write_schema

DEFAULT_PORT = 5000
PREDICTOR = Path(jsd.__file__).parents[1] / "predict.py"


def serve(host: str, port: int, weights: Path) -> NoReturn:
    """Write the schema, then become the server. `weights` is the model folder that the predictor loads."""
    check_address(host, port, default=DEFAULT_PORT)
    if not PREDICTOR.is_file():
        raise ServingError(
            "serve.no_predictor",
            "jsd serve runs from a checkout of the repository and {path} does not exist; clone "
            "the repository and run it there",
            path=PREDICTOR,
        )
    open_model_folder(weights)  # what setup() refuses, the server would log and go on without
    write_schema(PREDICTOR)
    environment = server_environment(port, weights.resolve())
    os.chdir(PREDICTOR.parent)
    os.execve(sys.executable, [sys.executable, "-m", "cog.server.http", "--host", host], environment)


def server_environment(port: int, weights: Path) -> dict[str, str]:
    """What `cog build` sets in an image, and what its absence needs here."""
    return {
        "LOG_FORMAT": "console",  # lines to read, not JSON; a value that is set wins
        **os.environ,
        "COG_PREDICT_TYPE_STUB": f"{PREDICTOR.name}:Predictor",
        "JSD_WEIGHTS": str(weights),
        "PORT": str(port),
        # The server starts its worker as the first `python` on PATH, which must be this one.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
