"""Webhooks of a server that strangers reach: the front calls them, at the address that was checked and no other."""

import asyncio
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from threading import Thread

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from jsd.serving.fetching import CheckedHosts

PATH = "/webhooks/"
DEADLINE_SECONDS = 30
AGAIN = 502  # upon which Cog tries again


class Webhooks:
    """Cog's server looks a name up anew, and goes where an answer leads it. It is told an address of the front instead
    that nobody else can make; what it sends there goes on to the client's.

    `origin`: where Cog reaches the front, as http://127.0.0.1:5000.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._secret = secrets.token_bytes(32)

    def address(self, url: str) -> str:
        name = urlsafe_b64encode(url.encode()).decode()
        return f"{self.origin}{PATH}{name}.{self._signature(name)}"

    def before(self, app: ASGIApp) -> ASGIApp:
        """`app`, with these addresses."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            url = self._url(scope["path"]) if scope["type"] == "http" else None
            if url is None:
                return await app(scope, receive, send)
            request = Request(scope, receive)
            status = await post(url, await request.body(), request.headers.get("content-type", ""))
            return await Response(status_code=status)(scope, receive, send)

        return answer

    def _url(self, path: str) -> str | None:
        name, _, signature = path.removeprefix(PATH).partition(".")
        is_ours = path.startswith(PATH) and path.isascii() and hmac.compare_digest(signature, self._signature(name))
        return urlsafe_b64decode(name).decode() if is_ours else None

    def _signature(self, name: str) -> str:
        return hmac.new(self._secret, name.encode(), "sha256").hexdigest()


async def post(url: str, content: bytes, kind: str, *, of_strangers: bool = True) -> int:
    """The status; AGAIN where there is none within the deadline, or one that leads elsewhere. Strangers do not reach
    into this machine's networks.

    By a thread of its own: a host that dribbles holds none that others wait for, nor the end of the server.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[int] = loop.create_future()
    client = httpx.Client(transport=CheckedHosts() if of_strangers else None, timeout=DEADLINE_SECONDS)

    def answer(status: int) -> None:
        if not answered.done():
            answered.set_result(status)

    def work() -> None:
        status = AGAIN
        with suppress(Exception), client.stream("POST", url, content=content, headers={"content-type": kind}) as said:
            status = AGAIN if said.is_redirect else said.status_code
        with suppress(RuntimeError):  # the server has ended
            loop.call_soon_threadsafe(answer, status)

    Thread(target=work, daemon=True).start()
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await answered
    except TimeoutError:
        return AGAIN
    finally:
        client.close()


def origin(host: str, port: int) -> str:
    """Where a server that listens on `host` is reached from this machine."""
    own = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{own}]' if ':' in own else own}:{port}"
