"""The web page: what happens when something on it is pressed."""

import inspect
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from jsd.candidates import caption_of
from jsd.errors import JsdError
from jsd.i18n import _, in_language, language_set
from jsd.images import encode_image
from jsd.job import GeneratedImage
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.preview import load_preview
from jsd.prompting.concepts import MAX_SEARCHED
from jsd.prompting.prompts import read_prompts
from jsd.scoring import Scorer
from jsd.serving.page import markup
from jsd.serving.page.drawing import Done, draw
from jsd.serving.page.form import in_kana, restored, to_options
from jsd.serving.page.known import load_known
from jsd.serving.page.layout import TITLE, Layout
from jsd.serving.page.line import Line
from jsd.serving.page.pictures import Pictures, Updates, browser_object
from jsd.serving.page.telling import cancelled, complain, tell
from jsd.serving.page.visitors import Picture, Visitor, Visitors

# Files of uploads go when they are older than a day, looked for every hour.
DELETE_CACHE = (3600, 86400)
MAX_PROMPTS = 20  # remembered by the visitor's browser
# What the prompts are read from.
TEXTS = ("prompt", "negative_prompt", "style", "unknown_words", "long_prompt")
RECALL = "(kept, prompts) => [jsd.recall(), prompts]"


class Page:
    """`blocks` on one model; visitors share it in turn, each picture is its visitor's own. With a scorer the pictures
    of a request are in its order, the best first."""

    def __init__(self, pipeline: Pipeline, folder: Path, scorer: Scorer | None = None) -> None:
        self.pipeline, self.preview, self.scorer = pipeline, load_preview(pipeline), scorer
        self.visitors, self.line = Visitors(folder), Line()
        self.known, self.concepts = load_known(pipeline.folder), pipeline.tokenizer.known
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=DELETE_CACHE) as self.blocks:
            self.at = Layout(pipeline, self.known)
            self.pictures = Pictures(self.at, self.visitors)
            self._connect()

    def _connect(self) -> None:
        at, form = self.at, list(self.at.form.values())
        quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        shown = [at.shown, at.gallery, at.actions, at.parameters, at.apply]
        said = [*at.words.components, at.status, at.parameters, at.model, at.catalogue, at.things, at.prompts]
        everything = [at.token, at.language, at.reading, at.kana, *shown, *said, *form]
        greeted = self.blocks.load(self._greet, [at.kept, at.history], everything, js=RECALL, **quick)
        speak = [at.token, at.language, at.shown, at.history]
        at.language.input(self._translate, speak, [at.token, *said], **quick)
        at.language.change(None, at.language, None, js="(language) => { jsd.speak(language); }")
        kept = [name for name in at.form if name != "drawing"]
        gr.on(
            [at.form[name].change for name in kept],
            None,
            [at.form[name] for name in kept],
            None,
            js=f"(...values) => {{ jsd.keepForm({json.dumps(kept)}, values); }}",
        )
        texts = [at.form[name] for name in TEXTS]
        gr.on(
            [one.change for one in [*texts, at.language]],
            self._read,
            [at.token, at.language, *texts],
            [at.reading, at.kana],
            trigger_mode="always_last",
            **quick,
        )
        at.kana.click(self._spell_in_kana, at.form["prompt"], at.form["prompt"], **quick)

        asked = [at.draw.click, at.form["prompt"].submit]
        gr.on(asked, self._remember, [at.token, at.history, at.form["prompt"]], [at.history, at.prompts], **quick)
        # In the line of `jsd.serving.page.line`, not in Gradio's, which tells of places in no language of ours.
        drawn = gr.on(
            asked,
            self._drawer(),
            [at.token, *form],
            [at.token, at.status, at.cancel, *shown],
            show_progress="hidden",
            concurrency_limit=None,
            api_name="draw",
        )
        # Afterwards, not meanwhile: a preview that is on its way would come after the words.
        at.cancel.click(None, cancels=[drawn]).then(self._cancelled, at.token, [at.status, at.cancel], **quick)

        self._connect_pictures(form, shown, quick)
        for part in (at.catalogue, at.things):
            part.choose(self._take_known, None, form, **quick)
        at.catalogue.search(self._search, at.token, at.things, trigger_mode="always_last", **quick)
        at.prompts.choose(self._take_prompt, at.history, at.form["prompt"], **quick)
        for event in (greeted, drawn):  # where the server has forgotten the visitor, the token is another now
            self._keep_token(event, quick)

    def _keep_token(self, event: Any, quick: dict[str, Any]) -> None:
        told = event.then(lambda token: token, self.at.token, self.at.kept, **quick)
        told.then(None, self.at.kept, None, js="(token) => { jsd.keep({token}); }")

    def _connect_pictures(self, form: list[Any], shown: list[Any], quick: dict[str, Any]) -> None:
        """What is done with those that are drawn, and with a file that is brought."""
        at = self.at
        at.gallery.select(self.pictures.choose, at.token, shown, **quick)
        at.gallery.preview_close(self.pictures.choose_none, at.token, shown, **quick)
        brought = [at.token, at.status, *shown]
        opened = at.dropped.upload(self.pictures.open_file, [at.token, at.dropped], brought, **quick)
        this = [at.token, at.shown]
        at.delete.click(self.pictures.delete, this, shown, **quick)
        at.download.click(self.pictures.archive, at.token, at.archive, **quick).then(
            None, at.archive, None, js="(path) => { jsd.download(path); }"
        )
        at.apply.click(self.pictures.apply, this, [at.status, *form], **quick)
        at.dice.click(lambda: "", None, at.form["seed"], **quick)
        at.reuse.click(self.pictures.reuse_seed, this, at.form["seed"], **quick)
        editor = [at.start, at.form["drawing"], at.form["brush"]]
        at.to_image.click(self.pictures.edit, this, editor, **quick).then(None, js="() => { jsd.edit(false); }")
        at.to_mask.click(self.pictures.edit, this, editor, **quick).then(None, js="() => { jsd.edit(true); }")
        self._keep_token(opened, quick)

    def _greet(self, recalled: str, prompts: Any, request: gr.Request) -> Updates:
        """The page as the browser tab left it; else in the language that JSD_LANG names, else the browser's first."""
        left = browser_object(recalled)
        visitor = self.visitors.of(left.get("token"))
        wanted = str(request.headers.get("accept-language", "")).lower()
        browser = "ja" if wanted.startswith("ja") else "en"
        visitor.language = next(one for one in (left.get("language"), language_set(), browser) if one in ("ja", "en"))
        at = self.at
        with in_language(visitor.language):
            updates: Updates = {at.token: visitor.token} | self._said(visitor, prompts)
            shown = self.pictures.show(visitor, next(iter(visitor.pictures), None))
            kept = restored(browser_object(left.get("form")), at.styles)
            values = {name: at.form[name].value for name in TEXTS} | kept
            filled = {at.form[name]: gr.update(value=value) for name, value in values.items()}
            read = self._read(visitor.token, visitor.language, *(values[name] for name in TEXTS))
            updates |= dict(zip((at.reading, at.kana), read, strict=True))
            chosen = {
                at.language: gr.update(value=visitor.language),
                at.settings: gr.update(open=not left.get("narrow")),
            }
            for more in (shown, filled, chosen, at.words.updates()):
                for part, update in more.items():
                    updates[part] = updates[part] | update if part in updates and isinstance(update, dict) else update
            return updates

    def _translate(self, token: str, language: str, shown: str, prompts: Any) -> Updates:
        visitor = self.visitors.of(token)
        visitor.language = language
        with in_language(language):
            picture = visitor.picture(shown)
            parameters = {} if picture is None else {self.at.parameters: self.pictures.parameters(picture)[0]}
            return {self.at.token: visitor.token} | self.at.words.updates() | self._said(visitor, prompts) | parameters

    def _said(self, visitor: Visitor, prompts: Any) -> Updates:
        """What is said outside of the words of the parts, in the language of the moment."""
        return {
            self.at.status: visitor.status(),
            self.at.model: markup.model(self.pipeline, self.known),
            self.at.catalogue: markup.catalogue(self.known, self.concepts),
            self.at.things: markup.words(self.concepts),
            self.at.prompts: markup.prompts(_texts(prompts)),
        }

    def _read(
        self, token: str, language: str, prompt: str, negative_prompt: str, style: str, replace: bool, long_prompt: str
    ) -> Any:
        with in_language(language):
            try:
                options = SamplingOptions(
                    prompt=prompt,
                    negative_prompt=negative_prompt,
                    style=style if prompt else "",
                    unknown_words="replace" if replace else "warn",
                    long_prompt=long_prompt,
                )
                prompts = read_prompts(self.pipeline.tokenizer, options)
                suggestion = in_kana(self.pipeline.tokenizer, prompt)
            except JsdError as error:
                return complain(error), gr.update(visible=False)
            words = _("Write: {suggestion}", suggestion=suggestion)
            offered = len(prompts.prompt.spellings + prompts.negative_prompt.spellings) > 0 and not replace
            return markup.reading(prompts), gr.update(visible=offered and suggestion != prompt, value=words)

    def _spell_in_kana(self, prompt: str) -> str:
        return in_kana(self.pipeline.tokenizer, prompt)

    def _remember(self, token: str, prompts: Any, prompt: str) -> tuple[list[str], str]:
        texts = list(dict.fromkeys([text for text in [prompt, *_texts(prompts)] if text.strip()]))[:MAX_PROMPTS]
        with in_language(self.visitors.of(token).language):
            return texts, markup.prompts(texts)

    def _drawer(self) -> Any:
        """`_draw` with the inputs' names, by which Gradio's client knows them."""

        def drawer(*values: Any) -> Iterator[Updates]:
            yield from self._draw(*values)

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parts: dict[str, Any] = {"token": self.at.token, **self.at.form}
        signature = inspect.Signature([inspect.Parameter(name, kind, default=one.value) for name, one in parts.items()])
        drawer.__signature__ = signature  # type: ignore[attr-defined]
        return drawer

    def _draw(self, token: str, *values: Any) -> Iterator[Updates]:
        """Where the visitor stands in line, previews, then each picture as it is ready."""
        at, visitor, drawn, scores = self.at, self.visitors.of(token), list[Picture](), list[float]()
        yield {at.token: visitor.token, at.cancel: gr.update(interactive=True)}
        try:
            options = to_options(dict(zip(at.form, values, strict=True)))
            for told in draw(self.pipeline, self.preview, self.line, options):
                if isinstance(told, GeneratedImage):
                    score = self._score(told) if options.num_outputs > 1 else 0.0
                    place = sum(other >= score for other in scores)
                    scores.append(score)
                    drawn.insert(place, self._keep(visitor, told, place))
                    with in_language(visitor.language):
                        updates = self.pictures.show(visitor, drawn[0])
                    yield updates  # in no block with a language: each step of a generator may run in its own context
                elif isinstance(told, Done):
                    visitor.status = partial(tell, told, self.scorer.name if self.scorer and len(drawn) > 1 else None)
                else:
                    yield self.pictures.say(visitor, partial(tell, told))
        except GeneratorExit:  # of a page that was left or loaded anew
            visitor.status = cancelled
            raise
        except JsdError as error:
            visitor.status = partial(complain, error)
        idle: Updates = {at.cancel: gr.update(interactive=False)}
        # A program that draws here sees the last of these alone, and looks for pictures in the gallery.
        yield idle | self.pictures.say(visitor, visitor.status) | ({at.gallery: visitor.gallery()} if drawn else {})

    def _score(self, drawn: GeneratedImage) -> float:
        """The higher the better; all alike where nothing judges."""
        if self.scorer is None:
            return 0.0
        return float(self.scorer.similarity([drawn.image], [caption_of(drawn.options)]))

    def _keep(self, visitor: Visitor, drawn: GeneratedImage, place: int) -> Picture:
        name = f"jsd-{drawn.seed}.{drawn.options.output_format}"
        data = encode_image(drawn.image, Path(name), quality=drawn.options.output_quality, metadata=drawn.metadata)
        return self.visitors.keep(visitor, name, data, f"{drawn.options.prompt} · {drawn.seed}", place)

    def _cancelled(self, token: str) -> Updates:
        return self.pictures.say(self.visitors.of(token), cancelled) | {self.at.cancel: gr.update(interactive=False)}

    def _take_known(self, chosen: gr.EventData) -> Updates:
        form, index = self.at.form, int(chosen.index)
        if chosen.kind == "example":
            one = self.known.examples[index]
            return {form["prompt"]: one.prompt, form["style"]: "", form["seed"]: str(one.seed)}
        if chosen.kind == "style":
            return {form["style"]: list(self.known.styles)[index]}
        return {form["prompt"]: gr.skip() if self.concepts is None else self.concepts.concepts[index].name}

    def _search(self, token: str, sought: gr.EventData) -> str:
        with in_language(self.visitors.of(token).language):
            return markup.words(self.concepts, str(sought.text)[:MAX_SEARCHED])

    def _take_prompt(self, prompts: Any, chosen: gr.EventData) -> str:
        return _texts(prompts)[int(chosen.index)]


def _texts(value: Any) -> list[str]:
    """The prompts that a browser remembers, if it does."""
    return [one for one in value if isinstance(one, str)][:MAX_PROMPTS] if isinstance(value, list) else []
