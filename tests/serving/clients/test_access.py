"""Who is answered, and how: the key, other machines, what the server refuses; the model's server is a stand-in here."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import openai
import pytest
import uvicorn
from cog_client import free_port, wait_for
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message
from webuiapi import WebUIApi

from jsd.errors import ServingError
from jsd.options import OPTIONS
from jsd.serving.clients import mounts
from jsd.serving.clients.studio import ServedModel
from jsd.serving.front.requests import Bounded
from jsd.serving.key import Key, asked_key
from jsd.sizes import SizeLimits

MODEL = ServedModel(
    name="toy",
    limits=SizeLimits(factor=4, default=(32, 32)),
    guidance_scale=7.5,
    upscale=1,
    styles=("油絵",),
    created=0,
)
KEY = "secret-key"


def app(answer: Callable[[Any], Response], model: ServedModel | None = MODEL) -> Starlette:
    async def predictions(request: Request) -> Response:
        return answer(await request.json())

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "READY"})

    own = Starlette(routes=[Route("/predictions", predictions, methods=["POST"])])
    return Starlette(routes=[*mounts(own, model), Route("/health-check", health)], middleware=[Middleware(Bounded)])


def unreachable(body: Any) -> Response:
    raise AssertionError(f"this must not reach the model: {body}")


@contextmanager
def running(answers: ASGIApp) -> Iterator[str]:
    """A real server of `answers`, for clients that need one."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(answers, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def test_with_the_key_each_client_is_answered_in_its_own_way() -> None:
    with running(Key(app(unreachable), KEY)) as url:
        assert [one.id for one in openai.OpenAI(base_url=f"{url}/v1", api_key=KEY).models.list()] == ["toy"]
        api = WebUIApi(baseurl=f"{url}/sdapi/v1", username="anybody", password=KEY)
        assert api.util_get_current_model() == "toy"
        with pytest.raises(openai.AuthenticationError) as caught:
            openai.OpenAI(base_url=f"{url}/v1", api_key="another").models.list()
        assert caught.value.code == "invalid_api_key"


def test_the_plain_images_health_check_brings_it() -> None:
    line = (
        (Path(__file__).parents[3] / "Dockerfile").read_text("utf-8").replace("\\\n", " ").partition("HEALTHCHECK")[2]
    )
    program = json.loads(line.partition("CMD ")[2].partition("\n")[0])[2]
    with running(Key(app(unreachable), KEY)) as url:
        for key, exit_code in ((KEY, 0), ("another", 1)):
            words = [sys.executable, "-c", program.replace("http://127.0.0.1:5000", url)]
            environment = {**os.environ, "JSD_API_KEY": key, "no_proxy": "127.0.0.1"}
            assert subprocess.run(words, env=environment, capture_output=True).returncode == exit_code


@pytest.mark.parametrize("path", ["/health-check", "/v1/models", "/sdapi/v1/options", "/nowhere", "/"])
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", KEY, f"Basic {KEY}", "Basic !", f"Digest {KEY}"]
    + [f"Basic {base64.b64encode(text.encode()).decode()}" for text in (f"{KEY}:", "user:wrong", KEY)],
)
def test_without_it_no_path_is(path: str, authorization: str | None) -> None:
    client = TestClient(Key(app(unreachable), KEY))
    answer = client.get(path, headers={} if authorization is None else {"authorization": authorization})
    assert answer.status_code == 401 and "www-authenticate" in answer.headers
    assert isinstance(
        answer.json()["error" if path.startswith("/v1") else "detail"], dict if path.startswith("/v1") else str
    )


def test_a_key_that_no_client_could_send_is_refused_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSD_API_KEY", raising=False)
    assert asked_key() is None
    monkeypatch.setenv("JSD_API_KEY", KEY)
    assert asked_key() == KEY
    for value in ("", " ", "two words", "鍵", "tab\t"):
        monkeypatch.setenv("JSD_API_KEY", value)
        with pytest.raises(ServingError, match="JSD_API_KEY"):
            asked_key()


