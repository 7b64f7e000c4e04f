"""The real Cog server on predict.py, started by `jsd serve`, with the toy model folder."""

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from cog_client import PROMPT, Server, file_bytes, opened, serve_command
from PIL import Image

from jsd.models.record import OPENRAIL, OPENRAIL_URL
from jsd.serving.cog_server import SCHEMA
from jsd.serving.pictures import COG_FOLDERS


def data_uri(image: Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def picture(size: tuple[int, int] = (32, 32)) -> Image.Image:
    return Image.effect_noise(size, 60).convert("RGB")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address at which the files of `folder` are."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as files:
        thread = threading.Thread(target=files.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{files.server_port}"
        files.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_a_prompt_gives_a_png_that_decodes(server: Server) -> None:
    (uri,) = server.predict()["output"]
    assert uri.startswith("data:image/png;base64,")
    image = opened(uri)
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (32, 32))


def test_four_outputs_are_four_pictures(server: Server) -> None:
    outputs = server.predict(num_outputs=4, seed=1)["output"]
    assert len({file_bytes(uri) for uri in outputs}) == 4


def test_the_same_seed_gives_the_same_bytes(server: Server) -> None:
    first, second = (server.predict(seed=7)["output"] for _ in range(2))
    assert first == second


def test_the_same_seed_and_image_give_the_same_bytes(server: Server) -> None:
    image = data_uri(picture())
    first, second = (server.predict(seed=7, image=image)["output"] for _ in range(2))
    assert first == second, "nothing of Cog's temporary file may reach the picture"


def test_another_seed_gives_another_picture(server: Server) -> None:
    first, second = (server.predict(seed=seed)["output"] for seed in (7, 8))
    assert first != second


def test_the_logged_random_seed_draws_the_picture_again(server: Server) -> None:
    answer = server.predict()
    found = re.search(r"^Using seed: (\d+)$", answer["logs"], re.MULTILINE)
    assert found, answer["logs"]
    assert server.predict(seed=int(found[1]))["output"] == answer["output"]


def test_size_is_what_was_asked_for(server: Server) -> None:
    assert opened(server.predict(width=16, height=48)["output"][0]).size == (16, 48)


def test_image_to_image_starts_from_the_data_uri(server: Server) -> None:
    first, second = (
        server.predict(seed=1, num_inference_steps=4, prompt_strength=0.5, image=data_uri(image))["output"]
        for image in (Image.new("RGB", (32, 32), "white"), Image.new("RGB", (32, 32), "black"))
    )
    assert opened(first[0]).size == (32, 32)
    assert first != second, "the picture must depend on the image"


def test_inpainting_keeps_what_the_mask_does_not_paint(server: Server) -> None:
    image = picture()
    mask = Image.new("L", image.size, 0)
    mask.paste(255, (0, 0, 16, 32))
    answer = server.predict(image=data_uri(image), mask=data_uri(mask), prompt_strength=1.0, seed=1)
    painted, original = np.asarray(opened(answer["output"][0])), np.asarray(image)
    assert (painted[:, 16:] == original[:, 16:]).all(), "black pixels of the mask must come back unchanged"
    assert (painted[:, :16] != original[:, :16]).any(), "white pixels of the mask must be repainted"


def test_an_image_is_fetched_from_its_address(server: Server, tmp_path: Path) -> None:
    image, changes = picture(), {"seed": 1, "num_inference_steps": 4, "prompt_strength": 0.5}
    image.save(tmp_path / "a picture.png")
    with serving(tmp_path) as url:
        fetched = server.predict(image=f"{url}/a%20picture.png", **changes)["output"]
    assert fetched == server.predict(image=data_uri(image), **changes)["output"]


@pytest.mark.parametrize("field", ["image", "mask"])
@pytest.mark.parametrize("path", ["/etc/hostname", "notauri", "{elsewhere}/picture.png", "{temporary}/picture.png"])
def test_a_path_of_the_servers_machine_is_refused_and_nothing_is_drawn(
    server: Server, tmp_path: Path, field: str, path: str
) -> None:
    """Else a client could have any picture of the machine, such as another client's."""
    for folder in (tmp_path, server.temporary):
        picture().save(folder / "picture.png")
    logged = server.log.stat().st_size
    value = path.format(elsewhere=tmp_path, temporary=server.temporary)
    status, answer = server.request("POST", "/predictions", {"input": {"image": data_uri(picture()), field: value}})
    (server.temporary / "picture.png").unlink()
    assert status == 422, answer
    message = answer["detail"][0]["msg"]
    assert f"{field} must be an https:// or http:// address or a data: URI, got " in message, message
    assert "\n" not in message and "Traceback" not in message
    assert b"Using seed" not in server.log.read_bytes()[logged:]


@pytest.mark.parametrize(("name", "kind"), [("webp", "WEBP"), ("jpg", "JPEG")])
def test_output_format(server: Server, name: str, kind: str) -> None:
    (uri,) = server.predict(output_format=name)["output"]
    assert opened(uri).format == kind


def test_output_quality(server: Server) -> None:
    low, high = (
        server.predict(seed=1, output_format="jpg", output_quality=quality)["output"][0] for quality in (10, 95)
    )
    assert len(low) < len(high)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_outputs", 5),
        ("num_outputs", 0),
        ("num_outputs", "two"),
        ("num_outputs", 1.5),
        ("num_inference_steps", 501),
        ("guidance_scale", 0.5),
        ("guidance_scale", "strong"),
        ("prompt_strength", 1.1),
        ("width", 0),
        ("height", 100_000),
        ("seed", -1),
        ("seed", 2**32),
        ("scheduler", "EULER"),
        ("output_format", "gif"),
        ("output_quality", 101),
        ("prompt", 3),
        ("image", 3),
    ],
)
def test_out_of_range_or_wrong_type_is_422_with_the_field(server: Server, field: str, value: object) -> None:
    status, answer = server.run({**PROMPT, field: value})
    assert status == 422, answer
    assert field in [part for row in answer["detail"] for part in row["loc"]], answer


