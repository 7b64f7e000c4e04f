"""OpenAI's own package against the real server."""

import base64
import json
import time
from io import BytesIO
from typing import Any

import openai
import pytest
from cog_client import PROMPT, UNSAFE, Server, wait_for
from openai.types import ImagesResponse
from PIL import Image, ImageChops

TWO_STEPS = {"num_inference_steps": 2}


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def opened(content: str | None) -> Image.Image:
    assert content is not None
    image = Image.open(BytesIO(base64.b64decode(content)))
    image.load()
    return image


def png(image: Image.Image) -> tuple[str, bytes]:
    file = BytesIO()
    image.save(file, "PNG")
    return "picture.png", file.getvalue()


def pictures(response: ImagesResponse) -> list[Image.Image]:
    assert response.data is not None
    return [opened(one.b64_json) for one in response.data]


def notes(response: ImagesResponse) -> str:
    return "\n".join(response.model_extra["notes"])  # type: ignore[index]


def test_a_picture_is_that_of_the_prediction_with_the_same_inputs(client: openai.OpenAI, server: Server) -> None:
    response = client.images.generate(prompt=PROMPT["prompt"], n=2, extra_body={"seed": 7, **TWO_STEPS})
    assert pictures(response) == [
        opened(uri.partition(",")[2]) for uri in server.predict(seed=7, num_outputs=2, **TWO_STEPS)["output"]
    ]
    assert [one.model_extra["seed"] for one in response.data or []] == [7, 8]  # type: ignore[index]
    assert response.size == "32x32" and notes(response) == ""
    assert response.usage is not None and response.usage.input_tokens > 0


@pytest.mark.parametrize(
    ("size", "drawn"), [("1024x1024", (32, 32)), ("1536x1024", (40, 28)), ("64x64", (64, 64)), ("auto", (32, 32))]
)
def test_a_size_is_fitted_and_the_answer_says_so(client: openai.OpenAI, size: Any, drawn: tuple[int, int]) -> None:
    response = client.images.generate(prompt="猫", size=size, extra_body=TWO_STEPS)
    assert [one.size for one in pictures(response)] == [drawn]
    assert response.size == f"{drawn[0]}x{drawn[1]}"
    assert (size in notes(response)) == (size not in ("64x64", "auto"))


@pytest.mark.parametrize(
    "asked",
    [
        *({"model": "gpt-image-1"}, {"quality": "high"}, {"style": "vivid"}),
        *({"extra_body": {name: "data:,"}} for name in ("cfg_scale", "image", "mask")),
    ],
)
def test_what_is_not_here_is_said_and_the_picture_drawn(client: openai.OpenAI, asked: dict[str, Any]) -> None:
    response = client.images.generate(
        **{"prompt": "猫", **asked, "extra_body": TWO_STEPS | asked.get("extra_body", {})}
    )
    (name,) = asked.get("extra_body", asked)
    assert len(pictures(response)) == 1 and name in notes(response)
    assert response.model_extra is not None and response.model_extra["model"] == "toy"


def test_a_file_in_a_field_that_is_not_read_changes_nothing_and_that_is_said(client: openai.OpenAI) -> None:
    files = {"image": png(Image.new("RGB", (32, 32), "red")), "markup": png(Image.new("RGB", (8, 8)))}
    response = client.images.edit(prompt="猫", **files, extra_body=TWO_STEPS)  # type: ignore[arg-type]
    assert len(pictures(response)) == 1 and "markup" in notes(response)


@pytest.mark.parametrize(
    ("output_format", "format", "wish"),
    [
        ("png", "PNG", {"model": "dall-e-3"}),  # whose clients look for addresses
        ("webp", "WEBP", {"response_format": "url"}),
        ("jpeg", "JPEG", {"response_format": "url", "model": "gpt-image-1"}),
    ],
)
def test_formats_as_base64_and_as_url(client: openai.OpenAI, output_format: Any, format: str, wish: Any) -> None:
    asked: dict[str, Any] = {"prompt": "猫", "output_format": output_format, "extra_body": TWO_STEPS}
    response = client.images.generate(**asked, output_compression=50)
    assert pictures(response)[0].format == format and response.output_format == output_format
    (as_url,) = client.images.generate(**asked, **wish).data or []
    kind, _, content = str(as_url.url).partition(";base64,")
    assert kind == f"data:image/{output_format}" and opened(content).format == format


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"n": 5}, "n"),
        ({"n": "2"}, "n"),
        ({"size": "large"}, "size"),
        ({"size": "99999x1"}, "size"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 101}, "output_compression"),
        ({"background": "transparent"}, "background"),
        ({"response_format": "file"}, "response_format"),
        ({"partial_images": 4}, "partial_images"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "猫" * 10_001}, "prompt"),
        ({"extra_body": {"seed": -1}}, "seed"),
        ({"extra_body": {"style": "油"}}, "style"),
        ({"extra_body": {"loras": "cat.safetensors"}}, "loras"),
    ],
)
def test_what_cannot_be_is_a_bad_request_that_names_the_clients_own_field(
    client: openai.OpenAI, server: Server, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(**{"prompt": "猫", **asked})
    error: Any = caught.value.body
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == field and field in error["message"] and error["type"] == "invalid_request_error"


def test_the_safety_checker_withholds_one_or_refuses_all(client: openai.OpenAI) -> None:
    unsafe = {name: value for name, value in UNSAFE.items() if name != "prompt"}
    response = client.images.generate(prompt=UNSAFE["prompt"], n=3, extra_body={**unsafe, "seed": UNSAFE["seed"] - 1})
    assert len(pictures(response)) == 2 and str(UNSAFE["seed"]) in notes(response)
    assert UNSAFE["seed"] not in [one.model_extra["seed"] for one in response.data or []]  # type: ignore[index]
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt=UNSAFE["prompt"], extra_body=unsafe)
    assert caught.value.code == "moderation_blocked"


