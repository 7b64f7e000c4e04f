"""What clients of A1111's web UI ask for -> our inputs."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from PIL import Image, ImageOps

from jsd.errors import InvalidInputError, Note
from jsd.images import load_image, load_mask
from jsd.images.opening import open_image
from jsd.images.parameters import SAMPLERS
from jsd.inputs import shrink_mask
from jsd.options import OPTIONS
from jsd.rules import not_one_of, whole_number
from jsd.serving.clients.pictures import from_base64
from jsd.serving.clients.requests import Request, without_effect
from jsd.serving.clients.studio import ServedModel

# The web UI's names of our inputs, and back.
INPUTS = {"steps": "num_inference_steps", "cfg_scale": "guidance_scale", "denoising_strength": "prompt_strength"}
BACK = {"num_outputs": "batch_size", "scheduler": "sampler_name", "style": "styles", "image": "init_images"}
NAMES = {ours: theirs for theirs, ours in INPUTS.items()} | BACK
# Our inputs that a request may name as they are.
SAME = set(OPTIONS) - set(NAMES) - {"mask", "seed", "output_format", "output_quality"}
# What changes pictures there and none here: beside nothing, 0 and false, the values that clients send unasked.
THEIRS: dict[str, tuple[object, ...]] = {
    "alwayson_scripts": (),
    "enable_hr": (),
    "inpainting_fill": (1,),
    "mask_blur": (4,),
    "refiner_checkpoint": (),
    "resize_mode": (1,),
    "restore_faces": (),
    "script_name": (),
    "seed_resize_from_h": (-1,),
    "seed_resize_from_w": (-1,),
    "subseed_strength": (),
    "tiling": (),
}
LORA = re.compile(r"<lora:([^:<>]+)(?::([^<>]+))?>")  # a weight that is left out is 1
PREVIEW_EVERY = 10  # the web UI's own
SIDE = 512  # its own too, where a request names the other one
MODEL = "sd_model_checkpoint"
MAX_TOLD = 20  # settings without effect


def read_request(body: Mapping[str, Any], model: ServedModel, *, has_image: bool) -> Request:
    given = {name: value for name, value in body.items() if value is not None}
    inputs = {INPUTS.get(name, name): value for name, value in given.items() if name in SAME or name in INPUTS}
    if not has_image:
        inputs.pop("prompt_strength", None)  # of a second pass there
    inputs |= {"prompt": given.get("prompt", ""), "output_format": "png", "preview_every": PREVIEW_EVERY}
    if ("width" in given) != ("height" in given):
        inputs = {"width": SIDE, "height": SIDE, **inputs}
    inputs["num_outputs"] = _count(given, "batch_size") * _count(given, "n_iter")
    if given.get("seed", -1) != -1:
        inputs["seed"] = given["seed"]
    scheduler, ignored = _scheduler(given)
    inputs |= scheduler | _style(given.get("styles") or []) | _loras(inputs["prompt"])
    ignored |= {name: given[name] for name, usual in THEIRS.items() if given.get(name) and given[name] not in usual}
    said = (without_effect(name, value) for name, value in ignored.items())
    notes = (*read_settings(given.get("override_settings", {}), model), *said)
    if not has_image:
        return Request(inputs, notes=notes)
    image, mask = _images(given)
    return Request(inputs, image, mask, crops=given.get("resize_mode") == 1, notes=notes)


def read_settings(settings: object, model: ServedModel) -> list[Note]:
    """Of the web UI's settings, a request may name the model, and gets ours."""
    if not isinstance(settings, dict):
        raise InvalidInputError(
            "clients.settings",
            "{field} must be a JSON object, got {value}; leave it out",
            field="override_settings",
            value=repr(settings),
        )
    notes = model.stands_in_for(settings.get(MODEL), MODEL)
    others = islice((name for name in settings if name != MODEL), MAX_TOLD)
    return [*notes, *(without_effect(name, settings[name]) for name in others)]


def _images(given: Mapping[str, Any]) -> tuple[bytes, Image.Image | None]:
    images = given.get("init_images")
    if not isinstance(images, list) or len(images) != 1:
        raise InvalidInputError(
            "clients.one_image",
            "{field} must be a list of one picture, got {value}; send one",
            field="init_images",
            value=len(images) if isinstance(images, list) else repr(images),
        )
    if not given.get("mask"):
        return from_base64(images[0], "init_images"), None
    image, mask = from_base64(images[0], "init_images"), from_base64(given["mask"], "mask")
    # As the web UI reads it: what is painted on a see-through ground, else what is bright; as large as the picture.
    with open_image(mask, "mask") as opened:
        alpha = opened.convert("RGBA").getchannel("A")
    painted = load_mask(mask if alpha.getextrema() == (255, 255) else alpha, "mask")
    painted = ImageOps.invert(painted) if given.get("inpainting_mask_invert") else painted
    return image, shrink_mask(painted, load_image(image, "init_images").size)


def _count(given: Mapping[str, Any], name: str) -> int:
    return whole_number(name, given.get(name, 1), 1, int(OPTIONS["num_outputs"].high))


def _style(styles: object) -> dict[str, str]:
    named: list[Any] = [style for style in styles if style != ""] if isinstance(styles, list) else [styles]
    if len(named) <= 1:
        return {"style": named[0]} if named else {}
    raise InvalidInputError(
        "clients.styles",
        "{field} must be a list of at most one style, got {value}; name the others in the prompt",
        field="styles",
        value=repr(styles),
    )


def _loras(prompt: object) -> dict[str, str]:
    """The web UI names LoRA files within the prompt."""
    found = LORA.findall(prompt) if isinstance(prompt, str) else []
    if not found:
        return {}
    loras = ",".join(f"{name}.safetensors:{weight or 1}" for name, weight in found)
    return {"prompt": LORA.sub("", str(prompt)).strip(), "loras": loras}


def _scheduler(given: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, object]]:
    """The sampler, by the web UI's name or ours, in any case, and its schedule, which may be named apart; what of it
    has no effect."""
    named = str(given.get("sampler_name") or given.get("sampler_index") or "")
    schedule = str(given.get("scheduler") or "automatic")
    names = {name.lower(): ours for ours, name in SAMPLERS.items()} | {ours.lower(): ours for ours in SAMPLERS}
    ours = names.get(f"{named} {schedule}".lower(), names.get(named.lower()))
    if ours is None and named != "":
        raise not_one_of("sampler_name", named, SAMPLERS.values())
    has_effect = schedule.lower() == "automatic" or (ours is not None and schedule.lower() in SAMPLERS[ours].lower())
    return {} if ours is None else {"scheduler": ours}, {} if has_effect else {"scheduler": schedule}
