"""A request for a prediction: what the front reads of it, and hands on to Cog."""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from typing import Any
from uuid import uuid4

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.options import OPTIONS, SamplingOptions
from jsd.prompting.tokenizer import printable
from jsd.rules import MAX_NAME, whole_number
from jsd.serving.loras import served_loras
from jsd.serving.pictures import check_address
from jsd.serving.settings import NOTES
from jsd.strictness import check_strict

MAX_BODY_BYTES, MAX_HELD_BYTES = 100 * 2**20, 2**30  # of a request, and of all together
RETRY_SECONDS = 10
MAX_UNKNOWN = 20  # of inputs that are none
MAX_PREVIEW_EVERY = 500
# Cog's server makes a folder of this name, and loses its slot where it cannot.
ID = re.compile(r"(?!\.+$)[A-Za-z0-9._-]{1,128}")
# Names that other programs have for our inputs.
SYNONYMS = {
    **dict.fromkeys(["cfg_scale", "cfg", "guidance"], "guidance_scale"),
    **dict.fromkeys(["steps", "num_steps", "sampling_steps", "ddim_steps"], "num_inference_steps"),
    **dict.fromkeys(["init_image", "input_image", "image_url"], "image"),
    **dict.fromkeys(["strength", "denoising_strength"], "prompt_strength"),
    **dict.fromkeys(["n", "num_images", "num_images_per_prompt", "samples", "batch_size", "n_iter"], "num_outputs"),
    **dict.fromkeys(["sampler", "sampler_name", "sampler_index"], "scheduler"),
    **dict.fromkeys(["negative", "neg_prompt"], "negative_prompt"),
    **dict.fromkeys(["format", "output_type"], "output_format"),
    **dict.fromkeys(["safety_checker", "enable_safety_checker"], "disable_safety_checker"),
    "mask_image": "mask",
    "quality": "output_quality",
    "text": "prompt",
}


INPUTS = (*OPTIONS, "preview_every")
EVENTS = ("start", "output", "logs", "completed")  # that a webhook may ask for
UNSET = dict.fromkeys(("image", "mask"), (None, ""))  # tools with forms send an empty text for a picture that is none


class Bounded:
    """`app`, for requests of a size that the memory has room for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.held_bytes = 0  # of all that are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            self.held_bytes += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise HTTPException(413, _("a request may have {limit} MiB", limit=MAX_BODY_BYTES // 2**20))
            if self.held_bytes > MAX_HELD_BYTES:
                said = _("too many requests wait; come again in {seconds} seconds", seconds=RETRY_SECONDS)
                raise HTTPException(429, said, {"retry-after": str(RETRY_SECONDS)})
            return message

        try:
            with suppress(ClientDisconnect):  # who leaves while the body is on its way needs no answer
                await self.app(scope, counted, send)
        finally:
            self.held_bytes -= size


class BadRequest(Exception):
    """`detail` is as Cog's server says what is wrong with a request."""

    def __init__(self, message: str, *loc: str) -> None:
        super().__init__(message)
        self.detail = [{"loc": ["body", *loc], "msg": message, "type": "value_error"}]


@dataclass(frozen=True)
class PredictionRequest:
    id: str
    body: bytes  # for Cog, as the headers
    headers: dict[str, str]
    webhook: str | None
    hears_of_the_end: str | None  # the webhook, where it asks for that event
    wants_events: bool
    wants_no_answer: bool  # but to ask for it later


