"""Webhooks of a server that strangers reach: the front calls them, at the address that was checked and no other."""

import secrets
from collections import OrderedDict

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jsd.serving.fetching import CheckedHosts

PATH = "/webhooks/"
MAX_KNOWN = 1000
TIMEOUT_SECONDS = 30


class Webhooks:
    """Cog's server looks a name up anew, and goes where an answer leads it. It is told an address of the front instead
    that nobody can guess; what it sends there goes on to the client's.

    `origin`: where Cog reaches the front, as http://127.0.0.1:5000.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._urls: OrderedDict[str, str] = OrderedDict()  # the latest last

    def address(self, url: str) -> str:
        token = secrets.token_urlsafe(24)
        self._urls[token] = url
        if len(self._urls) > MAX_KNOWN:
            self._urls.popitem(last=False)
        return f"{self.origin}{PATH}{token}"

    def before(self, app: ASGIApp) -> ASGIApp:
        """`app`, with these addresses."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope["path"] if scope["type"] == "http" else ""
            url = self._urls.get(path.removeprefix(PATH)) if path.startswith(PATH) else None
            if url is None:
                return await app(scope, receive, send)
            request = Request(scope, receive)
            content = await request.body()
            status = await run_in_threadpool(_post, url, content, request.headers.get("content-type", ""))
            return await Response(status_code=status)(scope, receive, send)

        return answer


def _post(url: str, content: bytes, kind: str) -> int:
    """The status; 502, upon which Cog tries again, where there is none, or one that leads elsewhere."""
    headers = {"content-type": kind}
    try:
        with (
            httpx.Client(transport=CheckedHosts(), timeout=TIMEOUT_SECONDS) as client,
            client.stream("POST", url, content=content, headers=headers) as response,
        ):
            return 502 if response.is_redirect else response.status_code
    except (httpx.HTTPError, OSError, ValueError):
        return 502


def origin(host: str, port: int) -> str:
    """Where a server that listens on `host` is reached from this machine."""
    own = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{own}]' if ':' in own else own}:{port}"
