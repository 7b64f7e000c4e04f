"""Cog's own server on `predict.py`, without Docker: the program that also runs inside every built image."""

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

import jsd
from jsd.errors import InvalidInputError, ServingError
from jsd.serving.schema import write_schema

PREDICTOR = Path(jsd.__file__).parents[1] / "predict.py"


def serve(host: str, port: int, weights: Path) -> NoReturn:
    """Write the schema, then become the server. `weights` is the model folder that the predictor loads."""
    if not 1 <= port <= 65535:
        raise InvalidInputError("serve.port_range", field="port", value=port)
    if not PREDICTOR.is_file():
        raise ServingError("serve.no_predictor", path=PREDICTOR)
    _require_free(host, port)
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


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServingError("serve.cannot_bind", host=host, port=port, reason=error.strerror) from error
