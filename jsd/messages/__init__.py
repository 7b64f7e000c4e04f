"""Every sentence said to a user, in English and in Japanese, by code.

Codes are `area.what`, sorted, in modules by what an area is about; `{name}` is filled from the values of the error or
warning. The language is `JSD_LANG` (`en` or `ja`), else the locale's, else English.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from jsd.messages import commands, drawing, models, requests, serving, training

MESSAGES: dict[str, tuple[str, str]] = (
    commands.ROWS | drawing.ROWS | models.ROWS | requests.ROWS | serving.ROWS | training.ROWS
)

LANGUAGES = ("en", "ja")

# Of whom a sentence is for, where that is not who started the program: a visitor of the web page.
_LISTENER: ContextVar[str | None] = ContextVar("language", default=None)


@contextmanager
def in_language(name: str) -> Iterator[None]:
    """Sentences made within the block are in the language `name`: "ja" or "en"."""
    token = _LISTENER.set(name)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def language() -> str:
    """The user's language: "ja" or "en"."""
    listener = _LISTENER.get()
    if listener is not None:
        return listener
    asked = os.environ.get("JSD_LANG", "").lower()[:2]
    if asked in LANGUAGES:
        return asked
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"


def message(code: str, **params: object) -> str:
    """The sentence of `code` in the user's language, with `params` filled in."""
    english, japanese = MESSAGES[code]
    return (japanese if language() == "ja" else english).format(**params)
