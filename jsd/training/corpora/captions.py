"""Captions: what a picture shows, said in the ways a user would ask for it."""

import random
from dataclasses import dataclass

from jsd.training.corpora.styles import BACKGROUNDS, CORPUS_STYLES, DEFAULT_STYLE

LANGUAGES = ("ja", "en")
# {thing} in {style}
_WITH_STYLE = {
    "ja": ("{thing} {style}", "{thing}の{style}", "{style}の{thing}", "{thing}、{style}"),
    "en": ("{thing} {style}", "{style} of {thing}", "{thing}, {style}", "{thing} in {style}"),
}
_WITH_BACKGROUND = {
    "ja": ("{thing} {background}", "{thing}、{background}", "{background}の{thing}"),
    "en": ("{thing} {background}", "{thing}, {background}", "{thing} on a {background}"),
}
_AND = {"ja": "、", "en": ", "}


@dataclass(frozen=True)
class Words:
    """How one concept is called in one language: its short name, the keywords that tell it apart, its sound words."""

    name: str
    keywords: tuple[str, ...]
    sounds: tuple[str, ...] = ()  # onomatopoeia and Japanglish, which are among the keywords too


def caption(words: Words, style: str, background: str | None, language: str, rng: random.Random) -> str:
    """One caption of a picture, drawn at random."""
    thing = called(words, language, rng)
    if is_named(style, rng):
        thing = in_style(thing, style, language, rng)
    return thing if background is None else before(thing, background, language, rng)


def called(words: Words, language: str, rng: random.Random) -> str:
    """The short name in 60 of 100, a keyword of its own in 25, the name with a keyword in 15; a sound word stands for
    the short name in 30 of 100."""
    name = rng.choice(words.sounds) if words.sounds and rng.random() < 0.3 else words.name
    choice = rng.random()
    if choice < 0.6 or not words.keywords:
        return name
    if choice < 0.85:
        return rng.choice(words.keywords)
    return name + _AND[language] + rng.choice(words.keywords)


def is_named(style: str, rng: random.Random) -> bool:
    """The default style in 30 of 100 and any other always, so a prompt without a style means the default one."""
    return style != DEFAULT_STYLE or rng.random() < 0.3


def before(thing: str, background: str, language: str, rng: random.Random) -> str:
    named = BACKGROUNDS[background][LANGUAGES.index(language)]
    return rng.choice(_WITH_BACKGROUND[language]).format(thing=thing, background=named)


def in_style(thing: str, style: str, language: str, rng: random.Random) -> str:
    names = CORPUS_STYLES[style].names_ja if language == "ja" else CORPUS_STYLES[style].names_en
    return rng.choice(_WITH_STYLE[language]).format(thing=thing, style=rng.choice(names))
