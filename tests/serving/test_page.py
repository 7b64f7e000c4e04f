"""What the page answers to bad input and to a full disk, what it shows of an unsafe picture, and in which language it
greets, without a browser."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cog_client import UNSAFE, opened

from jsd.errors import InvalidInputError
from jsd.options import SamplingOptions

pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="the extra web is not installed")

# In a process of its own: Gradio leaves an event loop open. Prints what the status says last in each
# case, and how each visitor is greeted.
ANSWERS = r"""
import errno, json, os, sys
import gradio as gr
from starlette.requests import Request
from jsd import Pipeline, SamplingOptions
from jsd.serving import page as module, pictures
from jsd.serving.form import FORM

page = module.Page(Pipeline.load(sys.argv[1], device="cpu", dtype="float32"))
values = {name: getattr(SamplingOptions, name, None) for name in FORM}
values |= dict.fromkeys(("width", "height", "seed", "style"), "")
values |= {"unknown_words": False, "brush": False, "num_inference_steps": 2}

def draw(page, **asked):
    return list(page._draw("en", None, *({**values, **asked}[name] for name in FORM)))

def say(prompt):
    return [update[page.status] for update in draw(page, prompt=prompt) if page.status in update][-1]

def full(**_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

def greet(chosen, accepted):
    os.environ["JSD_LANG"] = chosen
    headers = [] if accepted is None else [(b"accept-language", accepted.encode())]
    language, *updates = page._greet(gr.Request(Request({"type": "http", "headers": headers})))
    (button,) = [update for (one, _), update in zip(page.said, updates, strict=True) if one is page.draw_button]
    return [language, button["value"]]

said = {"megabyte": say("富士山" * 350_000), "control": say("猫\x00\x1b[31m")}
said["applied"] = page._apply("en", {"prompt": "猫", "image": "photo.png", "num_inference_steps": 500})[page.status]
said["most_steps"] = page.form["num_inference_steps"].maximum
said["greetings"] = [greet(*visitor) for visitor in json.loads(sys.argv[2])]
module.PREVIEW_SECONDS = 0
guarded = module.Page(Pipeline.load(sys.argv[3]))  # in the dtype of the pictures that its checker flags
for name, one in (("unguarded", page), ("guarded", guarded)):
    updates = draw(one, **json.loads(sys.argv[4]))
    said[name] = [update[one.status] for update in updates if one.status in update]
    said[name + "_pictures"] = sum(one.gallery in update for update in updates)
pictures.TemporaryDirectory = full
said["full"] = say("猫")
print(json.dumps(said))
"""


# (JSD_LANG, the browser's Accept-Language): the page's language.
VISITORS = {
    ("", "ja"): "ja",
    ("", "ja-JP,ja;q=0.9,en;q=0.8"): "ja",
    ("", "JA"): "ja",
    ("", "en"): "en",
    ("", "en-US,en;q=0.9,ja;q=0.8"): "en",
    ("", "fr"): "en",
    ("", None): "en",
    ("en", "ja"): "en",
    ("ja", "en"): "ja",
    ("ja_JP.UTF-8", "en"): "ja",
    ("ja", None): "ja",
}
DRAW = {"ja": "生成", "en": "Draw"}


@pytest.fixture(scope="module")
def said(toy_folder: Path, guarded_folder: Path) -> dict[str, Any]:
    typed = {**UNSAFE, "seed": str(UNSAFE["seed"])}
    arguments = [toy_folder, json.dumps(list(VISITORS)), guarded_folder, json.dumps(typed)]
    command = [sys.executable, "-c", ANSWERS, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr[-2000:]
    answers: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answers


def test_a_prompt_of_a_megabyte_is_refused_in_words(said: dict[str, Any]) -> None:
    assert "prompt must be at most 10000 characters" in said["megabyte"]


def test_control_characters_are_named_and_stay_out_of_the_page(said: dict[str, Any]) -> None:
    assert "1 picture(s)" in said["control"]
    assert "U+0000" in said["control"] and "U+001B" in said["control"]
    assert not {"\x00", "\x1b"} & set(said["control"])


def test_a_full_disk_is_said_in_words(said: dict[str, Any]) -> None:
    assert "No space left on device" in said["full"]
    assert "make room" in said["full"]


def brightest(statuses: list[str]) -> list[int]:
    """Of each preview, 0 to 255."""
    uris = re.findall(r"data:image/png;base64,[^\"]+", "".join(statuses))
    return [max(high for _, high in opened(uri).getextrema()) for uri in uris]


def test_the_previews_of_an_unsafe_picture_are_black(said: dict[str, Any]) -> None:
    steps = UNSAFE["num_inference_steps"]
    shown = brightest(said["unguarded"])
    assert len(shown) == steps and min(shown) > 0, "without a checker they are shown"
    assert brightest(said["guarded"]) == [0] * steps, "nothing of a withheld picture may be sent"


def test_an_unsafe_picture_stays_out_of_the_gallery_and_the_reason_is_said(said: dict[str, Any]) -> None:
    assert (said["unguarded_pictures"], said["guarded_pictures"]) == (1, 0)
    assert "NSFW content detected" in said["guarded"][-1] and str(UNSAFE["seed"]) in said["guarded"][-1]


def test_what_a_file_says_and_the_page_cannot_take_over_is_named(said: dict[str, Any]) -> None:
    assert "Not taken over from the file, so another picture will be drawn: image." in said["applied"]


def test_the_page_takes_as_many_steps_as_a_request_may_ask_for(said: dict[str, Any]) -> None:
    SamplingOptions(prompt="猫", num_inference_steps=said["most_steps"])
    with pytest.raises(InvalidInputError):
        SamplingOptions(prompt="猫", num_inference_steps=said["most_steps"] + 1)


@pytest.mark.parametrize("visitor", VISITORS, ids=str)
def test_the_page_greets_in_the_set_language_else_in_the_browsers_first(
    said: dict[str, Any], visitor: tuple[str, str | None]
) -> None:
    language, word = said["greetings"][list(VISITORS).index(visitor)]
    assert language == VISITORS[visitor]
    assert word == DRAW[language], "the words must be in the language that is chosen"
