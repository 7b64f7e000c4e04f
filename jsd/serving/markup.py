"""Pieces of the web page as HTML. Whatever a user wrote is escaped here, in one place."""

import base64
from collections.abc import Iterable, Mapping
from html import escape
from io import BytesIO

from PIL import Image

from jsd.i18n import _
from jsd.prompting.prompts import Prompts
from jsd.prompting.tokenizer import printable

# Of a picture's record, what its author chose; the rest is folded away.
CHOSEN = (
    "prompt",
    "negative_prompt",
    "seed",
    "width",
    "height",
    "num_inference_steps",
    "guidance_scale",
    "scheduler",
    "image",
    "mask",
    "prompt_strength",
    "model",
    "licence",
)


def reading(prompts: Prompts) -> str:
    """How the texts are read: tokens, unread characters, and a sentence for each thing to know."""
    texts = [prompts.prompt]
    if prompts.negative_prompt.text:
        texts.append(prompts.negative_prompt)
    lines = []
    for text in texts:
        count = _("{used} / {available} tokens", used=text.num_tokens, available=text.num_tokens_available)
        unread = "".join(f"<b>{_safe(character)}</b>" for character in text.unread)
        unreadable = _("cannot be read:")
        holes = f' <span class="unread">{_safe(unreadable)} {unread}</span>' if unread else ""
        name = f"<code>{text.field}</code> " if len(texts) > 1 else ""
        lines.append(f'<p>{name}<span class="tokens">{_safe(count)}</span>{holes}</p>')
    return f'<div class="reading">{"".join(lines)}{_sentences(map(str, prompts.notes()))}</div>'


def drawing(sentence: str, step: int, num_steps: int, preview: Image.Image | None) -> str:
    """How far it is; the preview is in the page itself, so that no file of it is left."""
    bar = f'<progress max="{num_steps}" value="{step}"></progress>'
    picture = ""
    if preview is not None:
        data = BytesIO()
        preview.save(data, "PNG")
        picture = f'<img alt="" src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'
    return f'<div class="drawing" role="status">{picture}{bar}<p>{_safe(sentence)}</p></div>'


def finished(sentence: str, warnings: Iterable[str]) -> str:
    return f'<div class="finished" role="status"><p>{_safe(sentence)}</p>{_sentences(warnings)}</div>'


def failed(sentence: str) -> str:
    return f'<div class="failed" role="alert"><p>{_safe(sentence)}</p></div>'


def parameters(values: Mapping[str, object]) -> str:
    """A picture's record as a table, what its author chose first."""
    shown = {name: value for name, value in values.items() if value is not None and value != ""}
    chosen = {name: shown[name] for name in CHOSEN if name in shown}
    if "image" not in chosen:
        chosen.pop("prompt_strength", None)
    title, everything = _safe(_("Parameters")), _safe(_("All of it"))
    more = f"<details><summary>{everything}</summary>{_table(shown)}</details>"
    return f'<div class="parameters"><h3>{title}</h3>{_table(chosen)}{more}</div>'


def _table(values: Mapping[str, object]) -> str:
    rows = "".join(f"<tr><th>{_safe(name)}</th><td>{_safe(str(value))}</td></tr>" for name, value in values.items())
    return f"<table>{rows}</table>"


def _sentences(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{_safe(sentence)}</li>" for sentence in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _safe(text: str) -> str:
    # A direction mark or an unseen character in a stranger's text may not rearrange the page.
    return escape("\n".join(printable(line) for line in text.split("\n")))
