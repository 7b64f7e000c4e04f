"""The key that a server asks for, on every path: JSD_API_KEY."""

import base64
import os
from hmac import compare_digest

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from jsd.errors import ServingError
from jsd.i18n import _
from jsd.serving.clients.openai import error_body

VARIABLE = "JSD_API_KEY"


def asked_key() -> str | None:
    """None where no key is asked for."""
    key = os.environ.get(VARIABLE)
    if key is not None and (key == "" or not key.isascii() or not key.isprintable() or " " in key):
        raise ServingError(
            "serve.key",
            "{field} must be a key of letters, digits and signs, and is empty or holds others; set another or none",
            field=VARIABLE,
        )
    return key


class Key:
    """`app`, for who brings the key: `Authorization: Bearer KEY`, or Basic with the key as password."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self.app = app
        self.key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        brought = dict(scope["headers"]).get(b"authorization", b"")
        if compare_digest(_key_of(brought), self.key):
            return await self.app(scope, receive, send)
        message = _("this server asks for its key: send it as Authorization: Bearer KEY, or as the password of Basic")
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008, "reason": message})
        body = error_body(401, message, "invalid_api_key") if scope["path"].startswith("/v1/") else {"detail": message}
        answer = JSONResponse(body, 401)
        for challenge in ("Bearer", 'Basic realm="jsd"'):
            answer.headers.append("www-authenticate", challenge)
        return await answer(scope, receive, send)


def _key_of(authorization: bytes) -> bytes:
    scheme, _space, value = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except ValueError:
        return b""