def read_request(
    content: bytes, headers: Mapping[str, str], named: str | None = None, told: Callable[[str], str] | None = None
) -> PredictionRequest:
    """`named`: the id in the request's path; `told`: the address that Cog is told for a webhook. BadRequest where it
    cannot be handed on."""
    body = _object(content, "the body") if content.strip() else {}
    body = {name: value for name, value in body.items() if (name, value) != ("webhook_events_filter", None)}
    prediction_id = named if body.get("id") is None else body["id"]
    if named is not None and prediction_id != named:
        raise BadRequest("the id in the body must be that of the address", "id")
    if prediction_id is None:
        prediction_id = f"pred_{uuid4().hex}"
    if not isinstance(prediction_id, str) or ID.fullmatch(prediction_id) is None:
        raise BadRequest(f"an id must be 1 to 128 letters, digits, '.', '_' or '-', got {prediction_id!r:.200}", "id")
    inputs = {} if body.get("input") is None else body["input"]
    if not isinstance(inputs, dict):
        raise BadRequest(f"input must be an object, got {type(inputs).__name__}", "input")
    kept = {name: value for name, value in inputs.items() if name in INPUTS and value not in UNSET.get(name, (None,))}
    _check(dict(kept))
    _check_beside(body)
    notes = [
        _unknown(printable(name[:MAX_NAME]))
        for name in islice((one for one in inputs if one not in INPUTS), MAX_UNKNOWN)
    ]
    context = {**(body.get("context") or {}), NOTES: json.dumps(notes)}
    webhook = body.get("webhook")
    if webhook is not None and told is not None:
        body = {**body, "webhook": told(webhook)}
    passed = {
        name: headers[name] for name in ("accept", "traceparent", "tracestate") if headers.get(name, "é").isascii()
    }
    return PredictionRequest(
        id=prediction_id,
        body=_written({**body, "id": prediction_id, "input": kept, "context": context}),
        headers={"content-type": "application/json", **passed},
        webhook=webhook,
        hears_of_the_end=webhook if "completed" in body.get("webhook_events_filter", EVENTS) else None,
        wants_events="text/event-stream" in headers.get("accept", ""),
        wants_no_answer="respond-async" in headers.get("prefer", ""),
    )


def _check(given: dict[str, Any]) -> None:
    """All that can be known without model and pictures, before the request has waited in vain; the worker checks once
    more."""
    loras, preview_every = given.pop("loras", ""), given.pop("preview_every", 0)
    try:
        for name in ("image", "mask"):
            if name in given:
                check_address(given[name], name)
        check_strict(SamplingOptions(**{"prompt": "", **given}))
        whole_number("preview_every", preview_every, 0, MAX_PREVIEW_EVERY)
        served_loras(replace(OPTIONS["prompt"], name="loras").check(loras))
    except InvalidInputError as error:
        raise BadRequest(str(error), "input", error.field) from error


def _check_beside(body: Mapping[str, object]) -> None:
    """What Cog's server would refuse only in its turn, or find out when nobody listens any more."""
    webhook, context, wanted = body.get("webhook"), body.get("context"), body.get("webhook_events_filter", [])
    if not isinstance(wanted, list) or not all(one in EVENTS for one in wanted):
        raise BadRequest(
            f"webhook_events_filter must be a list of {', '.join(EVENTS)}, got {wanted!r:.200}", "webhook_events_filter"
        )
    if webhook is not None and not _is_address(webhook):
        raise BadRequest(f"webhook must be an https:// or http:// address, got {webhook!r:.200}", "webhook")
    is_texts = isinstance(context, dict) and all(isinstance(text, str) for text in context.values())
    if context is not None and not is_texts:
        raise BadRequest("context must be an object of texts", "context")


def _is_address(webhook: object) -> bool:
    if not (isinstance(webhook, str) and webhook.startswith(("https://", "http://")) and webhook.isprintable()):
        return False
    try:
        return httpx.URL(webhook).host != ""
    except httpx.InvalidURL:
        return False


def _written(body: Mapping[str, object]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise BadRequest(f"the body must be Unicode text, not too deeply nested: {error}") from error


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{what} must be JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequest(f'{what} must be an object like {{"input": {{"prompt": "桜"}}}}, got {type(value).__name__}')
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON's")


def _unknown(name: str) -> str:
    """What is said of an input that Cog drops in silence."""
    near = SYNONYMS.get(name) or next(iter(get_close_matches(name, INPUTS, n=1)), None)
    if near is None:
        return _("{field} is no input of this model, and changed nothing", field=name)
    return _("{field} is no input of this model, and changed nothing; did you mean {near}?", field=name, near=near)
