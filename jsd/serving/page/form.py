"""Between the web page's inputs and `SamplingOptions`; knows nothing of Gradio."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from PIL import Image, ImageChops

from jsd.errors import InvalidInputError
from jsd.options import OPTIONS, SamplingOptions, mask_alone
from jsd.prompting.negative import split_negative
from jsd.prompting.prompts import read_prompts
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.rules import split_weight
from jsd.serving.loras import lora_names, served_loras

# Inputs of the page that are options by themselves: the texts, and whatever is a number or a choice, but not how strict
# the safety checker is. Another option may name a file, and a stranger names none.
TEXTS = ("prompt", "negative_prompt")
PLAIN = tuple(
    name
    for name, rule in OPTIONS.items()
    if name in TEXTS
    or ((rule.choices or rule.type in (int, float)) and name not in ("unknown_words", "safety_threshold"))
)
# Options that are not on the page, and pictures, of which a record has the names alone.
ELSEWHERE = tuple(name for name in OPTIONS if name not in (*PLAIN, "unknown_words", "loras"))
# Typed into a text box: empty is unset.
TYPED = ("width", "height", "seed")
MAX_TYPED = {**dict.fromkeys(TYPED, 20), "loras": 1000}  # characters
# unknown_words: whether they are replaced; loras: as `served_loras` reads them; drawing and brush: see `pictures`.
FORM = (*PLAIN, "unknown_words", "loras", "drawing", "brush")
# The image editor's canvas as long as no picture is on it, in pixels; a picture brings its own size.
CANVAS = (512, 512)


def to_options(form: Mapping[str, Any]) -> SamplingOptions:
    image, mask = pictures(form["drawing"], brush=form["brush"])
    values = {name: form[name] for name in PLAIN}
    values |= {name: OPTIONS[name].parse("" if form[name] is None else str(form[name])) for name in TYPED}
    unknown_words = OPTIONS["unknown_words"].choices[bool(form["unknown_words"])]
    values |= {"unknown_words": unknown_words, "loras": served_loras(form["loras"] or "")}
    return SamplingOptions(**values | {"image": image, "mask": mask})


def from_record(record: Mapping[str, Any], styles: Sequence[str]) -> dict[str, Any]:
    """What a picture's record says of the page's inputs, which offer `styles`; InvalidInputError where it is no request
    of ours."""
    values = {name: record[name] for name in (*PLAIN, "unknown_words", "loras") if name in record}
    options = SamplingOptions(**{"prompt": None, **values, "num_outputs": 1})
    form: dict[str, Any] = {name: getattr(options, name) for name in PLAIN if getattr(options, name) is not None}
    form |= {name: str(form.get(name, "")) for name in TYPED}
    form["loras"] = ", ".join(_offered(options.loras))
    form["style"] = options.style if options.style in styles else ""
    return form | {"unknown_words": options.unknown_words == OPTIONS["unknown_words"].choices[1]}


def refused(record: Mapping[str, Any]) -> list[str]:
    """Of another tool's record what no request of ours may have: samplers of its own, larger numbers."""
    return [name for name in PLAIN if name in record and not _is_allowed(name, record[name])]


def _is_allowed(name: str, value: Any) -> bool:
    with suppress(InvalidInputError):
        OPTIONS[name].check(value)
        return True
    return False


def restored(form: Mapping[str, Any], styles: Sequence[str]) -> dict[str, Any]:
    """Of what a browser kept of the form, all that the form could have held."""
    kept: dict[str, Any] = {}
    for name in (*PLAIN, "unknown_words", "loras", "brush"):
        value = form.get(name)
        rule = OPTIONS.get(name)
        if type(value) is bool and name in ("unknown_words", "brush"):
            kept[name] = value
        elif isinstance(value, str) and name in MAX_TYPED:
            kept[name] = value[: MAX_TYPED[name]]
        elif value is not None and rule is not None and name not in (*MAX_TYPED, "unknown_words"):
            with suppress(InvalidInputError):
                kept[name] = rule.check(value)
    return kept if kept.get("style", "") in ("", *styles) else {**kept, "style": ""}


def not_taken_over(record: Mapping[str, Any], styles: Sequence[str]) -> list[str]:
    """What of a picture's record the page, which offers `styles`, has no input for, or cannot fill: with these the
    picture was another."""
    values = {name: record.get(name, OPTIONS[name].default) for name in ELSEWHERE}
    lost = [name for name, value in values.items() if value != OPTIONS[name].default and value != []]
    lost += ["style"] if record.get("style", "") not in ("", *styles) else []
    named = record.get("loras")
    return lost if not isinstance(named, list) or _offered(named) == named else [*lost, "loras"]


def _offered(loras: Sequence[str]) -> list[str]:
    """Of the LoRA files that a record names those that this server has."""
    return [one for one in loras if isinstance(one, str) and split_weight(one)[0] in lora_names()]


def in_kana(tokenizer: JapaneseTokenizer, prompt: str) -> str:
    """`prompt`, its negative lines included, with kana for the words that cannot be read."""
    read = read_prompts(tokenizer, SamplingOptions(prompt=prompt))
    if split_negative(prompt) == (prompt, ""):
        return read.prompt.suggestion()
    return f"{read.prompt.suggestion()}\nネガティブ: {read.negative_prompt.suggestion()}"


def pictures(drawing: Mapping[str, Any] | None, *, brush: bool) -> tuple[Image.Image | None, Image.Image | None]:
    """What an image editor holds -> (image, mask): {"background": a picture, "layers": [strokes], "composite": both}.

    With `brush` the strokes are part of the picture; else they say where it is repainted.
    """
    if drawing is None:
        return None, None
    background, strokes = _visible(drawing["background"]), _strokes(drawing["layers"])
    if brush:
        return _visible(drawing["composite"]), None
    if strokes is None:
        return background, None
    if background is None:
        raise mask_alone()
    return background, strokes.resize(background.size, Image.Resampling.NEAREST)


def _strokes(layers: list[Image.Image]) -> Image.Image | None:
    """Whatever is painted over, through a brush of any opacity: white on black; None where there is no stroke."""
    mask: Image.Image | None = None
    for layer in layers:
        alpha = layer.convert("RGBA").getchannel("A").point(lambda value: 255 if value > 0 else 0)
        mask = alpha if mask is None else ImageChops.lighter(mask, alpha.resize(mask.size))
    return None if mask is None or mask.getbbox() is None else mask


def _visible(picture: Image.Image | None) -> Image.Image | None:
    """None for a canvas with nothing on it: transparent everywhere, or, once a tool was chosen, plain white."""
    if picture is None or picture.convert("RGBA").getchannel("A").getbbox() is None:
        return None
    blank = picture.size == CANVAS and picture.convert("RGBA").getextrema() == ((255, 255),) * 4
    return None if blank else picture