@pytest.mark.parametrize("path", ["/v1/models", "/v1/images/generations", "/sdapi/v1/txt2img"])
def test_where_the_apis_are_off_the_answer_says_how_to_turn_them_on(path: str) -> None:
    client = TestClient(app(unreachable, model=None))
    for answer in (client.get(path), client.post(path, json={})):
        said = answer.json()["error"]["message"] if path.startswith("/v1") else answer.json()["detail"]
        assert answer.status_code == 404 and "--clients" in said


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (JSONResponse({"detail": "too many wait"}, 429, headers={"retry-after": "7"}), 429, "too many"),
        (JSONResponse({"detail": [{"loc": ["body", "input", "x"], "msg": "is wrong"}]}, 422), 422, "x: is wrong"),
        (JSONResponse({"detail": "not up yet"}, 503), 503, "not up"),
        (JSONResponse({"status": "failed", "error": "lost the prediction", "metrics": {}}), 503, "lost"),
        (
            JSONResponse({"status": "failed", "error": "Prediction failed: GenerationError: all black"}),
            500,
            "all black",
        ),
        (
            JSONResponse({"status": "failed", "error": "Prediction failed: InvalidInputError: too dear"}),
            400,
            "too dear",
        ),
        (PlainTextResponse("oops", 500), 500, "again"),
    ],
)
def test_what_the_server_refuses_is_passed_on_in_each_form(answer: Response, status: int, words: str) -> None:
    client = TestClient(app(lambda body: answer))
    theirs = client.post("/v1/images/generations", json={"prompt": "猫"})
    assert theirs.status_code == status and words in theirs.json()["error"]["message"]
    web_uis = client.post("/sdapi/v1/txt2img", json={"prompt": "猫"})
    assert web_uis.status_code == status and words in web_uis.json()["detail"]
    assert theirs.headers.get("retry-after") == web_uis.headers.get("retry-after") == answer.headers.get("retry-after")


@pytest.mark.parametrize(("path", "status"), [("v1/images/generations", 400), ("sdapi/v1/txt2img", 422)])
def test_no_client_loosens_a_checker_that_is_required(path: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_REQUIRE_SAFETY_CHECKER", "1")
    answer = TestClient(app(unreachable)).post(f"/{path}", json={"prompt": "猫", "disable_safety_checker": True})
    assert answer.status_code == status and "disable_safety_checker" in answer.text


VALUES = [-1, 1.5, 10**30, True, "", "x", "9" * 500, [], [[]], {}, {"a": [1]}, ["\0"], "\ud83d"]
OPENAI = [*OPTIONS, "n", "size", "output_format", "output_compression", "quality", "background", "response_format"]
OPENAI += ["style", "model", "partial_images", "stream", "user"]
A1111 = [*OPTIONS, "steps", "cfg_scale", "sampler_name", "scheduler", "batch_size", "n_iter", "styles", "init_images"]
A1111 += ["mask", "override_settings", "denoising_strength", "resize_mode", "alwayson_scripts", "seed", "send_images"]


@pytest.mark.parametrize(
    ("path", "names"),
    [("v1/images/generations", OPENAI), ("sdapi/v1/txt2img", A1111), ("sdapi/v1/img2img", A1111[len(OPTIONS) :])],
)
def test_whatever_is_sent_is_drawn_or_refused_in_words(path: str, names: list[str]) -> None:
    picture = base64.b64encode(b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;").decode()
    reached = []
    client = TestClient(app(lambda body: reached.append(body) or JSONResponse({"detail": "full"}, 429)))  # type: ignore[func-returns-value]
    for name in names:
        for value in VALUES:
            body = {"prompt": "猫", "init_images": [picture], name: value}
            answer = client.post(f"/{path}", content=json.dumps(body), headers={"content-type": "application/json"})
            assert answer.status_code in (400, 422, 429), (name, value, answer.text)
            assert answer.json().get("error") or answer.json()["detail"], (name, value)
    for body in reached:
        for name, value in body["input"].items():
            if name in OPTIONS and name not in ("image", "mask", "loras"):
                OPTIONS[name].check(value)


ENLARGING = replace(MODEL, upscale=4)


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def reached_by(path: str, **request: Any) -> dict[str, Any]:
    """The predictor's inputs of a request to a model that draws 32 px and gives 128."""
    reached = []
    client = TestClient(app(lambda body: reached.append(body) or JSONResponse({"detail": "full"}, 429), ENLARGING))  # type: ignore[func-returns-value]
    assert client.post(path, **request).status_code == 429
    (body,) = reached
    inputs: dict[str, Any] = body["input"]
    return inputs


@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ({"size": "1024x1024"}, (32, 32)),
        ({"size": "256x256"}, (32, 32)),
        ({"size": "96x128"}, (24, 32)),
        ({"size": "256x256", "upscale": 4}, (64, 64)),
        ({"size": "64x64", "upscale": 1}, (64, 64)),
        ({"width": 96}, (24, 32)),
    ],
)
def test_a_size_that_comes_unasked_is_not_drawn_beyond_what_was_trained(
    asked: dict[str, Any], drawn: tuple[int, int]
) -> None:
    inputs = reached_by("/v1/images/generations", json={"prompt": "猫", **asked})
    assert (inputs["width"], inputs["height"]) == drawn


