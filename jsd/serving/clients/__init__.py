"""The APIs of other programs, for the clients that people have: OpenAI's images, A1111's web UI."""

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, ExceptionHandler

from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.serving.clients import a1111, openai
from jsd.serving.clients.studio import NotDrawn, ServedModel, Studio


def mounts(app: ASGIApp, model: ServedModel | None) -> list[Mount]:
    """`app` answers Cog's paths; without a model, every request is told how the APIs are turned on."""
    return [
        _mount("/v1", [_closed()] if model is None else openai.routes(Studio(app, model)), openai.answer_error),
        _mount("/sdapi/v1", [_closed()] if model is None else a1111.routes(Studio(app, model)), a1111.answer_error),
    ]


def _mount(path: str, routes: Sequence[BaseRoute], answer_error: ExceptionHandler) -> Mount:
    """Each API says in its own form what is wrong, and what is not there."""
    errors = dict.fromkeys((InvalidInputError, NotDrawn, HTTPException), answer_error)
    return Mount(path, Starlette(routes=routes, exception_handlers=errors))


def _closed() -> Route:
    async def refuse(http: Request) -> Response:
        raise HTTPException(
            404, _("others reach this server, and it answers them no such API; start it with --clients")
        )

    return Route("/{path:path}", refuse, methods=["GET", "POST"])
