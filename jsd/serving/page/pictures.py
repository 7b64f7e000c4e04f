"""The pictures of a visitor of the page: which is shown, what is said of it, and what is done with it."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from jsd.errors import InvalidInputError, JsdError, Sentence
from jsd.i18n import _, in_language
from jsd.images.metadata import read_picture_file
from jsd.serving.page import markup
from jsd.serving.page.form import from_record, not_taken_over, refused
from jsd.serving.page.layout import SUFFIXES, Layout
from jsd.serving.page.telling import complain, complain_of
from jsd.serving.page.visitors import Picture, Visitor, Visitors

Updates = dict[Any, Any]


class Pictures:
    def __init__(self, at: Layout, visitors: Visitors) -> None:
        self.at, self.visitors = at, visitors

    def say(self, visitor: Visitor, status: Callable[[], str]) -> Updates:
        """The last word to the visitor, in whatever language is chosen now or later."""
        visitor.status = status
        with in_language(visitor.language):
            return {self.at.status: status()}

    def show(self, visitor: Visitor, picture: Picture | None) -> Updates:
        """The visitor's pictures, this one large, and what is to be said of it and done with it."""
        picture = picture if picture in visitor.pictures else None
        at, index = self.at, None if picture is None else visitor.pictures.index(picture)
        words, values = ("", {}) if picture is None else self.parameters(picture)
        return {
            at.shown: "" if picture is None else str(picture.path),
            at.gallery: gr.update(
                value=visitor.gallery(),
                selected_index=index,
                preview=picture is not None,
                visible=bool(visitor.pictures),
            ),
            at.actions: gr.update(visible=picture is not None),
            at.parameters: words,
            at.apply: gr.update(visible=bool(values)),
        }

    def parameters(self, picture: Picture) -> tuple[str, Mapping[str, Any]]:
        """What the file says of itself, in words and by name."""
        try:
            values = read_picture_file(picture.path).values
        except JsdError as error:
            return complain(error), {}
        if not values:
            said = _("{name} does not say what made it.", name=picture.path.name)
            return markup.failed(said), {}
        return markup.parameters(values), values

    def choose(self, token: str, chosen: gr.SelectData) -> Updates:
        visitor = self.visitors.of(token)
        picture = visitor.picture(browser_object(browser_object(chosen.value).get("image")).get("path"))
        with in_language(visitor.language):
            return self.show(visitor, picture) | {self.at.gallery: gr.skip()}

    def choose_none(self, token: str) -> Updates:
        visitor = self.visitors.of(token)
        return self.show(visitor, None) | {self.at.gallery: gr.skip()}

    def open_file(self, token: str, path: str) -> Updates:
        """A picture of the visitor's own among those that were drawn."""
        visitor, name = self.visitors.of(token), Path(path).name
        with in_language(visitor.language):
            try:
                if Path(name).suffix.lower() not in SUFFIXES:
                    raise InvalidInputError(
                        "page.no_picture",
                        "{field} must be a picture ({suffixes}), got {value}; choose another file",
                        field="FILE",
                        suffixes=", ".join(SUFFIXES),
                        value=name,
                    )
                read_picture_file(Path(path))
            except JsdError as error:
                said = partial(complain, called(error, path, name))
                return {self.at.token: visitor.token} | self.say(visitor, said)
            picture = self.visitors.keep(visitor, name, Path(path).read_bytes(), name)
            return {self.at.token: visitor.token, self.at.status: ""} | self.show(visitor, picture)

    def delete(self, token: str, shown: str) -> Updates:
        visitor = self.visitors.of(token)
        picture = visitor.picture(shown)
        with in_language(visitor.language):
            if picture is None:
                return self.show(visitor, None)
            place = visitor.pictures.index(picture)
            self.visitors.delete(visitor, picture)
            return self.show(
                visitor, visitor.pictures[min(place, len(visitor.pictures) - 1)] if visitor.pictures else None
            )

    def archive(self, token: str) -> str:
        return str(self.visitors.archive(self.visitors.of(token)))

    def apply(self, token: str, shown: str) -> Updates:
        visitor = self.visitors.of(token)
        picture = visitor.picture(shown)
        if picture is None:
            return {self.at.status: gr.skip()}
        file = read_picture_file(picture.path)
        lost = refused(file.values) if file.record is None else []
        values = {name: value for name, value in file.values.items() if name not in lost}
        try:
            form = from_record(values, self.at.styles)
        except JsdError as error:
            return self.say(visitor, partial(complain, error))
        updates: Updates = {self.at.form[name]: value for name, value in form.items()}
        if values.get("image") is None:
            updates |= {self.at.form["drawing"]: None, self.at.form["brush"]: False}
        names = [*lost, *not_taken_over(values, self.at.styles)]
        return updates | (self.say(visitor, partial(complain_of, names)) if names else {})

    def reuse_seed(self, token: str, shown: str) -> Any:
        picture = self.visitors.of(token).picture(shown)
        seed = None if picture is None else read_picture_file(picture.path).values.get("seed")
        return gr.skip() if seed is None else str(seed)

    def edit(self, token: str, shown: str) -> Updates:
        """The picture that is shown, to start from or to repaint."""
        picture = self.visitors.of(token).picture(shown)
        if picture is None:
            return {self.at.start: gr.skip()}
        drawing = {"background": str(picture.path), "layers": [], "composite": str(picture.path)}
        return {self.at.start: gr.update(open=True), self.at.form["drawing"]: drawing, self.at.form["brush"]: False}


def called(error: JsdError, path: str, name: str) -> Sentence:
    """`error` of the file at `path`, which its visitor knows as `name`."""
    params = {key: str(value).replace(path, name) for key, value in error.params.items()}
    return Sentence(error.code, error.sentence, **params)


def browser_object(value: Any) -> Mapping[str, Any]:
    """What a browser sent, if it is an object or the JSON of one."""
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}
