"""Pieces of the web page as HTML. Whatever a user wrote is escaped here, in one place."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from io import BytesIO
from math import ceil, sqrt

from PIL import Image

from jsd.i18n import _, language
from jsd.models.record import folder_licence
from jsd.pipeline import Pipeline
from jsd.prompting.concepts import KnownConcepts, normal
from jsd.prompting.prompts import PromptReading, Prompts
from jsd.prompting.tokenizer import printable
from jsd.serving.page.known import Known
from jsd.serving.page.words import SEARCH, label, sentence

# Of a picture's record, what its author chose; the rest is folded away.
CHOSEN = (
    "prompt",
    "negative_prompt",
    "style",
    "seed",
    "width",
    "height",
    "upscale",
    "num_inference_steps",
    "guidance_scale",
    "scheduler",
    "image",
    "mask",
    "prompt_strength",
    "model",
    "licence",
)
# Of a prompt's notes, those that are said in the text itself.
IN_THE_TEXT = ("prompt.unread", "prompt.kana", "prompt.replaced")
PICTURES = "known/"  # where the model's own pictures are: see `jsd.serving.web`


def reading(prompts: Prompts) -> str:
    """How the texts are read: tokens, the words that are not read in their places, and a sentence for what else."""
    texts = [prompts.prompt]
    if prompts.negative_prompt.text:
        texts.append(prompts.negative_prompt)
    lines = []
    for text in texts:
        count = _("{used} / {available} tokens", used=text.num_tokens, available=text.num_tokens_available)
        name = f"{_safe(label(text.field))}: " if len(texts) > 1 else ""
        lines.append(f'<p>{name}<span class="tokens">{_safe(count)}</span></p>{_unread(text)}')
    notes = [note for note in prompts.notes() if note.code not in IN_THE_TEXT]
    return f'<div class="reading">{"".join(lines)}{_sentences(map(sentence, notes))}</div>'


def _unread(text: PromptReading) -> str:
    """The text with its unread words marked, each with the kana that can be read, where there are such words."""
    spans = {one.start: (one.end, one.kana) for one in text.spellings} if not text.replaced else {}
    covered = {place for start, (end, _kana) in spans.items() for place in range(start, end)}
    spans |= {one.start: (one.start + len(one.text), "") for one in text.report.unread if one.start not in covered}
    if not spans:
        return _replaced(text)
    pieces, at = [], 0
    for start, (end, kana) in sorted(spans.items()):
        offer = f'<span class="kana">{_safe(kana)}</span>' if kana else ""
        pieces.append(f"{_safe(text.read[at:start])}<mark>{_safe(text.read[start:end])}</mark>{offer}")
        at = end
    said = _safe(_("The model cannot read what is marked."))
    return f'<p class="unread">{"".join(pieces)}{_safe(text.read[at:])}</p><p class="why">{said}</p>'


def _replaced(text: PromptReading) -> str:
    pairs = "、".join(f"{word} → {kana}" for word, kana in text.replacements.items())
    return f'<p class="why">{_safe(pairs)}</p>' if pairs else ""


def drawing(said: str, done: float | None, preview: Image.Image | None) -> str:
    """How far it is; the preview is in the page itself, so that no file of it is left."""
    value = "" if done is None else f' value="{done:.3f}"'
    bar = f'<progress{value} aria-label="{_safe(said)}"></progress>'
    picture = ""
    if preview is not None:
        data = BytesIO()
        preview.save(data, "PNG")
        wide = f'style="--wide: {max(1, preview.width / preview.height):.2f}"'
        picture = f'<img alt="" {wide} src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'
    return f'<div class="drawing">{picture}{bar}<p>{_safe(said)}</p></div>'


def finished(said: str, notes: Iterable[str]) -> str:
    return f'<div class="finished" role="status"><p>{_safe(said)}</p>{_sentences(notes)}</div>'


def failed(said: str) -> str:
    return f'<div class="failed" role="alert"><p>{_safe(said)}</p></div>'


def parameters(values: Mapping[str, object]) -> str:
    """A picture's record as a table, what its author chose first."""
    shown = {name: value for name, value in values.items() if value is not None and value != ""}
    chosen = {name: shown[name] for name in CHOSEN if name in shown}
    if "image" not in chosen:
        chosen.pop("prompt_strength", None)
    rest = {name: value for name, value in shown.items() if name not in chosen}
    more = _folded(_("Everything that the file says"), _table(rest))
    title = _safe(_("How this picture was made"))
    return f'<div class="parameters"><h2>{title}</h2>{_table(chosen)}{more if rest else ""}</div>'


