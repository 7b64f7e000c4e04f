"""Who may speak to a server: no page of another site, through the browser of someone who can reach it."""

import re
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jsd.errors import InvalidInputError
from jsd.i18n import _

LOOPBACK = ("localhost", "127.0.0.1", "::1")
NEAR = (".local", ".internal", ".localhost", ".lan", ".home.arpa")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """`app`, for its own callers. `host` is where the server listens, `names` are others it may be called by.

    A server that listens on this machine alone is called by this machine's names: another name in `Host` is a page
    whose address was made to point here. What changes something must come from the server's own pages or, without
    `Origin`, from no page at all; where other machines reach the server its pages are at an address, a name of this
    network, or one of `names`. A browser that is told the type of an answer must not guess another.
    """

    def __init__(self, app: ASGIApp, *, host: str, names: Iterable[str] = ()) -> None:
        self.app = app
        self.names = frozenset(names)
        self.own_names = self.names | {*LOOPBACK} if host in LOOPBACK else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope.get("method"), headers.get(b"host"), headers.get(b"origin"))
        if refusal is None:
            return await self.app(scope, receive, _without_guessing(send))
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008, "reason": refusal})
        return await JSONResponse({"detail": refusal}, 403)(scope, receive, _without_guessing(send))

    def _refusal(self, method: str | None, host: str | None, origin: str | None) -> str | None:
        if host is not None and self.own_names is not None and _hostname(host) not in self.own_names:
            return _("this server is not called {value}; start it with --allow-host {value}", value=_hostname(host))
        if origin is None or method in SAFE_METHODS:
            return None
        place = origin.partition("://")[2]
        if _hostname(place) in self.names or (place == host and (self.own_names is not None or _is_near(place))):
            return None
        if place == "":  # "null": of a file, or of a page whose browser does not tell
            return _("a page that has no address may not ask this server; open the server's own")
        return _(
            "a page of {value} may not ask this server; start it with --allow-host {name}",
            value=origin,
            name=_hostname(place),
        )


def hostnames(names: Iterable[str]) -> list[str]:
    """Of what was given as --allow-host, as `Host` and `Origin` have them: a scheme and a port go."""
    found = {name: _hostname(name.partition("://")[2] or name) for name in names}
    for name, host in found.items():
        if host == "":
            raise InvalidInputError(
                "serve.allow_host",
                "{field} must be a name of this server, got {value}; write it as draw.example.com",
                field="allow_host",
                value=repr(name),
            )
    return list(found.values())


def is_open(host: str, names: Sequence[str]) -> bool:
    """Whether other machines reach the server: it listens to them, or is called by a name that a proxy brings."""
    return host not in LOOPBACK or len(names) > 0


def pages_of(names: Sequence[str]) -> str:
    """A regular expression of the origins with one of these names, on any port."""
    return rf"[a-z][a-z0-9+.-]*://(?:{'|'.join(map(re.escape, names))})(?::\d+)?"


def _is_near(place: str) -> bool:
    """Whether it is a name that no stranger can have pointed here: an address, or one of this network alone."""
    name = _hostname(place)
    with suppress(ValueError):
        return bool(ip_address(name))
    return "." not in name or name.endswith(NEAR) or name == socket.gethostname().lower()


def _hostname(place: str) -> str:
    """Of `host`, `host:port` or `[::1]:port`; what is none of them is no name of any server."""
    try:
        return urlsplit(f"//{place}").hostname or ""
    except ValueError:
        return ""


def _without_guessing(send: Send) -> Send:
    async def send_with_header(part: Message) -> None:
        if part["type"] == "http.response.start":
            part["headers"] = [*part.get("headers", ()), (b"x-content-type-options", b"nosniff")]
        await send(part)

    return send_with_header