def test_an_empty_request_draws_the_default_prompt(server: Server) -> None:
    status, answer = server.request("POST", "/predictions")
    assert (status, answer["status"]) == (200, "succeeded"), answer
    assert json.loads(opened(answer["output"][0]).info["jsd"])["prompt"] == "サラリーマン 油絵"


def test_a_broken_image_fails_readably_and_the_next_prediction_works(server: Server) -> None:
    broken = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n broken").decode()
    message = server.fail(image=broken)
    assert re.search(r"image must be", message), message
    assert "\n" not in message
    assert "Traceback" not in message
    assert server.predict()["output"]


def test_a_prompt_of_a_megabyte_is_refused_in_one_line(server: Server) -> None:
    status, answer = server.run({"prompt": "富士山" * 350_000})
    assert status == 422 and "prompt must be at most" in answer["detail"][0]["msg"], answer
    assert len(answer["detail"][0]["msg"]) < 200


def test_control_characters_are_named_and_draw_a_picture(server: Server) -> None:
    answer = server.predict(prompt="猫\x00\x1b[31m\u202e")
    assert answer["output"]
    assert {"\x00", "\x1b", "\u202e"} <= set("".join(answer["metrics"]["unread"]))
    assert not set("\x00\x1b\u202e") & set(answer["logs"]), "a log must not carry them to a terminal"


def test_a_size_that_does_not_fit_the_model_fails_readably(server: Server) -> None:
    message = server.fail(width=33)
    assert "width" in message
    assert "33" in message
    assert "\n" not in message


def test_progress_is_in_the_form_that_replicate_parses(server: Server) -> None:
    logs = server.predict(num_inference_steps=3)["logs"]
    bars = [re.match(r"^\s*(\d+)%\s*\|.+?\|\s*(\d+)\/(\d+)", line) for line in re.split(r"[\r\n]", logs)]
    assert ("100", "3", "3") in [bar.groups() for bar in bars if bar], logs


def test_metrics(server: Server) -> None:
    metrics = server.predict(prompt="猫 簪", seed=5, num_outputs=2)["metrics"]
    assert metrics["seeds"] == [5, 6]
    assert "簪" in metrics["unread"]
    assert 0 < metrics["tokens"]["used"] <= metrics["tokens"]["available"] == 16
    assert sum(metrics["seconds"].values()) <= metrics["predict_time"]


