"""What the page answers, what it shows of an unsafe picture, and in which language it greets, without a browser."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cog_client import UNSAFE, opened

pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="the extra web is not installed")

# In a process of its own: Gradio leaves an event loop open. Prints what was said in each case.
ANSWERS = r"""
import errno, json, os, sys
from pathlib import Path
import gradio as gr
from starlette.requests import Request
from jsd import Pipeline
from jsd.serving.page import drawing, visitors
from jsd.serving.page.page import Page

folder = Path(sys.argv[5])
page = Page(Pipeline.load(sys.argv[1], device="cpu", dtype="float32"), folder)
values = {name: part.value for name, part in page.at.form.items()} | {"num_inference_steps": 2}

def draw(page, language="en", **asked):
    visitor = page.visitors.of(None)
    visitor.language = language
    updates = list(page._draw(visitor.token, *({**values, **asked}[name] for name in page.at.form)))
    return visitor, updates

def say(**asked):
    return [update[page.at.status] for update in draw(page, **asked)[1] if page.at.status in update][-1]

def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

def greet(chosen, accepted):
    os.environ["JSD_LANG"] = chosen
    headers = [] if accepted is None else [(b"accept-language", accepted.encode())]
    updates = page._greet("", [], gr.Request(Request({"type": "http", "headers": headers})))
    return [updates[page.at.language]["value"], updates[page.at.draw]["value"]]

said = {"megabyte": say(prompt="富士山" * 350_000), "control": say(prompt="猫\x00\x1b[31m")}
visitor, updates = draw(page, language="ja", prompt="猫", width="wide")
said["japanese"] = [update[page.at.status] for update in updates if page.at.status in update][-1]
said["english"] = page._translate(visitor.token, "en", "", [])[page.at.status]
visitor, updates = draw(page, prompt="猫", num_outputs=2, seed="5", output_format="webp")
last = [update for update in updates if page.at.gallery in update][-1]
said["files"] = [Path(path).name for path, _ in last[page.at.gallery]]
said["shown"] = [Path(update[page.at.shown]).name for update in updates if page.at.shown in update]
class Judge:
    name, scores, captions = "judge", [0.1, 0.9, 0.5], []
    def similarity(self, images, captions):
        self.captions += captions
        return [self.scores[len(self.captions) - 1]][0]
page.scorer = Judge()
visitor, updates = draw(page, prompt="猫", style="油絵", num_outputs=3, seed="5")
said["best_first"] = [Path(path).name for path, _ in updates[-1][page.at.gallery]]
said["judged"], page.scorer = [Judge.captions, updates[-1][page.at.status]], None
visitor, updates = draw(page, prompt="猫", num_candidates=3, seed="5")
said["of_three"] = [len(visitor.pictures), updates[-1][page.at.status]]
visitor = page.visitors.of(None)
begun = page._draw(visitor.token, *({**values, "prompt": "猫"}[name] for name in page.at.form))
next(begun), next(begun)
said["while_drawing"] = visitor.status()
begun.close()
said["left"] = visitor.status()
visitor, updates = draw(page, prompt="猫")
applied = page.pictures.apply(visitor.token, str(visitor.pictures[0].path))
said["start"] = applied.get(page.at.form["drawing"], "kept")
(folder / "stranger").mkdir(parents=True)
(folder / "stranger" / "words.png").write_text("no picture")
opened = page.pictures.open_file(visitor.token, str(folder / "stranger" / "words.png"))
said["no_picture"] = opened[page.at.status]
said["greetings"] = [greet(*visitor) for visitor in json.loads(sys.argv[2])]
os.environ["JSD_LANG"] = "en"
drawing.PREVIEW_SECONDS = 0
guarded = Page(Pipeline.load(sys.argv[3]), folder)  # in the dtype of the pictures that its checker flags
for name, one in (("unguarded", page), ("guarded", guarded)):
    updates = draw(one, **json.loads(sys.argv[4]))[1]
    said[name] = [update[one.at.status] for update in updates if one.at.status in update]
    said[name + "_pictures"] = any(one.at.gallery in update for update in updates)
visitors.write_picture.__globals__["write_file"] = full
said["full"] = say(prompt="猫")
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
def said(toy_folder: Path, guarded_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    typed = {**UNSAFE, "seed": str(UNSAFE["seed"])}
    arguments = [toy_folder, json.dumps(list(VISITORS)), guarded_folder, json.dumps(typed)]
    arguments.append(tmp_path_factory.mktemp("pictures"))
    command = [sys.executable, "-c", ANSWERS, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 0, ended.stderr[-2000:]
    answers: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answers


def test_bad_input_and_a_full_disk_are_answered_in_words(said: dict[str, Any]) -> None:
    assert "must be at most 10000 characters" in said["megabyte"]
    assert "U+0000" in said["control"] and "U+001B" in said["control"]
    assert not {"\x00", "\x1b"} & set(said["control"]), "they stay out of the page"
    assert "No space left on device" in said["full"] and "make room" in said["full"]


def test_the_last_word_follows_the_visitors_language(said: dict[str, Any]) -> None:
    assert "幅" in said["japanese"] and "整数" in said["japanese"]
    assert "«Width (px)» must be a whole number" in said["english"], "by the page's name for it"


def test_the_first_picture_of_several_is_shown_as_each_comes(said: dict[str, Any]) -> None:
    assert said["files"] == ["jsd-5.webp", "jsd-6.webp"]
    assert said["shown"] == ["jsd-5.webp", "jsd-5.webp"]


def test_a_scorer_puts_the_best_first_and_reads_what_was_asked_for(said: dict[str, Any]) -> None:
    assert said["best_first"] == ["jsd-6.png", "jsd-7.png", "jsd-5.png"]
    captions, status = said["judged"]
    assert captions == ["猫 油絵"] * 3 and "judge" in status


def test_of_candidates_only_what_came_of_them_is_counted(said: dict[str, Any]) -> None:
    num_pictures, status = said["of_three"]
    assert num_pictures == 1 and status.count("1 picture(s)") == 1


def test_a_file_is_called_what_its_visitor_calls_it(said: dict[str, Any]) -> None:
    assert "words.png" in said["no_picture"] and "stranger" not in said["no_picture"]


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
    assert (said["unguarded_pictures"], said["guarded_pictures"]) == (True, False)
    assert "NSFW content detected" in said["guarded"][-1] and str(UNSAFE["seed"]) in said["guarded"][-1]


@pytest.mark.parametrize("visitor", VISITORS, ids=str)
def test_the_page_greets_in_the_set_language_else_in_the_browsers_first(
    said: dict[str, Any], visitor: tuple[str, str | None]
) -> None:
    language, word = said["greetings"][list(VISITORS).index(visitor)]
    assert language == VISITORS[visitor]
    assert word == DRAW[language], "the words must be in the language that is chosen"


def test_a_page_that_was_left_tells_of_no_drawing_when_it_comes_back(said: dict[str, Any]) -> None:
    assert said["while_drawing"] != said["left"] and "Cancelled" in said["left"], said["left"]


def test_the_settings_of_a_picture_that_started_from_none_take_the_picture_away(said: dict[str, Any]) -> None:
    assert said["start"] is None
