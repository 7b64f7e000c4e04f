"""`jsd web`: one process, one model, the page at an address of this machine, and nothing fetched from any other."""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jsd.candidates import find_scorer
from jsd.errors import MissingExtraError
from jsd.i18n import _
from jsd.lean import load_alone
from jsd.models.folder import ModelFolder, choose_folder
from jsd.serving.address import check_address
from jsd.serving.guard import Guard
from jsd.serving.limits import MAX_UPLOAD_BYTES, Limits

# A page left open holds a connection for ever, and a drawing goes on to its next step: the end waits this long.
SHUTDOWN_SECONDS = 2
STOP_SECONDS = 10
# Gradio's frontend writes styles and scripts into the page; where they come from is what matters here.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; base-uri 'self'"
PICTURES = "/known"  # where the model's own pictures are served
# What the page and Gradio's clients ask for. Gradio answers more: it fetches, records, and keeps a visitor's state.
OWN = ("config", "theme.css", "favicon.ico", "manifest.json", "robots.txt", "assets/", "static/", "known/")
OF_GRADIO = (
    *("app_id", "startup-events", "info", "heartbeat/", "queue/", "run/", "call/", "cancel", "reset"),
    *("upload", "component_server", "file="),
)
ADDRESSES = (*(f"/{name}" for name in OWN), *(f"/gradio_api/{name}" for name in OF_GRADIO))


def serve(
    host: str,
    port: int,
    *,
    weights: ModelFolder | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    engine: str | None = None,
    names: Sequence[str] = (),
) -> None:
    """Answer until interrupted; `names` are those of hosts that the page may be called by."""
    check_address(host, port)
    with temporary_folder() as folder:
        # All are read while Gradio is imported.
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        os.environ["GRADIO_TEMP_DIR"] = str(folder)
        try:
            import uvicorn

            from jsd.serving.page.page import Page
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in ("gradio", "uvicorn"):
                raise
            raise MissingExtraError("gradio", "web") from error
        chosen = choose_folder(weights)
        pipeline = load_alone(chosen, device, dtype, engine)
        print(*pipeline.introduction(chosen.reason), sep="\n")
        page = Page(pipeline, folder / "pictures", find_scorer())
        app = Guard(Limits(build_app(page), folder), host=host, names=names)
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        print(_("the page is at {url} ; Ctrl+C ends it", url=url), flush=True)
        try:
            uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_SECONDS)
        finally:
            page.line.close(STOP_SECONDS)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """For all that the server writes: it goes when the server does, however it is asked to."""

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)

    # uvicorn hears SIGTERM while it runs, and passes it on when it is done; a closed terminal is to be the same.
    signal.signal(signal.SIGTERM, end)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda number, frame: signal.raise_signal(signal.SIGTERM))
    with TemporaryDirectory(prefix="jsd-web-") as name:
        tempfile.tempdir = name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = None


def build_app(page: Any) -> ASGIApp:
    import gradio
    from fastapi import FastAPI
    from fastapi.staticfiles import StaticFiles

    from jsd.serving.page.look import HEAD, theme

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    if page.known.folder is not None:
        app.mount(PICTURES, StaticFiles(directory=page.known.folder))
    gradio.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        theme=theme(),
        head=HEAD,
        show_error=False,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=MAX_UPLOAD_BYTES,
    )
    # Only of what it launched does Gradio check the paths that a client names (processing_utils._check_allowed).
    page.blocks.has_launched = page.blocks.is_running = True
    ask_nobody()
    return own_host_only(asked_for_only(app))


def ask_nobody() -> None:
    """Gradio fetches what a client names by an address of another server; here it does not."""
    import gradio

    async def refuse(address: str, **_options: object) -> Any:
        raise ValueError(f"this server asks no other, and was told to fetch {address!r}")

    fetching: Any = vars(gradio.processing_utils)["sh"]
    fetching.get = fetching.async_validate_url = refuse


def asked_for_only(app: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/" and not scope["path"].startswith(ADDRESSES):
            return await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
        return await app(scope, receive, send)

    return answer


def own_host_only(app: ASGIApp) -> ASGIApp:
    """`app`, whose pages the browser lets fetch from no other host, and tell none where they are."""
    headers = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(part: Message) -> None:
            if part["type"] == "http.response.start":
                part["headers"] = [*part.get("headers", ()), *headers]
            await send(part)

        await app(scope, receive, send_with_policy)

    return answer
