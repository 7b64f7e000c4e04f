"""What stands where on the page. On a phone the columns stand below one another: words, settings (folded),
pictures, what the model knows."""

from io import BytesIO
from typing import Any

import gradio as gr
from PIL import Image

from jsd.i18n import N_, _
from jsd.options import OPTIONS
from jsd.pipeline import Pipeline
from jsd.prompting.styles import readable_styles
from jsd.serving.loras import lora_names
from jsd.serving.page.form import CANVAS
from jsd.serving.page.known import Known
from jsd.serving.page.words import LABELS, Words

TITLE = "Japanese Stable Diffusion"
LANGUAGES = [("日本語", "ja"), ("English", "en")]
PLACEHOLDER = "サラリーマン 油絵"
BRUSHES: list[str | tuple[str, float]] = ["#d33f2e", "#2e6fd3", "#3a9d4a", "#e8c547", "#000000", "#ffffff"]
SUFFIXES = [".png", ".jpg", ".jpeg", ".webp"]
# Of a drawing whose blobs have come and which was not yet asked for: see `gradio.ImageEditor.accept_blobs`.
MAX_DRAWINGS, MAX_LAYERS = 16, 8
MAX_DRAWN_PX = 16_000_000  # the page's own pictures are shrunk by the browser to far fewer
# A tile tells which it is: {"kind", "index"}.
TELL = """
element.addEventListener('click', (event) => {
    const tile = event.target.closest('button[data-kind]');
    if (tile) trigger('choose', {kind: tile.dataset.kind, index: Number(tile.dataset.index)});
});
element.addEventListener('input', (event) => {
    if (event.target.type !== 'search') return;
    jsd.search(element, event.target.value);
    trigger('search', {text: event.target.value});
});
"""


class Layout:
    """The parts that something happens with; `form` has the inputs by the name of their option."""

    def __init__(self, pipeline: Pipeline, known: Known) -> None:
        self.words = Words()
        self.form: dict[str, Any] = {}
        self._pipeline, self._known = pipeline, known
        self.token, self.shown = gr.State(""), gr.State("")
        self.kept, self.archive = gr.Textbox(visible=False), gr.Textbox(visible=False)
        self.history = gr.BrowserState([], storage_key="jsd-prompts", secret="jsd")
        with gr.Row(elem_id="head"):
            gr.Markdown(f"# {TITLE}", elem_id="title")
            said = {"label": N_("Language")}
            self.language = self.words.add(
                gr.Radio, said, choices=LANGUAGES, value="en", show_label=False, container=False, elem_id="language"
            )
        with gr.Column(elem_id="page"):
            self.model = gr.HTML(elem_id="model", apply_default_css=False)
            with gr.Column(elem_id="ask"):
                self._ask()
            with gr.Column(elem_id="tune"):
                self._tune()
            with gr.Column(elem_id="answer"):
                self._answer()

    def _ask(self) -> None:
        said = {"label": N_("What to draw, in Japanese"), "placeholder": PLACEHOLDER}
        first = self._known.examples[0].prompt if self._known.examples else PLACEHOLDER
        self.form["prompt"] = self.words.add(gr.Textbox, said, value=first, lines=2, max_lines=8, elem_id="prompt")
        self.reading = gr.HTML(elem_id="reading", apply_default_css=False)
        self.kana = gr.Button(visible=False, size="sm", elem_id="kana")
        self.styles = readable_styles(self._pipeline.tokenizer)
        self.form["style"] = self.words.add_choice("style", ["", *self.styles], value="")
        with gr.Row(elem_id="buttons"):
            self.draw = self.words.add(
                gr.Button, {"value": N_("Draw")}, variant="primary", scale=3, min_width=120, elem_id="draw"
            )
            self.cancel = self.words.add(
                gr.Button, {"value": N_("Cancel")}, variant="stop", interactive=False, min_width=90, elem_id="cancel"
            )

    def _answer(self) -> None:
        self.status = gr.HTML(elem_id="status", apply_default_css=False)
        self.gallery = self.words.add(
            gr.Gallery,
            {"label": N_("Your pictures")},
            visible=False,
            type="filepath",
            interactive=False,
            columns=4,
            height="auto",
            object_fit="contain",
            buttons=["download", "fullscreen"],
            elem_id="gallery",
        )
        with gr.Row(visible=False, elem_id="actions") as self.actions:
            self.to_image = self._small(N_("Draw from this picture"), "to_image")
            self.to_mask = self._small(N_("Repaint a part of it"), "to_mask")
            self.delete = self._small(N_("Delete"), "delete")
            self.download = self._small(N_("Download all (ZIP)"), "download")
        self.parameters = gr.HTML(elem_id="parameters", apply_default_css=False)
        self.apply = self._small(N_("Use these settings"), "apply", visible=False)
        self.catalogue = gr.HTML(elem_id="catalogue", apply_default_css=False, js_on_load=TELL)
        self.things = gr.HTML(elem_id="things", apply_default_css=False, js_on_load=TELL)
        self.prompts = gr.HTML(elem_id="prompts", apply_default_css=False, js_on_load=TELL)
        said = {"label": N_("Read the settings of a picture (or drag one anywhere)")}
        with gr.Column(elem_id="dropped"):
            self.dropped = self.words.add(gr.UploadButton, said, type="filepath", size="sm")

    def _tune(self) -> None:
        said = {"label": N_("Settings")}
        with self.words.add(gr.Accordion, said, open=True, elem_id="settings") as self.settings:
            said = {"label": LABELS["negative_prompt"]}
            self.form["negative_prompt"] = self.words.add(gr.Textbox, said, value="", elem_id="negative_prompt")
            width, height = self._pipeline.default_size
            with gr.Row():
                self._typed("width", str(width))
                self._typed("height", str(height))
                self._choice("upscale", list(range(*_range("upscale"))))
            with gr.Row():
                self._choice("num_outputs", list(range(*_range("num_outputs"))))
                self._choice("num_candidates", list(range(*_range("num_candidates"))))
            with gr.Row():
                self._slider("num_inference_steps", step=1)
                self._slider("guidance_scale", step=0.5)
            with gr.Row(equal_height=True):
                self._typed("seed", N_("random"))
                with gr.Row(elem_id="seeds"):
                    self.dice = self._small(N_("⚄ Random"), "dice")
                    self.reuse = self._small(N_("↺ Of this picture"), "reuse")
            with gr.Row():
                self._slider("guidance_start", step=0.05)
                self._slider("guidance_end", step=0.05)
            with gr.Row():
                self._choice("scheduler")
                self._choice("long_prompt")
            with gr.Row():
                self._choice("output_format")
                self._slider("output_quality", step=1)
            self._typed("loras", ", ".join(lora_names()), visible=bool(lora_names()))
            said = {"label": N_("Replace words that the model cannot read by their kana")}
            self.form["unknown_words"] = self.words.add(gr.Checkbox, said, container=False, elem_id="unknown_words")
        title = N_("Start from a picture, repaint a part of it")
        with self.words.add(gr.Accordion, {"label": title}, open=False, elem_id="start") as self.start:
            self.form["drawing"] = self.words.add(
                gr.ImageEditor,
                {"label": N_("Picture; paint over what is to be redrawn")},
                type="pil",
                format="png",
                layers=False,
                sources=["upload", "clipboard"],
                buttons=[],
                transforms=["crop"],
                brush=gr.Brush(colors=BRUSHES),
                canvas_size=CANVAS,
                elem_id="drawing",
            )
            _bound(self.form["drawing"])
            said = {"label": N_("My strokes are part of the picture (else they mark what is repainted)")}
            self.form["brush"] = self.words.add(gr.Checkbox, said, container=False, elem_id="brush")
            self._slider("prompt_strength", step=0.05)

    def _small(self, words: str, name: str, **arguments: Any) -> gr.Button:
        return self.words.add(gr.Button, {"value": words}, size="sm", elem_id=name, min_width=100, **arguments)

    def _typed(self, name: str, placeholder: str, **arguments: Any) -> None:
        said = {"label": LABELS[name], "placeholder": placeholder}
        self.form[name] = self.words.add(gr.Textbox, said, value="", min_width=90, elem_id=name, **arguments)

    def _choice(self, name: str, choices: list[Any] | None = None) -> None:
        choices = list(OPTIONS[name].choices) if choices is None else choices
        self.form[name] = self.words.add_choice(name, choices, value=self._default(name), min_width=140)

    def _slider(self, name: str, step: float) -> None:
        rule, value = OPTIONS[name], self._default(name)
        self.form[name] = self.words.add(
            gr.Slider,
            {"label": LABELS[name]},
            minimum=rule.low,
            maximum=rule.high,
            step=step,
            value=value,
            min_width=140,
            elem_id=name,
        )

    def _default(self, name: str) -> object:
        """What is unset is the model's own."""
        value = OPTIONS[name].default
        return getattr(self._pipeline, name) if value is None else value


