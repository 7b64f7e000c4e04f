"""What the corpus draws: concepts with their Japanese and English names and keywords, from Unicode CLDR."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsd.training.corpora.sources import SOURCES, Source, fetch_source, read_members

GENDER_SIGN = re.compile("\u200d[♀♂]")
CLOCK_FACE = re.compile("[\U0001f550-\U0001f567]")
# Groups that cost capacity and teach little: flags, and signs that are drawn the same but for a glyph.
SHARED_BY = 3  # concepts: a keyword of more tells none of them
GROUPS_LEFT_OUT = ("Flags", "Symbols")


@dataclass(frozen=True)
class Concept:
    """One thing to draw. Names are CLDR's short names, keywords CLDR's others; both lists may share words."""

    emoji: str
    group: str
    name_ja: str
    name_en: str
    keywords_ja: tuple[str, ...]
    keywords_en: tuple[str, ...]
    japan: bool  # belongs to the Japan split
    onomatopoeia: tuple[str, ...]  # those keywords_ja that stand in lists/onomatopoeia.txt or lists/japanglish.txt
    # Of the names and keywords. Not in the repr, by which a training run knows what it was trained on.
    source: str = field(default="", repr=False)  # package and version
    licence: str = field(default="", repr=False)

    @property
    def code(self) -> str:
        """Code points as in the file names of the picture packages: "1f9d1-200d-1f4bc"."""
        return "-".join(f"{ord(character):x}" for character in self.emoji)


def format_concepts(concepts: Iterable[Concept]) -> str:
    """As concepts.json has them, in a corpus and among sprites."""
    return json.dumps([asdict(concept) for concept in concepts], ensure_ascii=False, indent=1)


def parse_concepts(text: str | bytes) -> list[Concept]:
    """TypeError or ValueError where `text` is not what `format_concepts` wrote."""
    return [_concept(entry) for entry in json.loads(text)]


def _concept(entry: dict[str, Any]) -> Concept:
    values: dict[str, Any] = {k: tuple(value) if isinstance(value, list) else value for k, value in entry.items()}
    return Concept(**values)


def read_list(name: str) -> list[str]:
    """First word of each line of jsd/training/corpora/lists/NAME.txt, comments left out."""
    lines = (files("jsd.training.corpora") / "lists" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def select_concepts(sources: Path) -> list[Concept]:
    """The concepts of the embedded model's corpus, in Unicode's order."""
    left_out = set(read_list("left_out"))
    return [
        one
        for one in named_concepts(sources)
        if one.japan or _kept(one.emoji, one.group, bool(one.onomatopoeia), left_out)
    ]


def named_concepts(sources: Path) -> list[Concept]:
    """Every emoji that has a name in both languages, in Unicode's order; in one tone of skin."""
    japanese, english = _annotations(sources, "ja"), _annotations(sources, "en")
    japan = set(read_list("japan"))
    sound_words = [*read_list("onomatopoeia"), *read_list("japanglish")]
    concepts = []
    for emoji, group in _groups(sources).items():
        if emoji not in japanese or emoji not in english:
            continue
        name_ja, keywords_ja, package = japanese[emoji]
        name_en, keywords_en, _ = english[emoji]
        found = tuple(word for word in sound_words if word in keywords_ja)
        origin = (f"{package.name} {package.version}", package.licence)
        words = (name_ja, name_en, keywords_ja, keywords_en)
        concepts.append(Concept(emoji, group, *words, emoji in japan, found, *origin))
    return concepts


def _kept(emoji: str, group: str, has_sound_word: bool, left_out: set[str]) -> bool:
    if GENDER_SIGN.search(emoji) or (emoji[0] in "👨👩" and len(emoji) > 1):
        return False
    if has_sound_word:
        return True
    return group not in GROUPS_LEFT_OUT and not CLOCK_FACE.search(emoji) and emoji not in left_out


def _groups(sources: Path) -> dict[str, str]:
    package = fetch_source(SOURCES["unicode-emoji-json"], sources)
    ((_, content),) = read_members(package, ("data-by-emoji.json",))
    return {emoji.replace("\ufe0f", ""): entry["group"] for emoji, entry in json.loads(content).items()}


def _annotations(sources: Path, language: str) -> dict[str, tuple[str, tuple[str, ...], Source]]:
    """emoji -> (short name, keywords, the package that has them: of an emoji, the same in every language)."""
    found: dict[str, tuple[str, tuple[str, ...], Source]] = {}
    for name in ("cldr-annotations-full", "cldr-annotations-derived-full"):
        package = fetch_source(SOURCES[name], sources)
        ((_, content),) = read_members(package, (f"/{language}/annotations.json",))
        (document,) = json.loads(content).values()
        for emoji, entry in document["annotations"].items():
            if "tts" in entry:
                short = entry["tts"][0]
                keywords = tuple(word for word in entry.get("default", []) if word != short)
                found[emoji] = (short, keywords, SOURCES[name])
    return found


def distinctive_keywords(concepts: list[Concept], language: str) -> dict[str, tuple[str, ...]]:
    """emoji -> the keywords that few concepts share, and all its onomatopoeia and Japanglish.

    「顔」 names two hundred pictures, 「ムキムキ」 one.
    """
    keywords = {concept.emoji: getattr(concept, f"keywords_{language}") for concept in concepts}
    counts = Counter(word for words in keywords.values() for word in words)
    return {
        concept.emoji: tuple(
            word for word in keywords[concept.emoji] if counts[word] <= SHARED_BY or word in concept.onomatopoeia
        )
        for concept in concepts
    }
