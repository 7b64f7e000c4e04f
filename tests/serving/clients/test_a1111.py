"""The package webuiapi against the real server."""

import threading
from io import BytesIO
from typing import Any

import pytest
from cog_client import PROMPT, UNSAFE, Server, opened, wait_for
from PIL import Image, ImageChops, ImageOps
from test_access import MODEL
from webuiapi import WebUIApi, b64_img

from jsd.errors import InvalidInputError
from jsd.images.parameters import SAMPLERS
from jsd.options import SCHEDULERS
from jsd.serving.clients.a1111_request import read_request
from jsd.serving.clients.requests import Request, prepare

PIXEL = b64_img(Image.new("RGB", (1, 1)))


@pytest.fixture
def api(server: Server) -> WebUIApi:
    return WebUIApi(baseurl=f"{server.url}/sdapi/v1", steps=2)


def test_what_clients_ask_before_they_draw(api: WebUIApi) -> None:
    assert api.get_scripts() == {"txt2img": [], "img2img": []}
    assert api.util_get_model_names() == [api.util_get_current_model()] == ["toy"]
    assert set(api.util_get_sampler_names()) == set(SAMPLERS.values())
    assert {"automatic", "karras"} <= set(api.util_get_scheduler_names())
    assert "油絵" in [one["name"] for one in api.get_prompt_styles()]
    assert [api.get_loras(), api.get_upscalers(), api.get_sd_vae(), api.get_cmd_flags()] == [[], [], [], {}]
    assert api.refresh_checkpoints() is None and api.set_options({"sd_model_checkpoint": "toy"}) is None
    assert api.session.post(f"{api.baseurl}/refresh-loras").json() is None
    assert "another" in str(api.set_options({"sd_model_checkpoint": "another"}))
    assert api.session.get(f"{api.baseurl}/nothing").status_code == 404


def test_a_picture_is_that_of_the_prediction_with_the_same_inputs(api: WebUIApi, server: Server) -> None:
    drawn = api.txt2img(prompt=PROMPT["prompt"], seed=7, batch_size=2, sampler_name="DPM++ 2M", cfg_scale=3)
    predicted = server.predict(seed=7, num_outputs=2, num_inference_steps=2, guidance_scale=3)
    assert [one.tobytes() for one in drawn.images] == [opened(uri).tobytes() for uri in predicted["output"]]
    info: dict[str, Any] = drawn.info
    assert info["all_seeds"] == [7, 8] and info["seed"] == 7
    assert [text.splitlines()[0] for text in info["infotexts"]] == [PROMPT["prompt"]] * 2
    (note,) = info["notes"]
    assert "512x512" in note and "32x32" in note and drawn.image.size == (info["width"], info["height"]) == (32, 32)


@pytest.mark.parametrize("inverted", [0, 1])
def test_a_picture_is_repainted_where_the_mask_is_white(api: WebUIApi, inverted: int) -> None:
    image = Image.linear_gradient("L").resize((32, 32)).convert("RGB")
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (0, 0, 16, 32))
    asked = {"images": [image], "prompt": "猫", "width": 32, "height": 32, "inpainting_mask_invert": inverted}
    drawn = api.img2img(**asked, mask_image=ImageOps.invert(mask) if inverted else mask)
    changed = ImageChops.difference(drawn.image.convert("RGB"), image)
    assert changed.crop((16, 0, 32, 32)).getbbox() is None and changed.crop((0, 0, 16, 32)).getbbox() is not None
    assert drawn.json["parameters"]["init_images"] is None


def test_the_strength_is_the_predictors(api: WebUIApi, server: Server) -> None:
    image = Image.linear_gradient("L").resize((32, 32)).convert("RGB")
    asked = {"seed": 1, "sampler_name": "DPM++ 2M", "prompt": PROMPT["prompt"], "denoising_strength": 0.5}
    drawn = api.img2img(images=[image], width=32, height=32, **asked)
    inputs = {"image": b64_img(image), "prompt_strength": 0.5, "guidance_scale": 7}
    (uri,) = server.predict(seed=1, **inputs)["output"]
    assert drawn.image.tobytes() == opened(uri).tobytes()


