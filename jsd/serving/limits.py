"""How much a stranger may send to the page, and how much of it is kept."""

from contextlib import suppress
from pathlib import Path

import anyio.to_thread
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from jsd.i18n import _

MAX_UPLOAD_BYTES = 50 * 2**20
MAX_BODY_BYTES = 4 * 2**20  # of what is no upload
MAX_KEPT_BYTES = 2**30  # of all uploads
# Gradio's addresses that take a file.
UPLOADS = ("/gradio_api/upload", "/gradio_api/component_server")


class Limits:
    """`app`, to which nothing too large is sent. Gradio puts uploads into `folder`: there the oldest make room for the
    newest."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app, self.folder = app, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            is_upload = scope["path"].startswith(UPLOADS)
            headers = dict(scope["headers"])
            length, limit = headers.get(b"content-length", b""), MAX_UPLOAD_BYTES if is_upload else MAX_BODY_BYTES
            if not length.isdigit() or b"transfer-encoding" in headers:  # the latter is what counts where both are
                refusal = _("a request must name its length in Content-Length")
                return await JSONResponse({"detail": refusal}, 411)(scope, receive, send)
            if int(length) > limit:
                values = {"limit": limit, "value": int(length)}
                refusal = _("a request must have at most {limit} bytes, and has {value}", **values)
                return await JSONResponse({"detail": refusal}, 413)(scope, receive, send)
            if is_upload:
                await anyio.to_thread.run_sync(make_room, self.folder, MAX_KEPT_BYTES - int(length))
        try:
            return await self.app(scope, receive, send)
        except ClientDisconnect:  # who leaves while a file is on its way needs no answer
            return None


def make_room(folder: Path, max_bytes: int) -> None:
    """Delete the oldest uploads of `folder`, each in a folder of its own, until the rest has at most `max_bytes`. What
    was drawn lies deeper."""
    files = []
    for path in folder.glob("*/*"):
        with suppress(FileNotFoundError):  # another request makes room too
            stat = path.stat()
            if path.is_file():
                files.append((stat.st_mtime, stat.st_size, path))
    total = sum(size_bytes for _time, size_bytes, _path in files)
    for _time, size_bytes, path in sorted(files):
        if total <= max_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size_bytes
