"""The guard before a server: whose requests pass."""

import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from jsd.errors import InvalidInputError
from jsd.serving.front.app import guarded
from jsd.serving.guard import Guard, hostnames, is_open


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"inside"})


def ask(guard: Guard, method: str, **headers: str) -> tuple[int, bytes, dict[bytes, bytes]]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(part: Message) -> None:
        sent.append(part)

    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "method": method, "path": "/shutdown", "headers": lines}
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


@pytest.mark.parametrize(
    ("listens", "method", "host", "origin", "passes"),
    [
        ("127.0.0.1", "POST", "127.0.0.1:5000", None, True),
        ("127.0.0.1", "POST", "localhost:5000", "http://localhost:5000", True),
        ("127.0.0.1", "POST", "[::1]:5000", "http://[::1]:5000", True),
        ("::1", "GET", "localhost", None, True),
        ("127.0.0.1", "GET", None, None, True),  # HTTP/1.0, as of a load balancer
        ("127.0.0.1", "GET", "evil.example", None, False),
        ("127.0.0.1", "GET", "127.0.0.1.evil.example", None, False),
        ("127.0.0.1", "GET", "[", None, False),
        ("127.0.0.1", "POST", "evil.example", "http://evil.example", False),
        ("127.0.0.1", "POST", "127.0.0.1:5000", "https://evil.example", False),
        ("127.0.0.1", "POST", "127.0.0.1:5000", "http://127.0.0.1:8000", False),
        ("127.0.0.1", "POST", "127.0.0.1:5000", "null", False),
        ("127.0.0.1", "PUT", "127.0.0.1:5000", "https://evil.example", False),
        ("127.0.0.1", "GET", "127.0.0.1:5000", "https://evil.example", True),  # nothing changes; it may not read it
        ("127.0.0.1", "POST", "draw.example", "https://draw.example", True),  # named when it was started
        ("127.0.0.1", "POST", "127.0.0.1:5000", "https://draw.example", True),  # a proxy that keeps its own name
        ("0.0.0.0", "POST", "192.0.2.7:5000", "http://192.0.2.7:5000", True),
        ("0.0.0.0", "POST", "192.0.2.7:5000", "https://evil.example", False),
        ("0.0.0.0", "POST", "[2001:db8::7]:5000", "http://[2001:db8::7]:5000", True),
        ("0.0.0.0", "POST", "studio:5000", "http://studio:5000", True),
        ("0.0.0.0", "POST", "studio.local:5000", "http://studio.local:5000", True),
        ("0.0.0.0", "POST", "evil.example:5000", "http://evil.example:5000", False),  # whose name was pointed here
        ("0.0.0.0", "POST", "evil.example:5000", None, True),  # no page
        ("0.0.0.0", "POST", "draw.example", "https://draw.example", True),
    ],
)
def test_only_the_servers_own_callers_pass(
    listens: str, method: str, host: str | None, origin: str | None, passes: bool
) -> None:
    guard = Guard(_app, host=listens, names=["draw.example"])
    headers = {name: value for name, value in (("host", host), ("origin", origin)) if value is not None}
    status, body, answered = ask(guard, method, **headers)
    assert (status, body == b"inside") == ((200, True) if passes else (403, False)), body
    assert answered[b"x-content-type-options"] == b"nosniff"
    assert passes or origin == "null" or b"--allow-host" in body, "what to do about it"


@pytest.mark.parametrize(
    ("host", "names", "opened"),
    [("127.0.0.1", [], False), ("localhost", ["draw.example"], True), ("0.0.0.0", [], True)],
)
def test_a_server_behind_a_proxy_is_open_too(host: str, names: list[str], opened: bool) -> None:
    assert is_open(host, names) == opened


PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}


@pytest.mark.parametrize(
    ("names", "origin", "reads"),
    [
        (["draw.example"], "https://draw.example", True),
        (["draw.example"], "http://draw.example:8080", True),
        (["draw.example"], "https://draw.example.evil.example", False),
        (["draw.example"], "https://drawxexample", False),
        ([], "https://draw.example", False),
    ],
)
def test_a_page_of_a_name_that_is_allowed_may_read_the_answers_with_the_key(
    names: list[str], origin: str, reads: bool
) -> None:
    app = guarded(PlainTextResponse("inside"), host="127.0.0.1", names=names, key="secret")
    client = TestClient(app, base_url="http://127.0.0.1:5000")
    asked = client.options("/v1/images/generations", headers={"origin": origin, **PREFLIGHT})
    assert (asked.status_code == 200) == reads, "a browser sends no key with it"
    answers = [client.get("/", headers={"origin": origin, "authorization": f"Bearer {key}"}) for key in ("secret", "x")]
    assert [answer.status_code for answer in answers] == [200, 401]
    for answer in (asked, *answers):
        assert ("access-control-allow-origin" in answer.headers) == reads, answer.headers


def test_a_name_is_allowed_as_browsers_write_it() -> None:
    names = hostnames(["DESKTOP-ABC", "https://Draw.Example:8443", "[::1]:80"])
    assert names == ["desktop-abc", "draw.example", "::1"]
    assert ask(Guard(_app, host="127.0.0.1", names=names), "POST", host="desktop-abc:5000")[0] == 200
    with pytest.raises(InvalidInputError, match="allow_host"):
        hostnames([":5000"])
