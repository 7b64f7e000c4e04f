"""The part of A1111's web UI API that clients call: /sdapi/v1/txt2img, img2img, what they ask before and meanwhile."""

import base64
import json
from collections.abc import Mapping
from io import BytesIO
from time import monotonic
from typing import Any

from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jsd.errors import InvalidInputError
from jsd.images.metadata import PARAMETERS_KEY
from jsd.images.parameters import SAMPLERS
from jsd.options import OPTIONS
from jsd.prompting.styles import STYLES
from jsd.serving.clients.a1111_request import MODEL, NAMES, read_request, read_settings
from jsd.serving.clients.requests import read_object
from jsd.serving.clients.studio import Drawn, NotDrawn, Studio
from jsd.serving.loras import lora_names

# What there is none of.
EMPTY: dict[str, object] = {
    "cmd-flags": {},
    "embeddings": {"loaded": {}, "skipped": {}},
    "face-restorers": [],
    "hypernetworks": [],
    "latent-upscale-modes": [],
    "memory": {"ram": {}, "cuda": {}},
    "realesrgan-models": [],
    "scripts": {"txt2img": [], "img2img": []},
    "sd-vae": [],
    "upscalers": [],
}


def routes(studio: Studio) -> list[Route]:
    """To be mounted at /sdapi/v1."""

    async def txt2img(http: HttpRequest) -> Response:
        return await _draw(studio, http, await read_object(http), has_image=False)

    async def img2img(http: HttpRequest) -> Response:
        return await _draw(studio, http, await read_object(http), has_image=True)

    async def progress(http: HttpRequest) -> Response:
        return JSONResponse(_progress(studio, wants_image=http.query_params.get("skip_current_image") != "true"))

    async def interrupt(http: HttpRequest) -> Response:
        await studio.cancel()
        return JSONResponse({})

    async def options(http: HttpRequest) -> Response:
        return JSONResponse({MODEL: studio.model.name, "samples_format": "png", "sd_vae": "Automatic"})

    async def set_options(http: HttpRequest) -> Response:
        notes = read_settings(await read_object(http), studio.model)
        return JSONResponse({"notes": [str(note) for note in notes]} if notes else None)

    async def nothing(http: HttpRequest) -> Response:
        return JSONResponse(None)

    lists: dict[str, object] = EMPTY | {
        "sd-models": [_model(studio)],
        "samplers": [{"name": name, "aliases": [ours], "options": {}} for ours, name in SAMPLERS.items()],
        "schedulers": [{"name": name.lower(), "label": name, "aliases": None} for name in ("Automatic", "Karras")],
        "prompt-styles": [
            {"name": name, "prompt": STYLES[name], "negative_prompt": ""} for name in studio.model.styles
        ],
    }

    async def listed(http: HttpRequest) -> Response:
        if http.path_params["name"] not in lists:
            raise HTTPException(404)
        return JSONResponse(lists[http.path_params["name"]])

    async def loras(http: HttpRequest) -> Response:
        names = [name.removesuffix(".safetensors") for name in lora_names()]
        return JSONResponse([{"name": name, "alias": name, "path": name, "metadata": {}} for name in names])

    return [
        Route("/txt2img", txt2img, methods=["POST"]),
        Route("/img2img", img2img, methods=["POST"]),
        Route("/progress", progress),
        Route("/interrupt", interrupt, methods=["POST"]),
        Route("/skip", interrupt, methods=["POST"]),
        Route("/options", options),
        Route("/options", set_options, methods=["POST"]),
        *(Route(f"/refresh-{name}", nothing, methods=["POST"]) for name in ("checkpoints", "loras")),
        Route("/loras", loras),
        Route("/{name}", listed),
    ]


async def _draw(studio: Studio, http: HttpRequest, body: dict[str, Any], *, has_image: bool) -> Response:
    inputs, notes = await studio.prepare(lambda: read_request(body, studio.model, has_image=has_image), NAMES)
    try:
        parts = [part async for part in studio.draw(inputs, notes, http.receive)]
    except NotDrawn as error:
        if error.kind != "canceled":
            raise
        parts = [Drawn(pictures=[], seeds=[], notes=[*notes, str(error)], num_tokens=0)]
    drawn = parts[-1]
    assert isinstance(drawn, Drawn)
    hides = () if body.get("include_init_images") else ("init_images", "mask")
    return JSONResponse(
        {
            "images": [] if body.get("send_images") is False else drawn.pictures,
            "parameters": {name: None if name in hides else value for name, value in body.items()},
            "info": json.dumps(_info(studio, inputs, drawn), ensure_ascii=False),
        }
    )


def _progress(studio: Studio, *, wants_image: bool) -> dict[str, Any]:
    drawing = next(iter(studio.under_way.values()), None)
    step, num_steps = (0, 0) if drawing is None else (drawing.step, drawing.num_steps)
    progress = step / max(1, num_steps)
    seconds = 0.0 if drawing is None or step == 0 else (monotonic() - drawing.began) * (1 / progress - 1)
    state = {
        "skipped": False,
        "interrupted": False,
        "job": "" if drawing is None else "txt2img",
        "job_count": len(studio.under_way),
        "job_no": 0,
        "sampling_step": step,
        "sampling_steps": num_steps,
    }
    image = drawing.preview if drawing is not None and wants_image else None
    return {"progress": progress, "eta_relative": seconds, "state": state, "current_image": image, "textinfo": None}


def _info(studio: Studio, inputs: Mapping[str, Any], drawn: Drawn) -> dict[str, Any]:
    """As the web UI describes what it drew, with our notes."""
    negative, texts = inputs.get("negative_prompt", ""), list(map(_parameters, drawn.pictures))
    return {
        "prompt": inputs["prompt"],
        "all_prompts": [inputs["prompt"]] * len(drawn.seeds),
        "negative_prompt": negative,
        "all_negative_prompts": [negative] * len(drawn.seeds),
        "seed": drawn.seeds[0] if drawn.seeds else -1,
        "all_seeds": drawn.seeds,
        **{side: inputs["upscale"] * inputs[side] for side in ("width", "height")},
        "sampler_name": SAMPLERS[inputs.get("scheduler", OPTIONS["scheduler"].default)],
        "cfg_scale": inputs.get("guidance_scale", studio.model.guidance_scale),
        "steps": inputs.get("num_inference_steps", OPTIONS["num_inference_steps"].default),
        "batch_size": len(drawn.seeds),
        "denoising_strength": inputs.get("prompt_strength"),
        "sd_model_name": studio.model.name,
        "styles": [inputs["style"]] if "style" in inputs else [],
        "infotexts": texts,
        "notes": drawn.notes,
    }


def _parameters(picture: str) -> str:
    with Image.open(BytesIO(base64.b64decode(picture))) as image:
        return str(image.info.get(PARAMETERS_KEY, ""))


def _model(studio: Studio) -> dict[str, Any]:
    name = studio.model.name
    return {"title": name, "model_name": name, "hash": None, "sha256": None, "filename": name, "config": None}


async def answer_error(http: HttpRequest, error: Exception) -> Response:
    status = 422 if isinstance(error, InvalidInputError) else getattr(error, "status_code", 500)
    detail = getattr(error, "detail", str(error))
    body = {"error": type(error).__name__, "detail": detail, "body": "", "errors": detail}
    return JSONResponse(body, status, headers=getattr(error, "headers", None))
