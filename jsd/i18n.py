"""The user's language, decided here alone: `JSD_LANG` (`en` or `ja`), else the locale's, else English.

Sentences are English where they are raised; `jsd/locale/ja.po` has the Japanese (gettext). `make messages` brings the
catalogue up to date and compiles it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from gettext import GNUTranslations
from pathlib import Path

LANGUAGES = ("en", "ja")
CATALOGUE = Path(__file__).parent / "locale" / "ja.mo"

# Of whom a sentence is for, where that is not who started the program: a visitor of the web page.
_LISTENER: ContextVar[str | None] = ContextVar("language", default=None)


def _(sentence: str, /, **values: object) -> str:
    """`sentence`, a format string, in the user's language with `values` filled in."""
    return translated(sentence).format(**values)


def translated(sentence: str, /) -> str:
    """The format string itself in the user's language."""
    return _japanese().gettext(sentence) if language() == "ja" else sentence


def N_(sentence: str, /) -> str:
    """Marks a sentence that is translated later, when it is shown."""
    return sentence


@contextmanager
def in_language(name: str) -> Iterator[None]:
    """Sentences made within the block are in the language `name`: "ja" or "en"."""
    token = _LISTENER.set(name)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def language_set() -> str | None:
    """That of the environment, whatever the locale; None where it names none of ours."""
    asked = os.environ.get("JSD_LANG", "").lower()[:2]
    return asked if asked in LANGUAGES else None


def language() -> str:
    """The user's language: "ja" or "en"."""
    listener = _LISTENER.get()
    if listener is not None:
        return listener
    asked = language_set()
    if asked is not None:
        return asked
    named = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return "ja" if named.lower().startswith("ja") else "en"


@cache
def _japanese() -> GNUTranslations:
    with CATALOGUE.open("rb") as file:
        return GNUTranslations(file)
