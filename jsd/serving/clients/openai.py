"""OpenAI's images API, as its clients ask for it: /v1/images/generations, /v1/images/edits, /v1/models."""

import json
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from jsd.errors import InvalidInputError, Note
from jsd.i18n import _
from jsd.options import OPTIONS
from jsd.rules import not_one_of, whole_number
from jsd.serving.clients.pictures import transparent_parts
from jsd.serving.clients.requests import Request, read_object, without_effect
from jsd.serving.clients.studio import Drawn, NotDrawn, Studio

# OpenAI's names of our inputs, and back.
INPUTS = {"n": "num_outputs", "output_compression": "output_quality"}
NAMES = {ours: theirs for theirs, ours in INPUTS.items()} | {"width": "size", "height": "size"}
FORMATS = {"png": "png", "webp": "webp", "jpeg": "jpg"}
# What changes no picture: who asks, and how the answer comes.
BESIDE = ("model", "user", "safety_identifier", "moderation", "stream", "partial_images", "response_format")
# What is theirs alone, and its values that ask for nothing in particular.
THEIRS = {"quality": ("auto", "standard"), "background": ("auto", "opaque"), "input_fidelity": ("low",)}
STYLES = ("vivid", "natural")
READ_HERE = (*BESIDE, *THEIRS, "image", "mask", "size", "style", "output_format")
# How a form's texts are read.
FORM = OPTIONS | {name: OPTIONS[ours] for name, ours in INPUTS.items()} | {"partial_images": OPTIONS["num_outputs"]}
SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
MAX_PARTIAL_IMAGES = 3
MAX_FILES = 20


def routes(studio: Studio) -> list[Route]:
    """To be mounted at /v1."""

    async def generations(http: HttpRequest) -> Response:
        return await _draw(studio, http, await read_object(http), "image_generation")

    async def edits(http: HttpRequest) -> Response:
        return await _draw(studio, http, await _read_form(http), "image_edit")

    async def models(http: HttpRequest) -> Response:
        return JSONResponse({"object": "list", "data": [_model(studio)]})

    async def model(http: HttpRequest) -> Response:
        if http.path_params["name"] != studio.model.name:
            raise HTTPException(404, _("this server has the model {name} alone", name=studio.model.name))
        return JSONResponse(_model(studio))

    return [
        Route("/images/generations", generations, methods=["POST"]),
        Route("/images/edits", edits, methods=["POST"]),
        Route("/models", models),
        Route("/models/{name:path}", model),
    ]


