"""Cog's events on their way to a client that reads slowly, or not at all."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.types import Message

from jsd.serving.front.events import MAX_UNREAD_BYTES, Events, Gone

STREAM = (
    b'event: start\ndata: {"id":"a"}\n\nevent: output\ndata: {"chunk":"b"}\n\nevent: completed\ndata: {"id":"a"}\n\n'
)


def response(*parts: bytes) -> httpx.Response:
    async def stream() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return httpx.Response(200, headers={"content-type": "text/event-stream", "date": "now"}, content=stream())


async def stalled(message: Message) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("length", [1, 40, len(STREAM)])
def test_events_pass_whole_but_for_the_last_which_is_told_anew(length: int) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def relay() -> None:
        events = Events(send)
        completed = await events.take(response(*(STREAM[at : at + length] for at in range(0, len(STREAM), length))))
        assert json.loads(completed) == {"id": "a"}
        await events.end(completed.replace(b'"a"', b'"z"'))

    asyncio.run(relay())
    assert sent[0]["headers"] == [(b"content-type", b"text/event-stream")]
    parts = [message["body"] for message in sent[1:-1]]
    assert [part.partition(b"\n")[0] for part in parts] == [b"event: start", b"event: output", b"event: completed"]
    assert b"".join(parts) == STREAM.replace(b'completed\ndata: {"id":"a"}', b'completed\ndata: {"id":"z"}')
    assert not sent[-1].get("more_body")


def test_a_client_that_reads_nothing_does_not_hold_up_what_draws_for_it() -> None:
    async def relay(*parts: bytes) -> None:
        events = Events(stalled)
        await asyncio.wait_for(events.take(response(*parts)), 5)
        events.drop()

    asyncio.run(relay(STREAM))
    large = b"event: output\ndata: " + bytes(MAX_UNREAD_BYTES // 3) + b"\n\n"
    with pytest.raises(Gone):
        asyncio.run(relay(*5 * [large]))


def test_a_picture_larger_than_the_bound_goes_to_a_client_that_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsd.serving.front.events.MAX_UNREAD_BYTES", 10)
    output = b"event: output\ndata: " + b"x" * 100 + b"\n\n"
    whole = output * 2 + b"event: completed\ndata: " + b"y" * 100 + b"\n\n"
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def stream() -> AsyncIterator[bytes]:
        for place in range(0, len(whole), 7):
            await asyncio.sleep(0)  # the client reads
            yield whole[place : place + 7]

    async def relay() -> None:
        events = Events(send)
        await events.end(await events.take(httpx.Response(200, content=stream())))

    asyncio.run(relay())
    assert b"".join(message.get("body", b"") for message in sent) == whole