@pytest.mark.parametrize("resize_mode", [0, 1])
def test_a_picture_of_another_shape_is_stretched_or_cropped(api: WebUIApi, resize_mode: int) -> None:
    image = Image.new("RGB", (64, 32))
    drawn = api.img2img(images=[image], prompt="猫", resize_mode=resize_mode, denoising_strength=0)
    assert drawn.image.size == (32, 32)
    assert ("middle" in drawn.json["info"]) == (resize_mode == 1)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"cfg_scale": 30}, "cfg_scale"),
        ({"batch_size": 5}, "batch_size"),
        ({"n_iter": 2, "batch_size": 3}, "batch_size"),
        ({"sampler_name": "DPM++ SDE"}, "sampler_name"),
        ({"styles": ["モネ"]}, "styles"),
        ({"seed": -2}, "seed"),
        ({"prompt": "猫 <lora:cat:0.5>"}, "loras"),
        ({"prompt": "猫 <lora:cat:0.5:0.7>"}, "loras"),
        ({"override_settings": []}, "override_settings"),
    ],
)
def test_what_cannot_be_is_answered_in_the_web_uis_form(api: WebUIApi, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        api.txt2img(**{"prompt": "猫", **asked})
    status, text = caught.value.args
    assert status == 422 and f'"detail":"{field} ' in text


def test_withheld_pictures_are_refused_with_the_reason(api: WebUIApi) -> None:
    asked = {"prompt": UNSAFE["prompt"], "seed": UNSAFE["seed"], "steps": UNSAFE["num_inference_steps"]}
    with pytest.raises(RuntimeError, match="NSFW"):
        api.txt2img(**asked, sampler_name="DPM++ 2M", cfg_scale=7.5)


def test_progress_and_interrupt(api: WebUIApi, server: Server) -> None:
    idle = api.get_progress()
    assert idle["progress"] == 0 and idle["state"]["job_count"] == 0
    found: list[Any] = []
    asked = {"prompt": "猫", "steps": 500, "batch_size": 4, "width": 64, "height": 64}
    thread = threading.Thread(target=lambda: found.append(api.txt2img(**asked)))
    thread.start()
    wait_for(lambda: api.get_progress()["current_image"] is not None)
    under_way = api.get_progress()
    assert 0 < under_way["progress"] < 1 and under_way["eta_relative"] > 0
    assert under_way["state"]["sampling_steps"] == 500
    assert api.interrupt() == {}
    thread.join(60)
    assert found[0].images == [] and "stopped" in found[0].info["notes"][-1]
    api.util_wait_for_ready(check_interval=0.1)
    assert api.txt2img(prompt="猫").image.size == (32, 32)


@pytest.mark.parametrize(
    ("sampler", "schedule", "scheduler", "said"),
    [
        ("Euler a", "automatic", "K_EULER_ANCESTRAL", ""),
        ("dpm++ 2m karras", "", "KarrasDPM", ""),
        ("DPM++ 2M", "Karras", "KarrasDPM", ""),
        ("DPM++ 2M Karras", "karras", "KarrasDPM", ""),
        ("DPM++ 2M", "Exponential", "DPMSolverMultistep", "Exponential"),
        ("K_EULER", None, "K_EULER", ""),
        ("Euler", "SGM Uniform", "DDIM_TRAILING", ""),
        ("", None, None, ""),
    ],
)
def test_samplers_and_their_schedules(sampler: str, schedule: str | None, scheduler: str | None, said: str) -> None:
    request = read_request({"sampler_name": sampler, "scheduler": schedule}, MODEL, has_image=False)
    assert request.inputs.get("scheduler") == scheduler
    assert said in "".join(map(str, request.notes)) and bool(request.notes) == bool(said)


def test_every_scheduler_has_a_name_there() -> None:
    assert set(SAMPLERS) == set(SCHEDULERS)


@pytest.mark.parametrize(
    "asked",
    [
        {"enable_hr": True},
        {"tiling": True},
        {"mask_blur": 8},
        {"alwayson_scripts": {"ADetailer": {"args": [True]}}},
        {"override_settings": {"CLIP_stop_at_last_layers": 2}},
        {"script_name": "X/Y/Z plot"},
    ],
)
def test_what_has_no_effect_here_is_said(asked: dict[str, Any]) -> None:
    (note,) = read_request(asked, MODEL, has_image=False).notes
    assert next(iter(next(iter(asked.values())) if "override_settings" in asked else asked)) in str(note)


def test_loras_of_the_prompt() -> None:
    request = read_request({"prompt": "<lora:ink:0.7>猫 水墨画 <lora:cat:1>"}, MODEL, has_image=False)
    assert (
        request.inputs["prompt"] == "猫 水墨画" and request.inputs["loras"] == "ink.safetensors:0.7,cat.safetensors:1"
    )
    request = read_request({"prompt": "猫 <lora:ink>"}, MODEL, has_image=False)
    assert (request.inputs["prompt"], request.inputs["loras"]) == ("猫", "ink.safetensors:1")


def test_a_mask_is_what_is_painted_on_a_see_through_ground_and_as_large_as_the_picture() -> None:
    strokes = Image.new("RGBA", (16, 16))
    strokes.paste((0, 0, 0, 255), (0, 0, 8, 16))  # black: its colour says nothing
    picture = b64_img(Image.new("RGB", (32, 32)))
    for mask, inverted in ((strokes, 0), (ImageOps.invert(strokes.getchannel("A")), 1)):
        asked = {"init_images": [picture], "mask": b64_img(mask), "inpainting_mask_invert": inverted}
        read = read_request(asked, MODEL, has_image=True)
        assert read.mask is not None and (read.mask.size, read.mask.getbbox()) == ((32, 32), (0, 0, 16, 32))


def test_a_style_and_a_mask_that_are_empty_are_none() -> None:
    request = read_request({"styles": [""], "mask": "", "init_images": [PIXEL]}, MODEL, has_image=True)
    assert "style" not in request.inputs and request.mask is None
    assert read_request({"styles": ["", "油絵"]}, MODEL, has_image=False).inputs["style"] == "油絵"


@pytest.mark.parametrize("images", [None, [], ["a", "b"], "a", [5], ["no base64!"]])
def test_pictures_that_are_none(images: object) -> None:
    with pytest.raises(InvalidInputError, match="init_images"):
        read_request({"init_images": images}, MODEL, has_image=True)


def test_a_thin_stroke_of_a_mask_larger_than_the_picture_is_kept() -> None:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (20, 0, 21, 64))
    asked = {"init_images": [b64_img(Image.new("RGB", (32, 32)))], "mask": b64_img(mask)}
    read = read_request(asked, MODEL, has_image=True)
    assert read.mask is not None and read.mask.getbbox() == (10, 0, 11, 32)


def test_of_many_settings_without_effect_some_are_told() -> None:
    asked = {"override_settings": {f"setting {number}": 1 for number in range(100)}}
    assert len(read_request(asked, MODEL, has_image=False).notes) == 20


@pytest.mark.parametrize("size", [(320, 32), (32, 320)])
def test_a_picture_is_sent_no_larger_than_it_is_drawn_from(size: tuple[int, int]) -> None:
    file = BytesIO()
    Image.new("RGB", size).save(file, "PNG")
    request = Request({"prompt": "猫", "width": 32, "height": 32}, file.getvalue())
    inputs, _ = prepare(request, MODEL.limits, 1, (), {})
    assert opened(inputs["image"]).size == (32, 32)