def error_body(status_code: int, message: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    kinds = {401: "authentication_error", 429: "rate_limit_error"}
    kind = "server_error" if status_code >= 500 else kinds.get(status_code, "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


async def _draw(studio: Studio, http: HttpRequest, body: Mapping[str, Any], kind: str) -> Response:
    given = {name: value for name, value in body.items() if value is not None}
    # The models of that name answered with addresses unless told otherwise, and their clients look for them.
    usual = ("url", "b64_json") if str(given.get("model", "")).startswith("dall-e") else ("b64_json", "url")
    is_url = _choice(given, "response_format", usual) == "url"

    def read() -> Request:
        return _request(given, studio.model.stands_in_for(given.get("model"), "model"), edits=kind == "image_edit")

    inputs, notes = await studio.prepare(read, NAMES)
    drawing = studio.draw(inputs, notes, http.receive)
    if given.get("stream") in (True, "true"):
        first = await anext(drawing)  # what is refused gets its status, and no stream
        return StreamingResponse(_events(kind, inputs, first, drawing), media_type="text/event-stream")
    drawn = [part async for part in drawing][-1]
    assert isinstance(drawn, Drawn)
    pictures = [
        ({"url": f"data:image/{_format(inputs)};base64,{one}"} if is_url else {"b64_json": one}) | {"seed": seed}
        for one, seed in zip(drawn.pictures, drawn.seeds, strict=True)
    ]
    answer = {"created": int(time.time()), "data": pictures, "model": studio.model.name, "notes": drawn.notes}
    return JSONResponse(answer | _described(inputs) | {"usage": _usage(drawn)})


async def _events(
    kind: str, inputs: Mapping[str, Any], first: str | Drawn, drawing: AsyncIterator[str | Drawn]
) -> AsyncIterator[str]:
    """Server-sent events: the previews, each as it is there, then the pictures."""
    shared = {"created_at": int(time.time()), "quality": "auto", **_described(inputs)}

    def event(name: str, **values: object) -> str:
        content = json.dumps({"type": f"{kind}.{name}", **shared, **values}, ensure_ascii=False)
        return f"event: {kind}.{name}\ndata: {content}\n\n"

    part, num_previews = first, 0
    try:
        while isinstance(part, str):
            # A preview is a PNG, whatever the pictures are.
            preview = {"b64_json": part, "partial_image_index": num_previews, "output_format": "png"}
            yield event("partial_image", **preview)
            part, num_previews = await anext(drawing), num_previews + 1
        for picture, seed in zip(part.pictures, part.seeds, strict=True):
            yield event("completed", b64_json=picture, seed=seed, notes=part.notes, usage=_usage(part))
    except NotDrawn as error:
        yield f"event: error\ndata: {json.dumps(error_body(error.status_code, str(error), _code(error)))}\n\n"


def _request(given: Mapping[str, Any], notes: Sequence[Note], *, edits: bool) -> Request:
    files = [name for name, value in given.items() if name not in READ_HERE and _is_file(value)]
    inputs = {INPUTS.get(name, name): value for name, value in given.items() if name not in (*READ_HERE, *files)}
    inputs |= _size(given.get("size", "auto"))
    inputs["output_format"] = FORMATS[_choice(given, "output_format", tuple(FORMATS))]
    if given.get("background") == "transparent":
        raise not_one_of("background", "transparent", THEIRS["background"])
    ignored = [name for name, usual in THEIRS.items() if name in given and given[name] not in usual]
    ignored += [name for name in ("image", "mask") if name in given and not edits]
    if given.get("style") in STYLES:
        ignored.append("style")
    elif "style" in given:
        inputs["style"] = given["style"]
    num_previews = whole_number("partial_images", given.get("partial_images", 0), 0, MAX_PARTIAL_IMAGES)
    if num_previews > 0:
        rule = OPTIONS["num_inference_steps"]
        inputs["preview_every"] = -(-rule.check(inputs.get(rule.name, rule.default)) // (num_previews + 1))
    image = _file(given, "image") if edits else None
    mask = transparent_parts(_file(given, "mask"), "mask") if edits and "mask" in given else None
    said = (*notes, *(without_effect(name, _("a file") if name in files else given[name]) for name in ignored + files))
    return Request(inputs, image, mask, crops=True, notes=said)


async def _read_form(http: HttpRequest) -> dict[str, Any]:
    """A field that came more than once, or as `name[]`, is a list."""
    found: dict[str, list[Any]] = {}
    async with http.form(max_files=MAX_FILES) as form:
        for name, value in form.multi_items():
            name = name.removesuffix("[]")
            read = (
                await value.read()
                if isinstance(value, UploadFile)
                else FORM[name].parse(value)
                if name in FORM
                else value
            )
            found.setdefault(name, []).append(read)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _is_file(value: object) -> bool:
    return any(isinstance(one, bytes) for one in (value if isinstance(value, list) else [value]))


def _file(given: Mapping[str, Any], name: str) -> bytes:
    content = given.get(name)
    if not isinstance(content, bytes):
        raise InvalidInputError(
            "clients.file",
            "{field} must be one picture file, sent as multipart/form-data, got {value}; send one",
            field=name,
            value="nothing"
            if content is None
            else f"{len(content)} files"
            if isinstance(content, list)
            else repr(content),
        )
    return content


def _size(value: object) -> dict[str, int]:
    if value == "auto":
        return {}
    found = SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidInputError(
            "clients.size",
            "{field} must be auto or WIDTHxHEIGHT, got {value}; write it like 512x512",
            field="size",
            value=repr(value),
        )
    return {"width": int(found[1]), "height": int(found[2])}


def _choice(given: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    """The first of the choices where nothing is asked for."""
    value = given.get(name, choices[0])
    if value not in choices:
        raise not_one_of(name, value, choices)
    return str(value)


def _format(inputs: Mapping[str, Any]) -> str:
    return next(theirs for theirs, ours in FORMATS.items() if ours == inputs["output_format"])


def _described(inputs: Mapping[str, Any]) -> dict[str, Any]:
    size = "x".join(str(inputs["upscale"] * inputs[side]) for side in ("width", "height"))
    return {"output_format": _format(inputs), "size": size, "background": "opaque"}


def _usage(drawn: Drawn) -> dict[str, Any]:
    details = {"image_tokens": 0, "text_tokens": drawn.num_tokens}
    counts = {"input_tokens": drawn.num_tokens, "output_tokens": 0, "total_tokens": drawn.num_tokens}
    return counts | {"input_tokens_details": details}


def _model(studio: Studio) -> dict[str, Any]:
    return {"id": studio.model.name, "object": "model", "created": studio.model.created, "owned_by": "jsd"}


def _code(error: NotDrawn) -> str | None:
    return "moderation_blocked" if error.kind == "UnsafeImagesError" else None


async def answer_error(http: HttpRequest, error: Exception) -> Response:
    match error:
        case InvalidInputError():
            return JSONResponse(error_body(400, str(error), error.code, error.field), 400)
        case NotDrawn():
            body = error_body(error.status_code, str(error), _code(error))
            return JSONResponse(body, error.status_code, headers=error.headers)
        case HTTPException():
            code = "model_not_found" if error.status_code == 404 and "name" in http.path_params else None
            return JSONResponse(
                error_body(error.status_code, error.detail, code), error.status_code, headers=error.headers
            )
    raise error
