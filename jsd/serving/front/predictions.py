"""Predictions on their way through the front: in the line, with Cog, or kept for a client that asks later."""

import asyncio
import json
import logging
import re
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import httpx

from jsd.i18n import _
from jsd.serving.cog_server import CogServer
from jsd.serving.front.events import Events
from jsd.serving.front.figures import Figures
from jsd.serving.front.line import Line, Refused
from jsd.serving.front.requests import MAX_HELD_BYTES, PredictionRequest
from jsd.serving.front.webhooks import post
from jsd.serving.pictures import COG_FOLDERS

# Of predictions that nobody waited for: how many, how long and how much is kept.
KEPT_ANSWERS, KEPT_SECONDS, KEPT_BYTES = 100, 3600.0, 256 * 2**20
# In Cog's answers, and in the last event of a stream.
STATUS = re.compile(rb'"status"\s*:\s*"(\w+)"')
TAIL_BYTES = 4096
CLOSING_SECONDS = 3
# Between two tries to cancel.
CANCEL_SECONDS = 0.02
# What Cog's server says where its worker or its slot is lost, not where a request is wrong.
LOST = ("Worker crashed", "Failed to send request", "Failed to create", "Failed to build", "Permit not")

logger = logging.getLogger("jsd.serve")
Result = TypeVar("Result")


class Canceled(Exception):
    """By a client's request."""


class Lost(Exception):
    """Cog's server cannot begin the prediction, or has ended under it: what is said to the client."""


@dataclass(frozen=True)
class Answer:
    status_code: int
    content: bytes

    @classmethod
    def of(cls, status_code: int, **content: object) -> "Answer":
        return cls(status_code, json.dumps(content, ensure_ascii=False).encode())


@dataclass
class Prediction:
    """One that waits or is drawn; who sets `stop` ends it."""

    request: PredictionRequest
    status: str = "starting"
    stop: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def end(self, reason: Exception) -> None:
        if not self.stop.done():
            self.stop.set_exception(reason)
            self.stop.exception()  # seen, should nobody be left who waits


