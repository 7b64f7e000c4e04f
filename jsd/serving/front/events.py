"""Cog's server-sent events on their way to one client."""

import asyncio
from collections.abc import AsyncIterator

import httpx
from starlette.types import Send

MAX_UNREAD_BYTES = 64 * 2**20
PASSED_ON = (b"content-type", b"cache-control")
COMPLETED = b"event: completed\ndata: "


class Gone(Exception):
    """The client, before its answer came."""


class Events:
    """A client that reads slowly holds no slot: what it has not read yet waits here, within a bound."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._unread: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._unread_bytes = 0
        self._sending: asyncio.Task[None] | None = None

    @property
    def have_begun(self) -> bool:
        return self._sending is not None

    async def take(self, response: httpx.Response) -> bytes:
        """Send every event but the last, as they come: returned are the data of that one, the whole prediction."""
        headers = [(name, value) for name, value in response.headers.raw if name.lower() in PASSED_ON]
        self._sending = asyncio.ensure_future(self._send_all(response.status_code, headers))
        completed = b""
        async for event in _whole(response):
            if event.startswith(COMPLETED):
                completed = event.removeprefix(COMPLETED).rstrip()
            else:
                self._put(event)
        return completed

    async def end(self, content: bytes) -> None:
        """`content`: the prediction as it ended."""
        self._unread.put_nowait(COMPLETED + content + b"\n\n")
        self._unread.put_nowait(None)
        assert self._sending is not None
        await self._sending

    def drop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

    def _put(self, event: bytes) -> None:
        if self._unread_bytes > MAX_UNREAD_BYTES:  # of those before: a large picture is no sign of a slow client
            raise Gone
        self._unread_bytes += len(event)
        self._unread.put_nowait(event)

    async def _send_all(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        while (event := await self._unread.get()) is not None:
            await self._send({"type": "http.response.body", "body": event, "more_body": True})
            self._unread_bytes -= len(event)
        await self._send({"type": "http.response.body", "body": b""})


async def _whole(response: httpx.Response) -> AsyncIterator[bytes]:
    """Event by event, however they were cut on the way."""
    rest = bytearray()
    async for chunk in response.aiter_raw():
        looked_at = max(0, len(rest) - 1)
        rest += chunk
        while (end := rest.find(b"\n\n", looked_at)) >= 0:
            yield bytes(rest[: end + 2])
            del rest[: end + 2]
            looked_at = 0
