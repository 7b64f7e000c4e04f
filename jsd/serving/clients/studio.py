"""What the clients' APIs draw with: the server's own predictions, asked for within its process, in Cog's words."""

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from time import monotonic
from typing import Any
from uuid import uuid4

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope

from jsd.errors import Note
from jsd.i18n import _
from jsd.models.folder import ModelFolder
from jsd.prompting.styles import readable_styles
from jsd.serving.clients.requests import Request, prepare
from jsd.sizes import SizeLimits

# Of the bar that the predictor logs: steps done, and all.
STEPS = re.compile(r"\b(\d+)/(\d+) \[")
# Of a prediction's error: what Cog puts before our own words, the class last.
REASON = re.compile(r"\b(\w+Error): (.*)", re.DOTALL)
# By its class, what was asked for is wrong; of others the server is at fault.
ASKED_WRONGLY = ("InvalidInputError", "ImageFileError", "UnsafeImagesError", "MissingExtraError")


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    name: str
    limits: SizeLimits
    guidance_scale: float  # of requests that name none
    upscale: int  # of them too
    styles: tuple[str, ...]  # that it draws
    created: int  # seconds since 1970

    @classmethod
    def of_folder(cls, folder: ModelFolder) -> "ServedModel":
        path = folder.path.resolve()
        created = int((path / "unet").stat().st_mtime)
        return cls(
            name=path.name,
            limits=folder.size_limits,
            guidance_scale=folder.guidance_scale,
            upscale=folder.upscale,
            styles=tuple(readable_styles(folder.tokenizer)),
            created=created,
        )

    def stands_in_for(self, name: object, field: str) -> list[Note]:
        """What is said where another model was asked for."""
        if name in (None, "", self.name):
            return []
        said = {"field": field, "value": repr(name), "model": self.name}
        return [Note("clients.model", "{field}: {value} is not on this server; {model} drew instead", **said)]


class NotDrawn(Exception):
    """Why there is no picture; `status_code` is that of an answer."""

    def __init__(self, status_code: int, message: str, *, kind: str = "", retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.kind = kind  # the class of the error, where the predictor raised one
        self.headers = {} if retry_after is None else {"retry-after": retry_after}


@dataclass(frozen=True, kw_only=True)
class Drawn:
    pictures: list[str]  # base64
    seeds: list[int]
    notes: list[str]
    num_tokens: int


@dataclass
class Drawing:
    """One that waits for its turn, or is drawn."""

    began: float = 0.0  # by the clock `monotonic`
    step: int = 0
    num_steps: int = 0
    preview: str | None = None  # the latest, base64


class Studio:
    """`app` answers Cog's paths. What is under way was asked for here."""

    def __init__(self, app: ASGIApp, model: ServedModel) -> None:
        self.app = app
        self.model = model
        self.under_way: dict[str, Drawing] = {}  # the first is the one that is drawn
        self._asking: set[asyncio.Task[None]] = set()  # the loop keeps no tasks
        self._preparing = asyncio.Semaphore(1)  # an opened picture may take half a gigabyte

    async def prepare(self, read: Callable[[], Request], names: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
        """What `jsd.serving.clients.requests.prepare` makes of what `read` gives, in a thread, one after the other."""
        async with self._preparing:
            model = self.model
            return await run_in_threadpool(lambda: prepare(read(), model.limits, model.upscale, model.styles, names))

    async def draw(
        self, inputs: Mapping[str, Any], notes: list[str], receive: Receive | None = None
    ) -> AsyncIterator[str | Drawn]:
        """Each preview in base64, then what was drawn; NotDrawn where nothing was. It ends where `receive` says that
        its client has gone. `inputs` name width, height and upscale; `notes` are put before the prediction's own."""
        name = f"client-{uuid4().hex}"
        drawing = self.under_way[name] = Drawing()
        answer = _Answer()
        asking = asyncio.create_task(self._ask("/predictions", {"id": name, "input": inputs}, answer, receive))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        asking.add_done_callback(lambda _task: answer.end())
        pictures: list[str] = []
        completed: dict[str, Any] | None = None
        try:
            async for event, data in answer.events():
                if event == "output":
                    picture = data["chunk"].partition(";base64,")[2]
                    if _height(picture) == inputs["upscale"] * inputs["height"]:
                        pictures.append(picture)
                    else:
                        drawing.preview = picture
                        yield picture
                elif event == "log" and (steps := STEPS.findall(data["data"])):
                    if drawing.num_steps == 0:
                        drawing.began = monotonic()
                    drawing.step, drawing.num_steps = map(int, steps[-1])
                elif event == "completed":
                    completed = data
            await asking  # which may have failed
            if completed is None:
                raise answer.refusal()
            yield _drawn(completed, pictures, notes)
        except HTTPException as error:
            raise NotDrawn(error.status_code, error.detail) from error
        finally:
            # Not cancelled: what it asks must close its own connections, and does where its client goes.
            answer.is_unheard.set()
            del self.under_way[name]

    async def cancel(self) -> None:
        """Stop the one that is drawn."""
        for name in list(self.under_way)[:1]:
            await self._ask(f"/predictions/{name}/cancel", {}, _Answer(), None)

    async def _ask(self, path: str, body: Mapping[str, Any], answer: "_Answer", receive: Receive | None) -> None:
        content = json.dumps(body).encode()
        has_been_read = False

        async def read() -> Message:
            nonlocal has_been_read
            if not has_been_read:
                has_been_read = True
                return {"type": "http.request", "body": content, "more_body": False}
            ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(answer.is_unheard.wait())]
            if receive is not None:
                ends.append(asyncio.ensure_future(receive()))
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
            return {"type": "http.disconnect"}

        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json"), (b"accept", b"text/event-stream")],
            "client": None,
            "server": None,
        }
        await self.app(scope, read, answer.send)


