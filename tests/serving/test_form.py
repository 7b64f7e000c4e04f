"""The web page's inputs as a request, and a picture's record as the page's inputs."""

import json
import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from PIL import Image

from jsd.errors import InvalidInputError, Sentence
from jsd.i18n import CATALOGUE, in_language
from jsd.images import load_mask
from jsd.options import OPTIONS, SamplingOptions
from jsd.prompting.prompts import read_prompts
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.serving.page import markup
from jsd.serving.page.form import (
    CANVAS,
    FORM,
    from_record,
    in_kana,
    not_taken_over,
    pictures,
    refused,
    restored,
    to_options,
)
from jsd.serving.page.words import LABELS, sentence
from runs.blocks import ROOT

STYLES = ["油絵"]  # that the page offers
HTML = "<img src=x onerror=alert(1)>\u202e"


def filled(**changes: Any) -> dict[str, Any]:
    """The page as it opens, with a prompt."""
    values = {name: getattr(SamplingOptions, name, None) for name in FORM}
    empty = dict.fromkeys(("width", "height", "seed", "style", "loras"), "")
    return values | empty | {"prompt": "猫", "unknown_words": False, "brush": False} | changes


def editor(background: Image.Image | None, strokes: Image.Image | None) -> dict[str, Any]:
    return {"background": background, "layers": [] if strokes is None else [strokes], "composite": background}