class Predictions:
    def __init__(self, server: CogServer, line: Line, figures: Figures, *, of_strangers: bool = False) -> None:
        """`of_strangers`: their webhooks shall not reach into this machine's networks."""
        self.of_strangers = of_strangers
        self.server = server
        self.line = line
        self.figures = figures
        self.under_way: dict[str, Prediction] = {}
        self.kept: OrderedDict[str, tuple[float, Answer]] = OrderedDict()
        self._unattended: set[asyncio.Task[None]] = set()
        self._was_cut = False  # the last prediction, so that Cog may still be in a step of it

    def begin(self, request: PredictionRequest) -> Prediction:
        held_bytes = sum(len(one.request.body) for one in self.under_way.values()) + len(request.body)
        # One is drawn, and some may not have come to the line yet.
        if len(self.under_way) > self.line.length or held_bytes > MAX_HELD_BYTES:
            raise self.line.refusal("full")
        self.kept.pop(request.id, None)  # the answer of an earlier one
        prediction = self.under_way[request.id] = Prediction(request)
        return prediction

    def state(self, prediction_id: str) -> Answer | None:
        """What is known of it."""
        self._forget()
        if prediction_id in self.under_way:
            return Answer.of(200, id=prediction_id, status=self.under_way[prediction_id].status)
        return self.kept[prediction_id][1] if prediction_id in self.kept else None

    async def cancel(self, prediction_id: str) -> Answer:
        while (prediction := self.under_way.get(prediction_id)) is not None:
            if prediction.status == "starting":
                prediction.end(Canceled())
                return Answer.of(200)
            with suppress(httpx.HTTPError):  # of a server that is started anew
                response = await self.server.client.post(f"/predictions/{prediction_id}/cancel")
                if response.status_code != 404:
                    return Answer(response.status_code, response.content)
            await asyncio.sleep(CANCEL_SECONDS)  # it was just sent, or was cancelled before
        return Answer.of(404)

    async def draw(self, prediction: Prediction, events: Events | None = None) -> Answer:
        """Cog's answer; what comes as `events` is sent meanwhile. Refused, or Gone, where there is none."""
        try:
            async with self._with_cog(prediction) as response:
                answer = await _unless(prediction.stop, _read(response, events))
        except (Canceled, Lost) as reason:
            answer = self._told(prediction.request, _ended(prediction, reason))
        answer = self._explained(answer)
        self._count(prediction, answer.content)
        return answer

    def draw_unattended(self, prediction: Prediction) -> Answer:
        """Begin, and keep the answer for who asks for it."""

        async def keep() -> None:
            try:
                answer = await self.draw(prediction)
            except Refused as refused:
                error = _("no turn within {seconds} seconds", seconds=self.line.wait_seconds)
                self.figures.refused.labels(refused.reason).inc()
                failed = Answer.of(200, id=prediction.request.id, status="failed", error=error, logs="", metrics={})
                answer = self._told(prediction.request, failed)
            self.kept[prediction.request.id] = (monotonic(), answer)
            self._forget()

        self._go_on(keep())
        return Answer.of(202, id=prediction.request.id, status="starting")

    async def close(self) -> None:
        """End what is under way, and tell who listens of it."""
        for prediction in list(self.under_way.values()):
            prediction.end(Lost(_("the server is ending")))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                while self._unattended:
                    await asyncio.wait(self._unattended)

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._unattended.add(task)
        task.add_done_callback(self._unattended.discard)

    def _told(self, request: PredictionRequest, answer: Answer) -> Answer:
        """`answer`, of which Cog knows nothing, told to the webhook too."""

        async def tell(url: str) -> None:
            await post(url, answer.content, "application/json", of_strangers=self.of_strangers)

        if request.hears_of_the_end is not None:
            self._go_on(tell(request.hears_of_the_end))
        return answer

    @asynccontextmanager
    async def _with_cog(self, prediction: Prediction) -> AsyncIterator[httpx.Response]:
        """Cog's open answer, in the prediction's turn."""
        request, came = prediction.request, monotonic()
        folders = COG_FOLDERS / request.id
        try:
            await _unless(prediction.stop, self.line.enter())
            began = monotonic()
            self.figures.waiting_seconds.observe(began - came)
            try:
                _make_folders(folders)
                response = await _unless(prediction.stop, self._send(prediction))
                try:
                    yield response
                    self._was_cut = False
                finally:
                    await response.aclose()
            except httpx.HTTPError as error:
                raise lost(str(error) or type(error).__name__) from error
            finally:
                self.line.leave()
                self.figures.drawing_seconds.observe(monotonic() - began)
                shutil.rmtree(folders, ignore_errors=True)
        finally:
            del self.under_way[request.id]

    async def _send(self, prediction: Prediction) -> httpx.Response:
        request = prediction.request
        while True:
            try:
                async with asyncio.timeout(self.line.wait_seconds):
                    await self.server.wait_until_free(was_cut=self._was_cut)
            except TimeoutError as error:
                raise self.line.refusal("late") from error
            prediction.status = "processing"
            self._was_cut = True
            sent = self.server.client.build_request(
                "POST", "/predictions", content=request.body, headers=request.headers
            )
            response = await self.server.client.send(sent, stream=True)
            if response.status_code != 409:  # free, it said
                return response
            await response.aclose()

    def _explained(self, answer: Answer) -> Answer:
        """What the client shall do where Cog's server has lost its worker; another is on its way."""
        if _status(answer.content) != "failed":
            return answer
        said = json.loads(answer.content)
        if not str(said.get("error", "")).startswith(LOST):
            return answer
        self.server.restart(said["error"])
        return Answer.of(answer.status_code, **{**said, "error": str(lost(said["error"]))})

    def _count(self, prediction: Prediction, content: bytes) -> None:
        status = _status(content)
        self.figures.predictions.labels(status).inc()
        logger.info("%s %s", prediction.request.id, status)

    def _forget(self) -> None:
        """What was kept too long, or is too much."""
        size = sum(len(answer.content) for _, answer in self.kept.values())
        while self.kept:
            since, answer = next(iter(self.kept.values()))
            if len(self.kept) <= KEPT_ANSWERS and size <= KEPT_BYTES and monotonic() - since <= KEPT_SECONDS:
                return
            self.kept.popitem(last=False)
            size -= len(answer.content)


async def _read(response: httpx.Response, events: Events | None) -> Answer:
    kind = response.headers.get("content-type", "")
    if events is not None and kind.startswith("text/event-stream"):
        content = await events.take(response)
        if content == b"":
            raise lost("its events ended")
        return Answer(200, content)
    content = await response.aread()
    if "json" in kind:
        return Answer(response.status_code, content)
    return Answer.of(response.status_code, detail=response.text)  # of a body that it cannot read


async def _unless(stop: "asyncio.Future[None]", work: Awaitable[Result]) -> Result:
    """`work`, unless `stop` comes first: its exception then."""
    task = asyncio.ensure_future(work)
    either: list[asyncio.Future[Any]] = [task, stop]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            stop.result()
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _status(content: bytes) -> str:
    """Of the prediction: Cog's word for it, or "invalid" where there was none."""
    found = STATUS.findall(content[-TAIL_BYTES:])
    return found[-1].decode() if found else "invalid"


def _ended(prediction: Prediction, reason: Canceled | Lost) -> Answer:
    """In the form of Cog's answers."""
    said = {"status": "failed", "error": str(reason)} if isinstance(reason, Lost) else {"status": "canceled"}
    return Answer.of(200, id=prediction.request.id, logs="", metrics={}, **said)


def lost(reason: str) -> Lost:
    return Lost(_("Cog's server lost the prediction ({reason}) and is started anew; send it again", reason=reason))


def _make_folders(folder: Path) -> None:
    """As Cog's server does, which loses its slot where it cannot."""
    try:
        for name in ("inputs", "outputs"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = {"folder": folder.parent, "reason": error.strerror}
        raise Lost(
            _("Cog's server needs a place in {folder}: {reason}; make room there and try again", **said)
        ) from error