class _Answer:
    """What comes back: server-sent events, or a refusal in JSON."""

    def __init__(self) -> None:
        self.status_code = 499  # as nginx has it: nobody is left who asks
        self.headers: dict[str, str] = {}
        self.text = b""
        self.is_unheard = asyncio.Event()
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status_code = message["status"]
            self.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            self._parts.put_nowait(message.get("body", b""))

    def end(self) -> None:
        self._parts.put_nowait(None)

    async def events(self) -> AsyncIterator[tuple[str, Any]]:
        event = ""
        while (part := await self._parts.get()) is not None:
            self.text += part
            *lines, self.text = self.text.split(b"\n")
            for line in lines:
                field, _colon, value = line.decode().rstrip("\r").partition(": ")
                if field == "event":
                    event = value
                elif field == "data":
                    yield event, json.loads(value)

    def refusal(self) -> NotDrawn:
        try:
            said: Any = json.loads(self.text)
        except ValueError:
            said = {}
        if "status" in said:  # an answer of Cog's without a stream: canceled, or failed, before it began
            return _failure(said)
        detail = said.get("detail", _("the server gave no answer; send the request again"))
        if isinstance(detail, list):
            detail = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in detail)
        status = self.status_code if self.status_code >= 400 else 500
        return NotDrawn(status, str(detail), retry_after=self.headers.get("retry-after"))


def _drawn(answer: Mapping[str, Any], pictures: list[str], notes: list[str]) -> Drawn:
    if answer["status"] != "succeeded":
        raise _failure(answer)
    metrics = answer["metrics"]
    withheld = metrics.get("withheld", [])
    missing = [one["seed"] for one in withheld]
    said = [*notes, *metrics.get("warnings", []), *(one["message"] for one in withheld)]
    return Drawn(
        pictures=pictures,
        seeds=[seed for seed in metrics["seeds"] if seed not in missing],
        notes=list(dict.fromkeys(said)),
        num_tokens=metrics.get("tokens", {}).get("used", 0),
    )


def _failure(answer: Mapping[str, Any]) -> NotDrawn:
    if answer["status"] == "canceled":
        return NotDrawn(499, _("the drawing was stopped before its end"), kind="canceled")
    found = REASON.search(str(answer.get("error")))
    if found is None:  # of the server, not of the predictor
        return NotDrawn(503, str(answer.get("error")))
    return NotDrawn(400 if found[1] in ASKED_WRONGLY else 500, found[2], kind=found[1])


def _height(picture: str) -> int:
    with Image.open(BytesIO(base64.b64decode(picture))) as image:
        return image.height
