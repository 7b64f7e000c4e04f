"""Requests of clients in the form that the predictor takes; what the model cannot draw never reaches it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest

from jsd.errors import InvalidInputError, Note
from jsd.i18n import _
from jsd.images import load_image, load_mask
from jsd.inputs import load_inputs, shrink_mask
from jsd.options import OPTIONS, SamplingOptions
from jsd.prompting.styles import check_style
from jsd.serving.clients.pictures import middle, to_base64
from jsd.serving.loras import served_loras
from jsd.sizes import SizeLimits
from jsd.strictness import check_strict


@dataclass(frozen=True)
class Request:
    """`inputs` are the predictor's, but for the pictures."""

    inputs: Mapping[str, Any]
    image: bytes | None = None
    mask: Image.Image | None = None  # white is repainted
    crops: bool = False  # the picture to the shape of width and height, which else stretches it
    notes: tuple[Note, ...] = ()


def prepare(
    request: Request, limits: SizeLimits, upscale: int, styles: Sequence[str], names: Mapping[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """The predictor's inputs, width, height and upscale among them, and what is to be said of them. The size that a
    client asks for is that of the picture it gets; `upscale` is of requests that name none; `styles` are the model's.

    InvalidInputError where the model would refuse them, by the client's own `names` of our inputs.
    """
    try:
        check_style(styles, request.inputs.get("style", ""))
        return _prepare(request, limits, upscale)
    except InvalidInputError as error:
        error.params["field"] = names.get(error.field, error.field)
        raise


def _prepare(request: Request, limits: SizeLimits, upscale: int) -> tuple[dict[str, Any], list[str]]:
    values = {name: value for name, value in request.inputs.items() if name in OPTIONS and name != "loras"}
    loras = request.inputs.get("loras", "")
    if not isinstance(loras, str):
        loras = ",".join(OPTIONS["loras"].check(loras))
    served_loras(loras)
    notes = list(request.notes)
    width, height = (OPTIONS[side].check(values.get(side)) for side in ("width", "height"))
    asked = OPTIONS["upscale"].check(values.get("upscale"))
    upscale = upscale if asked is None else asked
    if (width, height) != (None, None):
        whole = tuple(upscale * side for side in limits.default)  # of one side alone the other is the model's own
        width, height = width or whole[0], height or whole[1]
        # Who asks for no enlargement asks for a size that clients send unasked, and not for more than is drawn well.
        max_area = limits.trained_area if asked is None and upscale > 1 else limits.max_area
        size = limits.nearest(max(1, round(width / upscale)), max(1, round(height / upscale)), max_area)
        if (upscale * size[0], upscale * size[1]) != (width, height):
            notes.append(_fitted((width, height), size, limits, upscale, max_area))
        values |= dict(zip(("width", "height"), size, strict=True))
    image, mask, cropped = _pictures(request, values)
    values |= {name: picture for name, picture in (("image", image), ("mask", mask)) if picture is not None}
    options = SamplingOptions(**{"prompt": None, **values})
    check_strict(options)
    drawn = load_inputs(options, limits, upscale)
    inputs = {**request.inputs, "loras": loras, "upscale": upscale}
    inputs |= {"width": drawn.size[0], "height": drawn.size[1]}
    finished = upscale * drawn.size[0], upscale * drawn.size[1]
    # What a mask keeps comes back with all these pixels; more of them reach no picture.
    if image is not None and (image.width > finished[0] or image.height > finished[1]):
        mask = None if mask is None else shrink_mask(load_mask(mask), finished)
        image = image.resize(finished, Image.Resampling.LANCZOS)
    sent = {name: one for name, one in (("image", image), ("mask", mask)) if one is not None}
    inputs |= {name: f"data:image/png;base64,{to_base64(one)}" for name, one in sent.items()}
    given = {name: value for name, value in inputs.items() if value is not None}
    return given, [str(note) for note in (*notes, *cropped, *drawn.notes)]


def _pictures(request: Request, values: Mapping[str, Any]) -> tuple[Image.Image | None, Image.Image | None, list[Note]]:
    """Image and mask, cropped where the request wants that."""
    image = None if request.image is None else load_image(request.image, "image")
    mask, width, height = request.mask, values.get("width"), values.get("height")
    if image is None or not request.crops or width is None or height is None:
        return image, mask, []
    box = middle(image.size, width / height)
    if box == (0, 0, *image.size):
        return image, mask, []
    mask = mask.crop(box) if mask is not None and mask.size == image.size else mask
    cropped = image.crop(box)
    size = "x".join(map(str, cropped.size))
    note = Note(
        "clients.cropped",
        "{field}: its middle was taken, {size} px, for the shape of the size",
        field="image",
        size=size,
    )
    return cropped, mask, [note]


def _fitted(asked: tuple[int, int], size: tuple[int, int], limits: SizeLimits, upscale: int, max_area: int) -> Note:
    return Note(
        "clients.fitted",
        "{value} px is no size that this model draws; the picture has {fitted} px, which keeps the shape (sides must "
        "be multiples of {factor} and at least {low} px, and width x height at most {limit} px)",
        value="x".join(map(str, asked)),
        fitted="x".join(str(upscale * side) for side in size),
        factor=upscale * limits.factor,
        low=upscale * limits.min_side,
        limit=upscale**2 * max_area,
    )


def without_effect(field: str, value: object) -> Note:
    said = {"field": field, "value": repr(value)}
    return Note("clients.without_effect", "{field}: {value} changes nothing here", **said)


async def read_object(request: HttpRequest) -> dict[str, Any]:
    """The body, one JSON object."""
    try:
        body: Any = json.loads(await request.body())
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()  # an answer may quote all of it
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, _("the body must be JSON: {reason}", reason=error)) from error
    if not isinstance(body, dict):
        raise HTTPException(400, _("the body must be a JSON object, got {value}", value=type(body).__name__))
    return body
