"""The front of `jsd serve`: Cog's paths and answers, for more clients at once than Cog's one slot has room for."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from jsd.i18n import _
from jsd.serving.clients import mounts
from jsd.serving.clients.studio import ServedModel
from jsd.serving.cog_server import CogServer
from jsd.serving.fetching import check_host
from jsd.serving.front.events import Events, Gone
from jsd.serving.front.figures import Figures
from jsd.serving.front.line import Line, Refused
from jsd.serving.front.predictions import Answer, Prediction, Predictions, lost
from jsd.serving.front.requests import BadRequest, Bounded, read_request
from jsd.serving.front.webhooks import Webhooks, origin
from jsd.serving.guard import Guard, is_open, pages_of
from jsd.serving.key import Key

SHUTDOWN_SECONDS = 3
# What Cog's server tells of itself.
PASSED_ON = ("/", "/health-check", "/openapi.json")
# Of one connection, not of what is asked and answered.
OWN_HEADERS = (
    b"host",
    b"connection",
    b"keep-alive",
    b"transfer-encoding",
    b"content-length",
    b"upgrade",
    b"te",
    b"date",
)


@dataclass(frozen=True)
class Front:
    server: CogServer
    line: Line
    figures: Figures
    predictions: Predictions
    webhooks: Webhooks | None = None  # of strangers, who shall not reach into this machine's networks

    async def create(self, request: Request) -> ASGIApp:
        """POST /predictions, PUT /predictions/ID"""
        content = await request.body()
        if content and "json" not in request.headers.get("content-type", ""):
            raise HTTPException(415, _("a request must have Content-Type: application/json"))
        try:
            told = None if self.webhooks is None else self.webhooks.address
            asked = read_request(content, request.headers, request.path_params.get("prediction_id"), told)
            if asked.webhook is not None and self.webhooks is not None:
                await run_in_threadpool(_check_webhook, asked.webhook)
        except BadRequest as error:
            return JSONResponse({"detail": error.detail}, 422)
        if asked.id in self.predictions.under_way:
            return await self._again(request, asked.body, asked.id, wants_events=asked.wants_events)
        try:
            prediction = self.predictions.begin(asked)
        except Refused as refused:
            return self.refuse(refused)
        if asked.wants_no_answer and not asked.wants_events:
            return _json(self.predictions.draw_unattended(prediction))
        return _Drawing(self, prediction)

    async def _again(self, request: Request, content: bytes, prediction_id: str, *, wants_events: bool) -> ASGIApp:
        """Of one that is under way: PUT asks for its state, or for its events from here on, as Cog has it."""
        state = self.predictions.state(prediction_id)
        if request.method == "POST" or state is None:
            message = _("a prediction with the id {value} is under way; name another", value=prediction_id)
            return JSONResponse({"detail": message}, 409)
        if wants_events and self.predictions.under_way[prediction_id].status == "processing":
            return _Passing(self.server, request, content)
        return _json(Answer(202, state.content))

    async def state(self, request: Request) -> Response:
        """GET /predictions/ID"""
        answer = self.predictions.state(request.path_params["prediction_id"])
        if answer is None:
            return JSONResponse({"detail": _("no prediction of this id is under way, or was asked to be kept")}, 404)
        return _json(answer)

    async def cancel(self, request: Request) -> Response:
        """POST /predictions/ID/cancel"""
        return _json(await self.predictions.cancel(request.path_params["prediction_id"]))

    async def metrics(self, request: Request) -> Response:
        self.figures.waiting.set(self.line.num_waiting)
        self.figures.restarts.set(self.server.num_restarts)
        return Response(self.figures.page(), media_type="text/plain; version=0.0.4")

    async def passed_on(self, request: Request) -> ASGIApp:
        return _Passing(self.server, request, b"")

    def refuse(self, refused: Refused) -> Response:
        self.figures.refused.labels(refused.reason).inc()
        message = _("too many requests wait; come again in {seconds} seconds", seconds=refused.retry_seconds)
        return JSONResponse({"detail": message}, 429, headers={"retry-after": str(refused.retry_seconds)})


def _check_webhook(url: str) -> None:
    try:
        check_host(url)
    except (OSError, ValueError) as error:
        message = f"webhook cannot be called: {error}; start the server with --allow-private-addresses"
        raise BadRequest(message, "webhook") from error


class _Drawing:
    """The answer to a request for a prediction, which ends when its client goes away."""

    def __init__(self, front: Front, prediction: Prediction) -> None:
        self.front = front
        self.prediction = prediction

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.prediction.end(Gone())

        watching = asyncio.ensure_future(watch())
        events = Events(send)
        answer: Response
        try:
            said = await self.front.predictions.draw(self.prediction, events)
            if events.have_begun:
                return await events.end(said.content)
            answer = _json(said)
        except Refused as refused:
            answer = self.front.refuse(refused)
        except Gone:
            return None
        except asyncio.CancelledError:  # of uvicorn, which ends
            ending = _("the server is ending")
            if events.have_begun:
                return await events.end(Answer.of(200, status="failed", error=ending).content)
            answer = JSONResponse({"detail": ending}, 503)
        finally:
            watching.cancel()
            events.drop()
        return await answer(scope, receive, send)


class _Passing:
    """What Cog's own server answers, passed on as it comes."""

    def __init__(self, server: CogServer, request: Request, content: bytes) -> None:
        self.server = server
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        headers = [(name, value) for name, value in request.headers.raw if name not in OWN_HEADERS]
        self.is_health_check = request.url.path == "/health-check"
        self.asked = server.client.build_request(request.method, path, content=content, headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self.server.client.send(self.asked, stream=True)
        except httpx.HTTPError:
            starting = {"status": "STARTING"} if self.is_health_check else {"detail": _("Cog's server is not up yet")}
            return await JSONResponse(starting, 200 if self.is_health_check else 503)(scope, receive, send)
        headers = {name: value for name, value in response.headers.items() if name.encode() not in OWN_HEADERS}
        try:
            if headers.get("content-type", "").startswith("text/event-stream"):
                await _pass_events(response, send)
            else:
                await StreamingResponse(response.aiter_raw(), response.status_code, headers)(scope, receive, send)
        finally:
            await response.aclose()


async def _pass_events(response: httpx.Response, send: Send) -> None:
    """However slowly they are read: the connection to Cog's server ends with the prediction."""
    events, last = Events(send), b""
    try:
        with suppress(httpx.HTTPError):
            last = await events.take(response)
        await response.aclose()
        await events.end(last or Answer.of(200, status="failed", error=str(lost("its events ended"))).content)
    except Gone:
        return
    finally:
        events.drop()


def _json(answer: Answer) -> Response:
    return Response(answer.content, answer.status_code, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)


def build_app(
    front: Front, lifespan: Lifespan[Starlette] | None, shut_down: Callable[[], None], model: ServedModel | None
) -> Starlette:
    """`model`: what the clients' APIs say is drawn with; None where they are not answered."""

    async def shutdown(request: Request) -> Response:
        shut_down()
        return JSONResponse({})

    prediction = "/predictions/{prediction_id:path}"
    routes = [
        Route("/predictions", front.create, methods=["POST"]),
        Route(f"{prediction}/cancel", front.cancel, methods=["POST"]),
        Route(prediction, front.create, methods=["PUT"]),
        Route(prediction, front.state, methods=["GET"]),
        Route("/metrics", front.metrics, methods=["GET"]),
        Route("/shutdown", shutdown, methods=["POST"]),
        *(Route(path, front.passed_on, methods=["GET"]) for path in PASSED_ON),
    ]
    clients = mounts(Router(routes, redirect_slashes=False), model)
    app = Starlette(
        routes=[*clients, *routes],
        lifespan=lifespan,
        middleware=[Middleware(Bounded)],
        exception_handlers={HTTPException: _refused},
    )
    app.router.redirect_slashes = False
    return app


def guarded(app: ASGIApp, *, host: str, names: Sequence[str], key: str | None) -> ASGIApp:
    """`app` for who may ask it; the pages of `names` may read its answers. A browser asks first, without the key."""
    app = app if key is None else Key(app, key)
    if len(names) > 0:
        app = CORSMiddleware(app, allow_origin_regex=pages_of(names), allow_methods=["*"], allow_headers=["*"])
    return Guard(app, host=host, names=names)


def run(
    server: CogServer,
    line: Line,
    *,
    host: str,
    port: int,
    names: Sequence[str],
    model: ServedModel | None = None,
    key: str | None = None,
) -> None:
    """Answer until interrupted, or told to by POST /shutdown."""
    figures = Figures()
    webhooks = Webhooks(origin(host, port)) if is_open(host, names) else None
    predictions = Predictions(server, line, figures, of_strangers=webhooks is not None)
    front = Front(server, line, figures, predictions, webhooks)
    failures: list[BaseException] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        def end(task: "asyncio.Task[None]") -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                failures.append(error)
                web.should_exit = True

        running = asyncio.create_task(server.keep_running(lambda: line.is_idle))
        running.add_done_callback(end)
        yield
        await front.predictions.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def shut_down() -> None:
        web.should_exit = True

    app: ASGIApp = build_app(front, lifespan, shut_down, model)
    app = guarded(app, host=host, names=names, key=key)
    app = app if webhooks is None else webhooks.before(app)
    web = uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )
    # uvicorn raises a signal once more when it has ended by it.
    signal.signal(signal.SIGTERM, lambda *_: None)
    web.run()
    if failures:
        raise failures[0]
