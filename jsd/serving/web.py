"""`jsd web`: one process, one model, the page at an address of this machine, and nothing fetched from any other."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jsd.errors import MissingExtraError
from jsd.i18n import _
from jsd.lean import load_alone
from jsd.models.folder import choose_folder
from jsd.serving.address import check_address

DEFAULT_PORT = 7860
MAX_UPLOAD_BYTES = 50 * 2**20
# A page left open holds a connection for ever; Ctrl+C waits no longer than this for it.
SHUTDOWN_SECONDS = 2
# Gradio's frontend writes styles and scripts into the page; where they come from is what matters here.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'; base-uri 'self'"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]


def serve(
    host: str, port: int, *, weights: Path | None = None, device: str | None = None, dtype: str | None = None
) -> None:
    """Answer until interrupted."""
    check_address(host, port, default=DEFAULT_PORT)
    # Both are read while Gradio is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import uvicorn

        from jsd.serving.page import Page
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("gradio", "uvicorn"):
            raise
        raise MissingExtraError("gradio", "web") from error
    with TemporaryDirectory(prefix="jsd-web-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # uploads and pictures: they go when the server does
        chosen = choose_folder(weights)
        pipeline = load_alone(chosen, device, dtype)
        print(*pipeline.introduction(chosen.reason), sep="\n")
        app = build_app(Page(pipeline))
        print(
            _("the page is at {url} ; Ctrl+C ends it", url=f"http://{f'[{host}]' if ':' in host else host}:{port}"),
            flush=True,
        )
        uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_SECONDS)


def build_app(page: Any) -> AsgiApp:
    import gradio
    from fastapi import FastAPI

    from jsd.serving.page import STYLE, theme

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gradio.mount_gradio_app(
        app,
        page.blocks,
        path="/",
        theme=theme(),
        css=STYLE,
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
    return own_host_only(app)


def own_host_only(app: AsgiApp) -> AsgiApp:
    """`app`, whose pages the browser lets fetch from no other host, and tell none where they are."""
    headers = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_policy(part: Message) -> None:
            if part["type"] == "http.response.start":
                part["headers"] = [*part.get("headers", ()), *headers]
            await send(part)

        await app(scope, receive, send_with_policy)

    return answer