def test_a_word_that_is_replaced_is_in_the_metrics_and_read_in_kana(server: Server) -> None:
    """The toy's vocabulary has the kana of 鯉のぼり, but not this kanji."""
    pytest.importorskip("sudachipy")
    answer = server.predict(prompt="赤い鯉", seed=5, unknown_words="replace")
    assert answer["metrics"]["replaced"] == {"鯉": "こい"}
    assert answer["metrics"]["unread"] == []
    image, spelt = (opened(one["output"][0]) for one in (answer, server.predict(prompt="赤いこい", seed=5)))
    assert image.tobytes() == spelt.tobytes()


def test_a_word_is_not_replaced_unasked(server: Server) -> None:
    metrics = server.predict(prompt="赤い鯉")["metrics"]
    assert (metrics["replaced"], metrics["unread"]) == ({}, ["鯉"])


def test_what_is_cut_off_is_in_the_metrics_and_not_drawn(server: Server) -> None:
    kept, tail = "猫の肖像画、富士山と桜の水彩", "画、海"  # a token a character, and one for their start
    answer = server.predict(prompt=kept + tail, seed=5, long_prompt="truncate")
    metrics = answer["metrics"]
    assert (metrics["cut_off"], metrics["tokens"]) == (tail, {"used": 16, "available": 16})
    image, shorter = (opened(one["output"][0]) for one in (answer, server.predict(prompt=kept, seed=5)))
    assert image.tobytes() == shorter.tobytes()


def test_a_long_prompt_is_read_whole_unless_it_shall_be_cut(server: Server) -> None:
    metrics = server.predict(prompt="猫の肖像画、富士山と桜" * 2)["metrics"]
    assert (metrics["cut_off"], metrics["tokens"]["available"]) == ("", 32)


def test_a_licence_with_use_restrictions_is_in_the_metrics_and_in_the_picture(server: Server) -> None:
    """The toy folder names rinna's class in its model_index.json, as rinna's own does, and has no model card."""
    answer = server.predict()
    named = {name: answer["metrics"][name] for name in ("licence", "licence_url", "use_restrictions")}
    assert (named["licence"], named["licence_url"]) == (OPENRAIL, OPENRAIL_URL)
    assert named["use_restrictions"].startswith("not to break laws")
    record = json.loads(opened(answer["output"][0]).info["jsd"])
    assert named.items() <= record.items()


def test_an_input_that_the_predictor_lacks_is_named_and_changes_nothing(server: Server) -> None:
    plain = server.predict(seed=4)["output"]
    answer = server.predict(seed=4, cfg_scale=2, promt="犬", frobnicate=1)
    assert answer["output"] == plain
    said = answer["metrics"]["warnings"]
    assert [line.split()[0] for line in said] == ["cfg_scale", "promt", "frobnicate"]
    assert ["did you mean" in line for line in said] == [True, True, False]
    assert "guidance_scale" in said[0] and "prompt" in said[1]
    assert all(line in answer["logs"] for line in said)


def test_null_means_unset(server: Server) -> None:
    unset = dict.fromkeys(["width", "image", "negative_prompt", "guidance_scale", "scheduler"])
    assert server.predict(seed=4, **unset)["output"] == server.predict(seed=4)["output"]


def test_files_of_earlier_predictions_are_gone(server: Server) -> None:
    before = set(COG_FOLDERS.glob("*"))
    for _ in range(2):
        server.predict(num_outputs=2, image=data_uri(picture()))
    assert len(list(server.temporary.rglob("*.png"))) <= 2, "only the last prediction's pictures may still be there"
    assert not [path for path in server.temporary.iterdir() if not path.name.startswith("jsd-")], "no input pictures"
    assert set(COG_FOLDERS.glob("*")) <= before


def test_the_schema_that_holds_is_the_predictors(server: Server) -> None:
    status, served = server.request("GET", "/openapi.json")
    assert (status, served) == (200, json.loads(SCHEMA.read_text("utf-8")))


def test_a_port_in_use_is_one_line(server: Server, toy_folder: Path) -> None:
    port = server.url.rpartition(":")[2]
    command = serve_command("--port", port, "--weights", toy_folder)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert port in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
