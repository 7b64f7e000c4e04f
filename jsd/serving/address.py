"""Where a server listens: checked before minutes of loading, not after."""

import socket

from jsd.errors import ServingError


def check_address(host: str, port: int) -> None:
    """ServingError where nobody can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, TypeError) as error:  # the latter of what is no name of any host
            raise ServingError(
                "serve.cannot_bind",
                "the server needs a free address and {host} port {port} is not one ({reason}); stop "
                "what uses it, or choose another with --port",
                host=host,
                port=port,
                reason=error.strerror if isinstance(error, OSError) else error,
            ) from error