@pytest.mark.parametrize(("side", "sent"), [(300, 128), (128, 128), (100, 100)])
def test_a_picture_keeps_the_pixels_that_its_mask_keeps(side: int, sent: int) -> None:
    files = {name: (f"{name}.png", png(Image.new("RGBA", (side, side)))) for name in ("image", "mask")}
    inputs = reached_by("/v1/images/edits", data={"prompt": "猫", "size": "128x128"}, files=files)
    sizes = [Image.open(BytesIO(base64.b64decode(inputs[name].partition(",")[2]))).size for name in files]
    assert sizes == [(sent, sent)] * 2 and (inputs["width"], inputs["height"]) == (32, 32)


def test_a_thin_stroke_of_a_mask_is_sent_on() -> None:
    mask = Image.new("RGBA", (512, 512), "black")
    mask.paste((0, 0, 0, 0), (101, 0, 102, 512))
    files = {"image": ("a.png", png(Image.new("RGB", (512, 512)))), "mask": ("b.png", png(mask))}
    inputs = reached_by("/v1/images/edits", data={"prompt": "猫", "size": "128x128"}, files=files)
    sent = Image.open(BytesIO(base64.b64decode(inputs["mask"].partition(",")[2])))
    assert sent.size == (128, 128) and sent.getbbox() == (25, 0, 26, 128)


@pytest.mark.parametrize(
    ("path", "asked"), [("/v1/images/generations", {"style": "水墨画"}), ("/sdapi/v1/txt2img", {"styles": ["水墨画"]})]
)
def test_a_style_that_this_model_does_not_draw_is_refused_before_it_waits(path: str, asked: dict[str, Any]) -> None:
    answer = TestClient(app(unreachable)).post(path, json={"prompt": "猫", **asked})
    assert answer.status_code in (400, 422) and "油絵" in answer.text and next(iter(asked)) in answer.text


def test_lora_files_are_listed_as_they_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_LORAS", str(tmp_path))
    client = TestClient(app(unreachable))
    assert client.get("/sdapi/v1/loras").json() == []
    (tmp_path / "ink.safetensors").touch()
    assert [one["name"] for one in client.get("/sdapi/v1/loras").json()] == ["ink"]


# What Python reads as JSON and cannot be sent back as such is none.
UNSENDABLE = [b'{"prompt": "a", "x": NaN}', b'{"prompt": "a", "x": 1e999}', b'{"prompt": "a", "x": "\\ud800"}']


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff", b"[" * 100_000, *UNSENDABLE])
def test_bodies_that_are_no_object(content: bytes) -> None:
    client = TestClient(app(unreachable))
    assert client.post("/v1/images/generations", content=content).json()["error"]["type"] == "invalid_request_error"
    assert client.post("/sdapi/v1/txt2img", content=content).status_code == 400


@pytest.mark.parametrize("path", ["/v1/images/edits", "/sdapi/v1/txt2img"])
def test_a_body_without_end_is_cut_off(path: str) -> None:
    form = b"multipart/form-data; boundary=x"
    head = b"--x\r\ncontent-disposition: form-data; name=image; filename=a\r\n\r\n"
    sent: list[Any] = []
    num_read = 0

    async def receive() -> Message:
        nonlocal num_read
        num_read += 1
        return {"type": "http.request", "body": head if num_read == 1 else b" " * 2**20, "more_body": num_read < 1000}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"content-type", form)], "query_string": b""}
    asyncio.run(app(unreachable)(scope, receive, send))
    assert sent[0]["status"] == 413 and num_read < 200
