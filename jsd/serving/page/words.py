"""The page's words: those of its parts follow the visitor's language, and what a field is called on the page."""

import re
from typing import Any, TypeVar

import gradio as gr

from jsd.errors import Sentence
from jsd.i18n import N_, _, language, translated

Made = TypeVar("Made")

SEARCH = N_("Search what the model knows")
COMMAND = re.compile("jsd concepts(?: (?:WORD|言葉))?")  # of a shell, where the page has a search of its own

# What is said of an option, or of an entry in a picture's file, instead of its name in the code.
LABELS = {
    "prompt": N_("What to draw"),
    "negative_prompt": N_("What to leave out"),
    "style": N_("Style"),
    "image": N_("Picture to start from"),
    "mask": N_("Part to repaint"),
    "prompt_strength": N_("Change to the picture"),
    "width": N_("Width (px)"),
    "height": N_("Height (px)"),
    "upscale": N_("Enlarged (times)"),
    "num_outputs": N_("Number of pictures"),
    "num_candidates": N_("Best of so many"),
    "num_inference_steps": N_("Steps"),
    "guidance_scale": N_("Guidance"),
    "guidance_start": N_("Guidance begins at"),
    "guidance_end": N_("Guidance ends at"),
    "loras": N_("LoRA files"),
    "scheduler": N_("Sampler"),
    "seed": N_("Seed"),
    "unknown_words": N_("Words that the model cannot read"),
    "long_prompt": N_("Text that is too long"),
    "disable_safety_checker": N_("Safety checker off"),
    "safety_threshold": N_("Threshold of the safety checker"),
    "output_format": N_("File format"),
    "output_quality": N_("Quality of the file"),
    "model": N_("Model"),
    "licence": N_("Licence"),
    "licence_url": N_("Text of the licence"),
    "use_restrictions": N_("Restrictions on use"),
    "model_sha256": N_("Checksum of the model"),
    "upscaler_sha256": N_("Checksum of the upscaler"),
    "pixels_sha256": N_("Checksum of the picture"),
    "image_sha256": N_("Checksum of the picture it started from"),
    "mask_sha256": N_("Checksum of the part repainted"),
    "safety_checker": N_("Safety checker"),
    "device": N_("Computed on"),
    "dtype": N_("Number format"),
    "batch": N_("Place in its batch"),
    "similarity": N_("How well it fits, by the scorer"),
    "scorer": N_("Scorer"),
    "candidates": N_("Chosen from"),
    "replaced": N_("Words replaced by kana"),
    "design": N_("Design of this seed"),
    "FILE": N_("The file"),
}
# (option, value) -> what a choice is called.
CHOICES = {
    ("unknown_words", "warn"): N_("are named"),
    ("unknown_words", "replace"): N_("are replaced by kana"),
    ("long_prompt", "chunk"): N_("is read in parts"),
    ("long_prompt", "truncate"): N_("is cut off"),
    ("output_format", "png"): N_("PNG: every pixel"),
    ("output_format", "webp"): N_("WebP: small"),
    ("output_format", "jpg"): N_("JPEG: small, for all programs"),
    ("style", ""): "—",
}


class Words:
    """Parts of the page with what is said in them: property -> English."""

    def __init__(self) -> None:
        self._said: list[tuple[Any, dict[str, str], tuple[str, list[Any]] | None]] = []

    def add(self, kind: type[Made], said: dict[str, str], **arguments: Any) -> Made:
        component = kind(**{name: _(words) for name, words in said.items()}, **arguments)
        self._said.append((component, said, None))
        return component

    def add_choice(self, name: str, choices: list[Any], **arguments: Any) -> gr.Dropdown:
        """A list to choose from for the option `name`, whose choices have words of their own."""
        said = {"label": LABELS[name]}
        component = gr.Dropdown(choices=named(name, choices), label=_(LABELS[name]), elem_id=name, **arguments)
        self._said.append((component, said, (name, choices)))
        return component

    @property
    def components(self) -> list[Any]:
        return [component for component, _said, _choices in self._said]

    def updates(self) -> dict[Any, dict[str, Any]]:
        """Of the components, in the language of the moment."""
        return {
            component: {"__type__": "update", **{name: _(words) for name, words in said.items()}}
            if choices is None
            else gr.update(label=_(said["label"]), choices=named(*choices))
            for component, said, choices in self._said
        }


def named(name: str, choices: list[Any]) -> list[tuple[str, Any]]:
    return [(_(CHOICES[name, one]) if (name, one) in CHOICES else str(one), one) for one in choices]


def label(name: str) -> str:
    """Of an option or an entry in a picture's file; an entry that is not ours keeps its name."""
    return _(LABELS[name]) if name in LABELS else name


def sentence(said: Sentence) -> str:
    """An error or a note, in the page's own words for what is named by the code's."""
    words = translated(said.sentence)
    for (name, value), choice in CHOICES.items():
        if name in words:
            words = _called(words, value, choice)
    for name, shown in LABELS.items():
        # In English the names without "_" are words as others.
        words = _called(words, name, shown) if "_" in name or language() == "ja" else words
    words = COMMAND.sub(_(SEARCH), words)
    params = dict(said.params)
    if params.get("field") in LABELS:
        params["field"] = f"«{label(str(params['field']))}»"
    return str(Sentence(said.code, words, **params))


def _called(words: str, name: str, shown: str) -> str:
    return re.sub(rf"(?<![\w{{.-]){name}(?![\w}}.-])", f"«{_(shown)}»", words, flags=re.ASCII) if name else words