def painted(size: tuple[int, int] = (8, 8)) -> Image.Image:
    """A layer whose left half is painted."""
    layer = Image.new("RGBA", size)
    layer.paste((255, 255, 255, 255), (0, 0, size[0] // 2, size[1]))
    return layer


def test_an_untouched_page_asks_for_the_defaults() -> None:
    assert to_options(filled()) == SamplingOptions(prompt="猫")


def test_what_a_program_leaves_unset_is_unset() -> None:
    assert to_options(filled(width=None, height=None, seed=None, loras=None)) == SamplingOptions(prompt="猫")
    assert to_options(filled(seed=7)).seed == 7


def test_lora_files_are_those_that_the_operator_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cat.safetensors").touch()
    monkeypatch.setenv("JSD_LORAS", str(tmp_path))
    options = to_options(filled(loras=" cat.safetensors:0.5 "))
    assert options.loras == (f"{tmp_path}/cat.safetensors:0.5",)
    assert from_record({"prompt": "猫", "loras": ["cat.safetensors:0.5"]}, STYLES)["loras"] == "cat.safetensors:0.5"
    assert not_taken_over({"loras": ["cat.safetensors:0.5"]}, STYLES) == []
    assert not_taken_over({"loras": ["dog.safetensors"]}, STYLES) == ["loras"]
    with pytest.raises(InvalidInputError, match="loras must be files that this server offers"):
        to_options(filled(loras=f"{tmp_path}/cat.safetensors"))


def test_digits_of_a_japanese_keyboard_are_a_number() -> None:
    assert to_options(filled(seed="０", width=" 64 ")).seed == 0


def test_a_width_that_is_no_number_is_refused_in_words() -> None:
    with pytest.raises(InvalidInputError, match="width must be a whole number from 1 to 16383, got 'wide'"):
        to_options(filled(width="wide"))


def test_a_record_fills_the_form_that_draws_it_again() -> None:
    options = SamplingOptions(prompt="猫", width=32, height=40, seed=0, guidance_scale=3.5, scheduler="DDIM")
    record = {name: getattr(options, name) for name in ("prompt", "width", "height", "seed", "guidance_scale")}
    form = from_record(record | {"scheduler": "DDIM", "num_outputs": 4, "model": "mini"}, STYLES)
    assert to_options(filled(**form)) == options


def test_what_the_page_cannot_take_over_is_named() -> None:
    record = {"prompt": "猫", "seed": 0, "image": "photo.png", "mask": None, "loras": ["ink.safetensors"]}
    assert not_taken_over(record, STYLES) == ["image", "loras"]
    assert not_taken_over({"prompt": "猫", "long_prompt": "chunk", "image": None, "loras": []}, STYLES) == []


def test_of_another_tools_picture_what_the_page_cannot_take_is_left_out() -> None:
    record = {"prompt": "猫", "scheduler": "UniPC", "seed": 2**40, "guidance_scale": 25.0, "num_inference_steps": 20}
    assert refused(record) == ["num_inference_steps", "guidance_scale", "scheduler", "seed"][1:]
    assert refused({"prompt": "猫", "scheduler": "DDIM", "seed": 7}) == []


def test_a_see_through_brush_paints_over_all_that_it_touches() -> None:
    layer = Image.new("RGBA", (8, 8))
    layer.paste((255, 0, 0, 60), (0, 0, 4, 8))
    image, mask = pictures(editor(Image.new("RGB", (8, 8), "red"), layer), brush=False)
    assert image is not None and mask is not None
    assert load_mask(mask).tobytes() == load_mask(painted()).tobytes()


def test_no_file_and_no_switch_of_the_checker_is_a_strangers_to_name() -> None:
    assert not {"image", "mask", "disable_safety_checker", "safety_threshold"} & set(FORM)


def test_what_a_browser_kept_comes_back_as_far_as_the_form_could_have_held_it() -> None:
    kept = filled(seed="7", num_outputs=2, style="油絵", unknown_words=True, output_format="webp")
    assert restored(kept, STYLES) == {
        name: value for name, value in kept.items() if name != "drawing" and value is not None
    }
    strange = {
        "seed": 7,
        "num_outputs": 9,
        "style": [],
        "unknown_words": "yes",
        "output_format": "exe",
        "loras": ["/x"],
    }
    assert restored(strange, STYLES) == {}


def test_a_style_of_another_model_leaves_the_page_without_one_and_is_named() -> None:
    record = {"prompt": "猫", "style": "水墨画"}
    assert from_record(record, STYLES)["style"] == "" and not_taken_over(record, STYLES) == ["style"]
    assert restored(record, STYLES) == {"prompt": "猫", "style": ""}
    assert from_record(record | {"style": "油絵"}, STYLES)["style"] == "油絵"


@pytest.mark.parametrize(
    "record", [{}, {"prompt": 7}, {"prompt": "猫", "scheduler": "Euler b"}, {"prompt": "猫", "seed": "x"}]
)
def test_a_strangers_record_is_refused_not_believed(record: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        from_record(record, STYLES)


@pytest.mark.parametrize(
    ("typed", "kana"),
    [
        ("蒟蒻の絵", "こんにゃくの絵"),
        ("猫の絵\nネガティブ: 蒟蒻", "猫の絵\nネガティブ: こんにゃく"),
        ("猫の絵\n", "猫の絵\n"),
    ],
)
def test_the_kana_button_loses_nothing_of_the_prompt(typed: str, kana: str) -> None:
    assert in_kana(JapaneseTokenizer.load(ROOT / "weights" / "mini" / "tokenizer"), typed) == kana


def test_strokes_are_the_mask() -> None:
    image, mask = pictures(editor(Image.new("RGB", (8, 8)), painted()), brush=False)
    assert image is not None and mask is not None
    assert (mask.mode, mask.getpixel((0, 0)), mask.getpixel((7, 0))) == ("L", 255, 0)


def test_a_mask_gets_the_pictures_size() -> None:
    _, mask = pictures(editor(Image.new("RGB", (16, 16)), painted((8, 8))), brush=False)
    assert mask is not None and mask.size == (16, 16)


def test_strokes_may_be_part_of_the_picture() -> None:
    drawing = editor(None, painted()) | {"composite": painted()}
    image, mask = pictures(drawing, brush=True)
    assert image is not None and mask is None


def test_an_untouched_canvas_is_no_picture() -> None:
    assert pictures(editor(Image.new("RGBA", (8, 8)), Image.new("RGBA", (8, 8))), brush=False) == (None, None)


def test_a_blank_canvas_is_no_picture() -> None:
    """A tool was chosen and nothing painted: the editor sends a white canvas."""
    blank = editor(Image.new("RGB", CANVAS, "white"), Image.new("RGBA", CANVAS))
    assert pictures(blank, brush=False) == pictures(blank, brush=True) == (None, None)


def test_a_white_picture_is_a_picture() -> None:
    image, _ = pictures(editor(Image.new("RGB", (640, 480), "white"), None), brush=False)
    assert image is not None


@pytest.mark.parametrize("background", [None, Image.new("RGB", CANVAS, "white")])
def test_a_mask_without_a_picture_is_refused(background: Image.Image | None) -> None:
    with pytest.raises(InvalidInputError, match="mask needs a picture"):
        pictures(editor(background, painted()), brush=False)


def shown(prompt: str, **options: Any) -> str:
    tokenizer = JapaneseTokenizer.load(ROOT / "weights" / "mini" / "tokenizer")
    return markup.reading(read_prompts(tokenizer, SamplingOptions(prompt=prompt, **options)))


def test_what_is_not_read_is_marked_in_its_place_with_the_kana_that_is() -> None:
    assert '<mark>蒟蒻</mark><span class="kana">こんにゃく</span>の絵' in shown("蒟蒻の絵")
    assert "<mark>" not in shown("蒟蒻の絵", unknown_words="replace") + shown("猫の絵")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_no_sentence_calls_an_input_by_its_name_in_the_code(language: str) -> None:
    with (CATALOGUE.parent / "ja.po").open(encoding="utf-8") as file:
        english = [json.loads(line.removeprefix("msgid ")) for line in file if line.startswith("msgid ")]
    names = [name for name in LABELS if name in OPTIONS and ("_" in name or language == "ja")]
    for words in english:
        values = dict.fromkeys([name for _text, name, _how, _conversion in Formatter().parse(words) if name], 1)
        with in_language(language):
            said = sentence(Sentence("code", words, **values))
        left = [name for name in names if re.search(rf"(?<![\w.-]){name}(?![\w.-])", said, re.ASCII)]
        assert not left, said


@pytest.mark.parametrize(
    "make",
    [
        lambda: markup.failed(HTML),
        lambda: markup.finished(HTML, [HTML]),
        lambda: markup.parameters({"prompt": HTML, HTML: HTML}),
        lambda: markup.prompts([HTML]),
        lambda: shown(f"{HTML}蒟蒻"),
    ],
)
def test_html_is_shown_as_text(make: Any) -> None:
    made = make()
    assert "<img" not in made and "\u202e" not in made and "&lt;" in made
