"""The web page: what stands where, and what happens when something is pressed."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import gradio as gr

from jsd.errors import InvalidInputError, JsdError
from jsd.i18n import N_, _, in_language
from jsd.images.metadata import read_picture_file
from jsd.job import Job
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.preview import load_preview
from jsd.prompting.prompts import Prompts, read_prompts
from jsd.prompting.styles import readable_styles
from jsd.safety import blank_unsafe
from jsd.schedulers import SCHEDULERS
from jsd.serving import markup
from jsd.serving.form import CANVAS, FORM, from_record, in_kana, not_taken_over, to_options
from jsd.serving.pictures import picture_folder, save_picture

TITLE = "Japanese Stable Diffusion"
LANGUAGES = [("日本語", "ja"), ("English", "en")]
# Between two previews: what a browser can show, and far less than what drawing costs.
PREVIEW_SECONDS = 0.2
MAX_GALLERY = 40  # pictures; the oldest leave
# Files of pictures go when they are older than a day, looked for every hour.
DELETE_CACHE = (3600, 86400)
SYSTEM_FONTS = ("system-ui", "Hiragino Sans", "Yu Gothic UI", "Noto Sans JP", "Noto Sans CJK JP", "sans-serif")
# The glyphs of Chinese and Japanese differ: the page says which it is in.
SET_LANGUAGE = "(language) => { document.documentElement.lang = language; }"
STYLE = """
.gradio-container { width: 100%; max-width: 1280px !important; margin: 0 auto; }
#title h1 { font-size: 1.4rem; margin: 0; overflow-wrap: normal; word-break: keep-all; }
@media (max-width: 640px) { #title h1 { font-size: 1rem; } }
#language { min-width: 13rem !important; max-width: 16rem; margin-left: auto; }
#language .wrap { flex-wrap: nowrap; justify-content: flex-end; }
#language span { white-space: nowrap; }
.reading p, .drawing p, .finished p, .failed p { margin: 0.15rem 0; }
.reading ul, .finished ul { margin: 0.25rem 0; padding-left: 1.2rem; font-size: 0.9rem; list-style: disc; }
.reading { font-size: 0.9rem; }
.reading .tokens { opacity: 0.75; }
.reading .unread b { background: #b4231822; color: #b42318; border-radius: 3px; padding: 0 0.25rem; margin: 0 0.1rem; }
.dark .reading .unread b { color: #ff8a80; }
.drawing { text-align: center; }
.drawing img { width: min(100%, 20rem); margin: 0 auto 0.5rem; border-radius: 6px; }
.drawing progress { width: min(100%, 20rem); }
.failed { border-left: 4px solid #b42318; padding: 0.4rem 0.8rem; background: #b4231814; }
.finished { border-left: 4px solid #1a7f4b; padding: 0.4rem 0.8rem; background: #1a7f4b14; }
.parameters { overflow-wrap: anywhere; }
.parameters table { width: 100%; font-size: 0.9rem; border-collapse: collapse; }
.parameters h3 { font-size: 1rem; font-weight: 600; margin-bottom: 0.3rem; }
.parameters th { text-align: left; width: 11rem; font-weight: 500; opacity: 0.75; vertical-align: top; }
.parameters th, .parameters td { padding: 0.15rem 0.8rem 0.15rem 0; }
.parameters td { white-space: pre-wrap; }
.parameters tr { border-bottom: 1px solid #8882; }
.parameters summary { cursor: pointer; margin-top: 0.4rem; font-size: 0.9rem; }
"""

Updates = dict[Any, Any]
Made = TypeVar("Made")


def theme() -> gr.themes.Base:
    """Fonts that the visitor has: none is fetched."""
    fonts = [gr.themes.Font(name) for name in SYSTEM_FONTS]
    mono = [gr.themes.Font(name) for name in ("ui-monospace", "Consolas", "Noto Sans Mono CJK JP", "monospace")]
    return gr.themes.Default(primary_hue="red", neutral_hue="stone", font=fonts, font_mono=mono)


class Page:
    """`blocks` on one model; visitors share the queue, each picture is its visitor's own."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.preview = load_preview(pipeline)
        self.said: list[tuple[Any, dict[str, str]]] = []  # components with their words: property -> sentence
        self.form: dict[str, Any] = {}
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=DELETE_CACHE) as self.blocks:
            self._lay_out()
            self._connect()

    def _add(self, kind: type[Made], said: dict[str, str], **arguments: Any) -> Made:
        """A component whose words follow the visitor's language."""
        component = kind(**{name: _(words) for name, words in said.items()}, **arguments)
        self.said.append((component, said))
        return component

    def _lay_out(self) -> None:
        with gr.Row(equal_height=True):
            gr.Markdown(f"# {TITLE}", elem_id="title")
            self.language = self._add(
                gr.Radio,
                {"label": N_("Language")},
                choices=LANGUAGES,
                value="en",
                show_label=False,
                container=False,
                elem_id="language",
            )
        with gr.Row():
            with gr.Column(scale=5, min_width=320):
                self._lay_out_prompt()
                self._lay_out_settings()
                self._lay_out_start()
            with gr.Column(scale=6, min_width=320):
                self._lay_out_results()

    def _lay_out_prompt(self) -> None:
        said = {"label": N_("What to draw, in Japanese"), "placeholder": N_("サラリーマン 油絵")}
        self.form["prompt"] = self._add(gr.Textbox, said, lines=2, max_lines=8, autofocus=True, elem_id="prompt")
        self.reading = gr.HTML(elem_id="reading")
        self.kana = gr.Button(visible=False, size="sm", elem_id="kana")
        styles = ["", *readable_styles(self.pipeline.tokenizer)]
        with gr.Row():
            self.form["style"] = self._add(
                gr.Dropdown,
                {"label": N_("Style")},
                choices=[(name or "—", name) for name in styles],
                value="",
                elem_id="style",
            )
            self.form["negative_prompt"] = self._add(
                gr.Textbox, {"label": N_("Negative prompt")}, scale=2, elem_id="negative_prompt"
            )
        with gr.Row():
            self.draw_button = self._add(gr.Button, {"value": N_("Draw")}, variant="primary", elem_id="draw")
            self.cancel_button = self._add(
                gr.Button, {"value": N_("Cancel")}, variant="stop", interactive=False, elem_id="cancel"
            )

    def _lay_out_settings(self) -> None:
        options, (width, height) = SamplingOptions, self.pipeline.default_size
        with self._add(gr.Accordion, {"label": N_("Settings")}, open=True, elem_id="settings"):
            with gr.Row():
                for name, side in (("width", width), ("height", height)):
                    self.form[name] = self._add(
                        gr.Textbox, {"label": f"web.{name}"}, placeholder=str(side), min_width=80, elem_id=name
                    )
                self.form["num_outputs"] = self._add(
                    gr.Dropdown,
                    {"label": N_("Pictures")},
                    choices=[1, 2, 3, 4],
                    value=options.num_outputs,
                    min_width=80,
                    elem_id="num_outputs",
                )
            with gr.Row():
                self.form["num_inference_steps"] = self._slider("num_inference_steps", 1, 500, step=1)
                self.form["guidance_scale"] = self._slider("guidance_scale", 1, 20, step=0.5)
            with gr.Row(equal_height=True):
                self.form["scheduler"] = self._add(
                    gr.Dropdown,
                    {"label": N_("Scheduler")},
                    choices=list(SCHEDULERS),
                    value=options.scheduler,
                    scale=2,
                    min_width=170,
                    elem_id="scheduler",
                )
                self.form["seed"] = self._add(
                    gr.Textbox, {"label": N_("Seed"), "placeholder": N_("random")}, min_width=110, elem_id="seed"
                )
                with gr.Column(min_width=140, scale=0):
                    self.dice = self._add(gr.Button, {"value": N_("⚄ Random")}, size="sm", elem_id="dice")
                    self.reuse = self._add(gr.Button, {"value": N_("↺ Last one")}, size="sm", elem_id="reuse")
            self.form["unknown_words"] = self._add(
                gr.Checkbox,
                {"label": N_("Replace words that the model cannot read by their kana")},
                container=False,
                elem_id="unknown_words",
            )

    def _lay_out_start(self) -> None:
        with self._add(
            gr.Accordion, {"label": N_("Start from a picture, repaint a part of it")}, open=False, elem_id="start"
        ):
            self.form["drawing"] = self._add(
                gr.ImageEditor,
                {"label": N_("Picture; paint over what is to be redrawn")},
                type="pil",
                format="png",
                layers=False,
                sources=["upload", "clipboard"],
                buttons=[],
                transforms=["crop"],
                brush=gr.Brush(colors=["#d33f2e", "#2e6fd3", "#3a9d4a", "#e8c547", "#000000", "#ffffff"]),
                canvas_size=CANVAS,
                elem_id="drawing",
            )
            self.form["brush"] = self._add(
                gr.Checkbox,
                {"label": N_("My strokes are part of the picture (else they mark what is repainted)")},
                container=False,
                elem_id="brush",
            )
            self.form["prompt_strength"] = self._slider("prompt_strength", 0, 1, step=0.05)

    def _lay_out_results(self) -> None:
        self.status = gr.HTML(elem_id="status")
        self.gallery = self._add(
            gr.Gallery,
            {"label": N_("Pictures (choose one to see its parameters)")},
            type="filepath",
            interactive=False,
            columns=3,
            height="auto",
            object_fit="contain",
            buttons=["download", "fullscreen"],
            elem_id="gallery",
        )
        self.parameters = gr.HTML(elem_id="parameters", apply_default_css=False)
        self.apply = self._add(
            gr.Button, {"value": N_("Use these settings")}, size="sm", visible=False, elem_id="apply"
        )
        self.dropped = self._add(
            gr.File,
            {"label": N_("Read a picture's parameters: drop its file here")},
            file_types=[".png", ".jpg", ".jpeg", ".webp"],
            type="filepath",
            height=140,
            elem_id="dropped",
        )
        self.record: gr.State = gr.State({})
        self.last_seed: gr.State = gr.State("")

    def _slider(self, name: str, low: float, high: float, step: float) -> gr.Slider:
        default = getattr(SamplingOptions, name)
        value = getattr(self.pipeline, name) if default is None else default
        return self._add(
            gr.Slider,
            {"label": f"web.{name}"},
            minimum=low,
            maximum=high,
            step=step,
            value=value,
            min_width=120,
            elem_id=name,
        )

    def _connect(self) -> None:
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        form = [self.form[name] for name in FORM]
        words = [component for component, _said in self.said]
        self.blocks.load(self._greet, None, [self.language, *words], **quick)
        self.language.input(self._translate, self.language, words, **quick)
        self.language.input(self._reword, [self.language, self.record], self.parameters, **quick)
        self.language.change(None, self.language, js=SET_LANGUAGE)

        texts = [self.form[name] for name in ("prompt", "negative_prompt", "style", "unknown_words")]
        gr.on(
            [one.change for one in [*texts, self.language]],
            self._read,
            [self.language, *texts],
            [self.reading, self.kana],
            trigger_mode="always_last",
            **quick,
        )
        self.kana.click(self._spell_in_kana, texts[0], texts[0], **quick)

        # One prediction at a time: other visitors wait in the queue, which tells them their place.
        drawn = gr.on(
            [self.draw_button.click, self.form["prompt"].submit],
            self._draw,
            [self.language, self.gallery, *form],
            [self.status, self.gallery, self.last_seed, self.cancel_button],
            show_progress="minimal",
            show_progress_on=self.status,
            concurrency_limit=1,
            api_visibility="private",
        )
        # Afterwards, not meanwhile: a preview that is on its way would come after the words.
        self.cancel_button.click(None, cancels=[drawn]).then(
            self._cancelled, self.language, [self.status, self.cancel_button], **quick
        )
        self.dice.click(lambda: "", None, self.form["seed"], **quick)
        self.reuse.click(lambda seed: seed, self.last_seed, self.form["seed"], **quick)

        shown = [self.parameters, self.record, self.apply]
        self.gallery.select(self._show_chosen, [self.language, self.gallery], shown, **quick)
        self.dropped.upload(self._show_file, [self.language, self.dropped], shown, **quick)
        self.apply.click(self._apply, [self.language, self.record], [self.status, *form], **quick)

    def _greet(self, request: gr.Request) -> list[Any]:
        """The page in the language that JSD_LANG names, else the browser's first."""
        wanted = str(request.headers.get("accept-language", "")).lower()
        language = _set_language() or ("ja" if wanted.startswith("ja") else "en")
        return [language, *self._translate(language)]

    def _translate(self, language: str) -> list[Any]:
        def words(said: dict[str, str]) -> dict[str, Any]:
            return {name: _(words) for name, words in said.items()}

        with in_language(language):
            return [gr.update(**words(said)) for _component, said in self.said]

    def _read(self, language: str, prompt: str, negative_prompt: str, style: str, unknown_words: bool) -> Any:
        with in_language(language):
            try:
                prompts = self._read_texts(prompt, negative_prompt, style if prompt else "", unknown_words)
                suggestion = in_kana(self.pipeline.tokenizer, prompt)
            except JsdError as error:
                return markup.failed(str(error)), gr.update(visible=False)
            words = _("Write: {suggestion}", suggestion=suggestion)
            offered = len(prompts.prompt.spellings + prompts.negative_prompt.spellings) > 0 and not unknown_words
            return markup.reading(prompts), gr.update(visible=offered and suggestion != prompt, value=words)

    def _read_texts(self, prompt: str, negative_prompt: str, style: str, unknown_words: bool) -> Prompts:
        options = SamplingOptions(
            prompt=prompt,
            negative_prompt=negative_prompt,
            style=style,
            unknown_words="replace" if unknown_words else "warn",
        )
        return read_prompts(self.pipeline.tokenizer, options)

    def _spell_in_kana(self, prompt: str) -> str:
        return in_kana(self.pipeline.tokenizer, prompt)

    def _reword(self, language: str, record: Mapping[str, Any]) -> Any:
        """The table of parameters, where there is one, in another language."""
        with in_language(language):
            return markup.parameters(record) if record else gr.skip()

    def _draw(self, language: str, gallery: list[tuple[str, str]] | None, *form: Any) -> Iterator[Updates]:
        """Previews, then each picture as it is ready; closing it, which cancelling does, stops the work."""
        began, earlier = perf_counter(), list(gallery or [])
        pipeline, shown_at = self.pipeline, 0.0
        try:
            options = to_options(dict(zip(FORM, form, strict=True)))
            yield self._progress(language, 0, 1, None) | {self.cancel_button: gr.update(interactive=True)}
            job = pipeline.prepare(options)
            for state in pipeline.denoise(job):
                if perf_counter() - shown_at >= PREVIEW_SECONDS:
                    preview = blank_unsafe(pipeline.safety_checker, self.preview.draw(state.predicted), job.options)
                    yield self._progress(language, state.step, state.num_steps, preview)
                    shown_at = perf_counter()
            with picture_folder() as folder:
                new: list[tuple[str, str]] = []
                for picture in pipeline.finish_each(job):
                    path = Path(folder) / f"jsd-{picture.seed}.png"
                    save_picture(picture.image, path, metadata=picture.metadata)
                    new.append((str(path), f"{picture.options.prompt} · {picture.seed}"))
                    # Gradio copies the file, byte for byte, before this goes on.
                    yield {self.gallery: [*new, *earlier][:MAX_GALLERY]}
            yield self._finished(language, job, perf_counter() - began) | self._idle()
        except JsdError as error:
            with in_language(language):
                status = markup.failed(str(error))
            yield {self.status: status} | self._idle()

    def _progress(self, language: str, step: int, num_steps: int, preview: Any) -> Updates:
        with in_language(language):
            words = N_("Step {step} of {num_steps}") if step else N_("Starting")
            said = _(words, step=step, num_steps=num_steps)
            return {self.status: markup.drawing(said, step, num_steps, preview)}

    def _finished(self, language: str, job: Job, seconds: float) -> Updates:
        """What was drawn; which pictures the safety checker withheld; what the prompt's author should know."""
        seeds = [str(one.seed) for one in job.options]
        count = len(seeds) - len(job.withheld)
        with in_language(language):
            said = _(
                "{count} picture(s) in {seconds:.1f} s, seed {seeds}",
                count=count,
                seconds=seconds,
                seeds=", ".join(seeds),
            )
            status = markup.finished(said, map(str, job.notes))
        return {self.status: status, self.last_seed: seeds[0]}

    def _idle(self) -> Updates:
        return {self.cancel_button: gr.update(interactive=False)}

    def _cancelled(self, language: str) -> Updates:
        with in_language(language):
            return {self.status: markup.finished(_("Cancelled."), [])} | self._idle()

    def _show_chosen(self, language: str, gallery: list[tuple[str, str]], chosen: gr.SelectData) -> list[Any]:
        return self._show_file(language, gallery[chosen.index][0])

    def _show_file(self, language: str, path: str) -> list[Any]:
        """What the file says of itself."""
        with in_language(language):
            try:
                values: Mapping[str, Any] = read_picture_file(Path(path)).values
                if not values:
                    raise InvalidInputError(
                        "metadata.none",
                        "{field} must be a picture that says what made it, and {value} says nothing; pass "
                        "the file as jsd or another tool wrote it",
                        field="FILE",
                        value=Path(path).name,
                    )
            except JsdError as error:
                return [markup.failed(str(error)), {}, gr.update(visible=False)]
            return [markup.parameters(values), dict(values), gr.update(visible=True)]

    def _apply(self, language: str, record: Mapping[str, Any]) -> Updates:
        with in_language(language):
            try:
                values = from_record(record)
            except JsdError as error:
                return {self.status: markup.failed(str(error))}
            updates = {self.form[name]: value for name, value in values.items()}
            names = ", ".join(not_taken_over(record))
            return updates | (
                {
                    self.status: markup.failed(
                        _("Not taken over from the file, so another picture will be drawn: {names}.", names=names)
                    )
                }
                if names
                else {}
            )


def _set_language() -> str | None:
    value = os.environ.get("JSD_LANG", "")
    return None if value == "" else "ja" if value.lower().startswith("ja") else "en"