def _range(name: str) -> tuple[int, int]:
    return int(OPTIONS[name].low), int(OPTIONS[name].high) + 1


def _bound(drawing: gr.ImageEditor) -> None:
    """What a stranger may leave in memory for a drawing that is never asked for."""
    from gradio.components.base import server
    from gradio.utils import LRUCache

    accept, preprocess, convert = drawing.accept_blobs, drawing.preprocess, drawing.convert_and_format_image
    drawing.blob_storage = LRUCache(MAX_DRAWINGS)

    def accept_blobs(data: Any) -> None:
        index = str(data.data.get("index"))
        if index.isdigit() and int(index) >= MAX_LAYERS:
            raise ValueError(f"a drawing has at most {MAX_LAYERS} layers, got {index}")
        accept(data)

    def of_few_layers(payload: Any) -> Any:
        if payload is not None and len(payload.layers) > MAX_LAYERS:
            raise gr.Error(_("a drawing has at most {layers} layers", layers=MAX_LAYERS))
        return preprocess(payload)

    def of_few_pixels(file: Any, **arguments: Any) -> Any:
        """From its header: decoded, a small file may have more pixels than there is memory."""
        if file is not None:
            with Image.open(BytesIO(file) if isinstance(file, bytes) else file.path) as opened:
                if opened.width * opened.height > MAX_DRAWN_PX:
                    raise gr.Error(_("a picture on the canvas has at most {count:,} pixels", count=MAX_DRAWN_PX))
        return convert(file, **arguments)

    drawing.preprocess = of_few_layers  # type: ignore[method-assign]
    drawing.convert_and_format_image = of_few_pixels  # type: ignore[assignment]
    drawing.accept_blobs = server(accept_blobs)  # type: ignore[no-untyped-call]