def test_the_best_of_several_comes_with_its_own_seed(client: openai.OpenAI, server: Server) -> None:
    asked = {"seed": 7, "num_candidates": 3, **TWO_STEPS}
    response = client.images.generate(prompt=PROMPT["prompt"], n=1, extra_body=asked)
    (best,) = response.data or []
    predicted = server.predict(**asked)
    assert opened(best.b64_json) == opened(predicted["output"][0].partition(",")[2])
    assert [best.model_extra["seed"]] == predicted["metrics"]["seeds"]  # type: ignore[index]
    written = json.loads(opened(best.b64_json).text["jsd"])  # type: ignore[attr-defined]
    assert written["seed"] == best.model_extra["seed"]  # type: ignore[index]


def test_an_edit_changes_the_transparent_part_of_the_mask_alone(client: openai.OpenAI) -> None:
    image = Image.linear_gradient("L").resize((32, 32)).convert("RGB")
    mask = Image.new("RGBA", (32, 32), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 16, 32))
    response = client.images.edit(image=png(image), mask=png(mask), prompt="猫", n=1, extra_body=TWO_STEPS)
    changed = ImageChops.difference(pictures(response)[0].convert("RGB"), image)
    assert changed.crop((16, 0, 32, 32)).getbbox() is None and changed.crop((0, 0, 16, 32)).getbbox() is not None


@pytest.mark.parametrize(
    ("image", "size", "drawn", "said"),
    [
        ((32, 48), None, (32, 48), ""),
        ((64, 32), "1024x1024", (32, 32), "its middle was taken, 32x32"),
        ((300, 200), None, (76, 52), "300x200"),
    ],
)
def test_an_edit_follows_its_picture_unless_a_size_is_named(
    client: openai.OpenAI, image: tuple[int, int], size: Any, drawn: tuple[int, int], said: str
) -> None:
    asked: dict[str, Any] = {} if size is None else {"size": size}
    response = client.images.edit(image=[png(Image.new("RGB", image))], prompt="猫", extra_body=TWO_STEPS, **asked)
    assert [one.size for one in pictures(response)] == [drawn] and said in notes(response)


@pytest.mark.parametrize(
    ("files", "field"),
    [
        ({"image": ("a.png", b"no picture")}, "image"),
        ({"image": [png(Image.new("RGB", (32, 32)))] * 2}, "image"),
        ({"image": png(Image.new("RGB", (32, 32))), "mask": png(Image.new("RGB", (32, 32)))}, "mask"),
        ({"image": png(Image.new("RGB", (32, 32))), "mask": png(Image.new("RGBA", (16, 16)))}, "mask"),
    ],
)
def test_pictures_that_cannot_be_edited(client: openai.OpenAI, files: dict[str, Any], field: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(**files, prompt="猫", extra_body=TWO_STEPS)
    assert caught.value.param == field and field in caught.value.message


@pytest.mark.parametrize("num_previews", [0, 2])
def test_a_stream_has_previews_then_the_picture(client: openai.OpenAI, num_previews: int) -> None:
    asked: dict[str, Any] = {"prompt": "猫", "extra_body": {"seed": 3, "num_inference_steps": 7}}
    events = list(client.images.generate(**asked, stream=True, partial_images=num_previews))
    assert [one.type for one in events] == ["image_generation.partial_image"] * num_previews + [
        "image_generation.completed"
    ]
    assert opened(events[-1].b64_json) == pictures(client.images.generate(**asked))[0]
    edited = list(client.images.edit(**asked, image=png(Image.new("RGB", (32, 32))), stream=True))
    assert [one.type for one in edited] == ["image_edit.completed"]


def test_what_is_refused_before_a_stream_gets_its_status(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.images.generate(prompt="猫", n=5, stream=True)
    with pytest.raises(openai.BadRequestError):
        client.images.generate(**UNSAFE_REQUEST, stream=True)


UNSAFE_REQUEST: dict[str, Any] = {
    "prompt": UNSAFE["prompt"],
    "extra_body": {name: value for name, value in UNSAFE.items() if name != "prompt"},
}


def test_the_model_is_its_folder(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list()] == ["toy"]
    assert client.models.retrieve("toy").object == "model"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-image-1")
    assert caught.value.code == "model_not_found" and "toy" in caught.value.message


@pytest.mark.parametrize("streams", [False, True])
def test_a_client_that_goes_away_is_not_drawn_for(client: openai.OpenAI, server: Server, streams: bool) -> None:
    began = time.monotonic()
    client.images.generate(prompt="猫", extra_body={"num_inference_steps": 20})
    seconds = time.monotonic() - began
    asked: dict[str, Any] = {
        "prompt": "猫",
        "n": 4,
        "size": "64x64",
        "extra_body": {"num_inference_steps": 500, "preview_every": 2},
    }
    logged = server.log.stat().st_size
    if streams:
        with client.images.generate(**asked, stream=True) as stream:
            assert next(iter(stream)).type == "image_generation.partial_image"
    else:
        with pytest.raises(openai.APITimeoutError):
            client.with_options(timeout=0.5).images.generate(**asked)
    wait_for(lambda: server.request("GET", "/health-check")[1]["status"] == "READY", 10 + 5 * seconds)
    assert b"500/500" not in server.log.read_bytes()[logged:]