def model(pipeline: Pipeline, known: Known) -> str:
    """Which model draws, what it knows and what it cannot."""
    name = "unnamed" if pipeline.folder is None else pipeline.folder.resolve().name
    licence = {} if pipeline.folder is None else folder_licence(pipeline.folder)
    width, height = (pipeline.upscale * side for side in pipeline.default_size)
    facts = [
        _("{width} × {height} px", width=width, height=height),
        str(licence.get("licence", _("licence unknown"))),
        _("nothing checks its pictures") if pipeline.safety_checker is None else _("with a safety checker"),
    ]
    about = known.about.get(language(), {})
    said = "".join(f"<p>{_safe(about[key])}</p>" for key in ("knows", "cannot") if key in about)
    title = _safe(_("Drawn by {name}", name=name))
    side = 2 * ceil(sqrt(pipeline.size_limits.max_area))  # of pictures to start from, what is of use
    return f'<div class="model" data-side="{side}"><p><b>{title}</b> · {_safe(" · ".join(facts))}</p>{said}</div>'


def catalogue(known: Known, concepts: KnownConcepts | None) -> str:
    """What the model drew and knows, to look through, to search, and to take into the form."""
    parts = []
    if known.examples:
        tiles = [_tile("example", at, one.picture, one.prompt) for at, one in enumerate(known.examples)]
        title = _safe(_("Examples: press one for its words"))
        parts.append(f'<h2>{title}</h2><div class="tiles">{"".join(tiles)}</div>')
    if known.styles or concepts is not None:
        search = _safe(_(SEARCH))
        parts.append(f'<input type="search" placeholder="{search}" aria-label="{search}">')
    if known.styles:
        tiles = [_tile("style", at, picture, name) for at, (name, picture) in enumerate(known.styles.items())]
        content = f'<div class="tiles styles">{"".join(tiles)}</div>'
        parts.append(_folded(_("Styles: {count}", count=len(tiles)), content, is_open=True))
    return f'<div class="catalogue">{"".join(parts)}</div>' if parts else ""


def words(concepts: KnownConcepts | None, wanted: str = "") -> str:
    """The things that the model knows, or those of them that are called like `wanted`, or nearly so."""
    if concepts is None:
        return ""
    if wanted == "":
        found, title = list(concepts.concepts), _("Things: {count}", count=len(concepts.concepts))
    elif found := concepts.search(wanted):
        found.sort(key=lambda one: normal(wanted) not in map(normal, (one.name, *one.spellings)))
        title = _("Things that are called so: {count}", count=len(found))
    else:
        found = [concepts.by_spelling[normal(name)] for name in concepts.near(wanted)]
        title = _("Nothing is called so; near: {count}", count=len(found))
    chips = [
        f'<button type="button" data-kind="concept" data-index="{concepts.concepts.index(one)}">'
        f"{_safe(one.emoji)} {_safe(one.name)}</button>"
        for one in found
    ]
    return f'<div class="catalogue">{_folded(title, _chips(chips), is_open=wanted != "")}</div>'


def prompts(texts: Sequence[str]) -> str:
    """The visitor's earlier prompts."""
    chips = [
        f'<button type="button" data-kind="prompt" data-index="{at}">{_safe(text)}</button>'
        for at, text in enumerate(texts)
    ]
    folded = _folded(_("Your prompts: {count}", count=len(chips)), _chips(chips))
    return f'<div class="catalogue">{folded}</div>' if chips else ""


def _tile(kind: str, index: int, picture: str, name: str) -> str:
    image = f'<img alt="" width="128" height="128" loading="lazy" src="{PICTURES}{_safe(picture)}">'
    return f'<button type="button" data-kind="{kind}" data-index="{index}">{image}<span>{_safe(name)}</span></button>'


def _chips(buttons: list[str]) -> str:
    return f'<div class="words">{"".join(buttons)}</div>'


def _folded(title: str, content: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{_safe(title)}</summary>{content}</details>"


def _table(values: Mapping[str, object]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_safe(label(name))}</th><td>{_safe(str(value))}</td></tr>'
        for name, value in values.items()
    )
    return f"<table>{rows}</table>"


def _sentences(sentences: Iterable[str]) -> str:
    items = "".join(f"<li>{_safe(said)}</li>" for said in sentences)
    return f"<ul>{items}</ul>" if items else ""


def _safe(text: str) -> str:
    # A direction mark or an unseen character in a stranger's text may not rearrange the page.
    return escape("\n".join(printable(line) for line in text.split("\n")))
