"""The words of the embedded model's corpus, from the tables of jsd/training/corpora/lists/."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

from jsd.prompting.concepts import normal

LEVELS = ("name", "casual", "near", "kana", "keyword")
SLOT = "{}"  # of a template, where the thing stands
STYLE_FORMS = ("{{}}の{}", "{{}} {}", "{{}}、{}", "{} {{}}", "{}、{{}}")
ADVERB_FORMS = ("{{}}を{}描いて", "{{}}を{}描いてください", "{}描いた{{}}", "{}描かれた{{}}")
NO_STYLE = "-"
COUNT_FORMS = (
    "{}の{{}}",
    "{{}}{}",
    "{{}}が{}",
    "{{}} {}",
    "{} {{}}",
    "{{}}を{}",
    "{{}}を{}描いて",
    "{{}}、{}",
    "{}並んだ{{}}",
)
MAX_STEM_LENGTH = 4  # of the names that take ~ちゃん and ~さん
_HIRAGANA = re.compile("[ぁ-ゖー]{2,}")
_KATAKANA = re.compile("[ァ-ヶー]{3,}")
_MANNER = re.compile("かわいく|シンプルに|きれいに|かっこよく|上手に|簡単に|大きく|ていねいに")  # asks for no style
_KANA_COUNT = re.compile("[ぁ-ん]{4,}|[ぁ-ん]{2}[つり]")  # shorter ones stand in other words: にこにこ
_SHIFT = ord("ァ") - ord("ぁ")


@dataclass(frozen=True)
class Spelling:
    """One way to ask for one concept. Levels, the exact ones first, are those of LEVELS:

    name (the thing itself), casual (お-, -ちゃん, slang), near (what it stands for where nothing closer is drawn),
    kana (the other kana of one of these, or the reading of one), keyword (CLDR's; not alone in a caption).
    """

    text: str
    concept: str
    level: str


@dataclass(frozen=True)
class Vocabulary:
    names: dict[str, str] = field(repr=False)  # concept -> how it is called
    spellings: dict[str, tuple[Spelling, ...]] = field(repr=False)  # concept -> its spellings
    meanings: dict[str, tuple[str, ...]] = field(repr=False)  # spelling -> its concepts, the likeliest first


@dataclass(frozen=True)
class Modifier:
    """A text around the name of a thing that leaves its picture as it is: かわいい{}, {}の写真, 机の上に{}がある."""

    template: str
    slot: str  # "before", "after", "sentence", or "place", which a later stage may draw
    fits: str  # "any" or a kind of concept


@dataclass(frozen=True)
class Colour:
    name: str
    hsv: tuple[float, float, float]  # hue in degrees, saturation, value
    templates: tuple[str, ...]  # 赤い{}, {}は赤い
    near: tuple[str, ...]  # 朱色の{}
    concepts_left_out: frozenset[str]  # of which the word says something else: 青りんご is green


@dataclass(frozen=True)
class Place:
    name: str
    nouns: tuple[str, ...]  # 森, 林の中
    templates: tuple[str, ...]  # 森の中の{}, for whatever is there
    templates_by_stance: dict[str, tuple[str, ...]]  # "flies" -> 空を飛ぶ{}


@dataclass(frozen=True)
class Attributes:
    kind: str  # the `fits` of a modifier
    counters: tuple[str, ...]  # the usual one first
    takes_colour: bool
    stance: str  # "stands", "flies", "swims" or "floats"
    places: tuple[str, ...]


def read_table(name: str) -> Iterator[list[str]]:
    """The cells of each line of lists/NAME.tsv, comments left out."""
    for line in (files("jsd.training.corpora") / "lists" / f"{name}.tsv").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split("\t")


def kana_twin(word: str) -> str | None:
    """ぱとかー of パトカー and the reverse; None of other words, and of サン: さん is not the sun."""
    if _KATAKANA.fullmatch(word):
        return "".join(chr(ord(kana) - _SHIFT) if kana != "ー" else kana for kana in word)
    if _HIRAGANA.fullmatch(word):
        return "".join(chr(ord(kana) + _SHIFT) if kana != "ー" else kana for kana in word)
    return None


@lru_cache
def read_vocabulary() -> Vocabulary:
    """Where two concepts have a word, it is the one's that it fits better, by its level."""
    names, files_written = _written()
    found: dict[str, dict[str, Spelling]] = {}  # text -> concept -> spelling
    for kind, words, owners in read_table("shared"):
        level = "name" if kind == "same" else "near"
        for text in dict.fromkeys(text for word in words.split() for text in (word, kana_twin(word) or word)):
            found[text] = {concept: Spelling(text, concept, level) for concept in owners.split()}
    for level, written in itertools.product(LEVELS, files_written):
        taken = frozenset(found)
        for one in written:
            if one.level == level and one.text not in taken:
                found.setdefault(one.text, {}).setdefault(one.concept, Spelling(one.text, one.concept, level))
    for one in itertools.chain(*files_written):
        twin = kana_twin(one.text)
        if twin is not None and twin not in found:
            found[twin] = {one.concept: Spelling(twin, one.concept, "kana")}
    spellings: dict[str, list[Spelling]] = {concept: [] for concept in names}
    for by_concept in found.values():
        for concept, spelling in by_concept.items():
            spellings[concept].append(spelling)
    meanings = {text: tuple(by_concept) for text, by_concept in found.items()}
    return Vocabulary(names, {concept: tuple(texts) for concept, texts in spellings.items()}, meanings)


def _written() -> tuple[dict[str, str], list[list[Spelling]]]:
    """Each concept's name, and the spellings of two files; where both have a word, it is the earlier one's."""
    names: dict[str, str] = {}
    written: list[Spelling] = []
    for concept, *cells in read_table("spellings"):
        columns = [cell.split() for cell in cells]
        names[concept] = columns[0][0]
        for level, words in zip(LEVELS, columns, strict=False):
            written += [Spelling(text, concept, level) for word in words for text in _expand(word, columns[0])]
    automatic: list[Spelling] = []
    for concept, readings, keywords in read_table("spellings_auto"):
        automatic += [Spelling(text, concept, "kana") for text in readings.split()]
        automatic += [Spelling(text, concept, "keyword") for text in keywords.split()]
    return names, [written, automatic]


def _expand(word: str, names: list[str]) -> list[str]:
    if not word.startswith("~"):
        return [word]
    return [name + word[1:] for name in names if len(name) <= MAX_STEM_LENGTH]


def read_modifiers() -> tuple[Modifier, ...]:
    found = []
    for slot, fits, texts in read_table("modifiers"):
        form = {"after": "{{}}{}", "sentence": "{}"}.get(slot, "{}{{}}")
        found += [Modifier(form.format(text), slot, fits) for text in _spaced(texts)]
    return tuple(found)


def read_phrases() -> dict[str, tuple[str, ...]]:
    """Concept -> whole prompts that mean it alone: ワンワン吠える犬."""
    return {concept: tuple(phrases.split()) for concept, phrases in read_table("phrases")}


def read_around() -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[tuple[str, str], ...]]]:
    """Words by kind, and verbs by kind, each as (plain, past)."""
    words: dict[str, tuple[str, ...]] = {}
    for kind, cell in read_table("around"):
        words[kind] = (*words.get(kind, ()), *cell.split())
    verbs = {
        kind: tuple((plain, past) for plain, _, past in (word.partition("/") for word in words.pop(kind)))
        for kind in ("verb", "to", "go")
    }
    return words, verbs


def read_style_templates() -> dict[str, tuple[str, ...]]:
    """Style -> {}の油絵, 油絵風の{}, {}を油絵で描いて; under NO_STYLE those that are asked for and cannot be drawn."""
    templates: dict[str, tuple[str, ...]] = {}
    for style, nouns, attributes, adverbs in read_table("styles"):
        found = [form.format(noun) for noun in nouns.split() for form in STYLE_FORMS]
        found += [f"{attribute}{{}}" for attribute in attributes.split()]
        found += [form.format(adverb) for adverb in adverbs.split() for form in ADVERB_FORMS]
        templates[style] = tuple(dict.fromkeys(found))
    return templates


def read_colours() -> dict[str, Colour]:
    colours = {}
    for name, hue, saturation, value, attributes, templates, near, left_out in read_table("colours"):
        written = (*(f"{word}{{}}" for word in attributes.split()), *_spaced(templates))
        hsv = (float(hue), float(saturation), float(value))
        colours[name] = Colour(
            name, hsv, written, tuple(f"{word}{{}}" for word in near.split()), frozenset(left_out.split())
        )
    return colours


def read_look_words() -> tuple[str, ...]:
    """What says in which style or colour a thing is, in kana how many; of words that hold each other the shortest."""
    templates = [text for some in read_style_templates().values() for text in some]
    templates += [text for one in read_colours().values() for text in (*one.templates, *one.near)]
    words = {normal(part) for text in templates if not _MANNER.search(text) for part in text.split(SLOT)} - {""}
    counts = {word for counter in read_counts().values() for spelled in counter for word in spelled}
    words |= {word for word in counts if _KANA_COUNT.fullmatch(word)}
    return tuple(sorted(word for word in words if not any(word != one and one in word for one in words)))


def read_places() -> dict[str, Place]:
    places = {}
    for name, nouns, attributes, templates in read_table("places"):
        plain = [f"{word}{{}}" for word in attributes.split()]
        by_stance: dict[str, list[str]] = {}
        for text in _spaced(templates):
            stance, colon, template = text.partition(":")
            if colon:
                by_stance.setdefault(stance, []).append(template)
            else:
                plain.append(text)
        stances = {stance: tuple(found) for stance, found in by_stance.items()}
        places[name] = Place(name, tuple(nouns.split()), tuple(plain), stances)
    return places


def read_counts() -> dict[str, tuple[tuple[str, ...], ...]]:
    """Counter -> the spellings of one, of two, ... of it: 匹 -> (一匹, 1匹, ...), (二匹, 2匹, ...), for COUNT_FORMS.

    "many" and "pair" have one set of spellings, to stand before the thing.
    """
    return {counter: tuple(tuple(cell.split(",")) for cell in cells) for counter, _, *cells in read_table("counts")}


def read_relations() -> dict[str, tuple[str, ...]]:
    """Where {b} is, seen from {a} -> templates with both: on -> {a}の上の{b}."""
    return {relation: _spaced(templates) for relation, templates in read_table("relations")}


def read_attributes() -> dict[str, Attributes]:
    return {
        concept: Attributes(kind, tuple(counters.split()), colour == "yes", stance, tuple(places.split()))
        for concept, kind, counters, colour, stance, places in read_table("concepts")
    }


def _spaced(cell: str) -> tuple[str, ...]:
    """The texts of a cell; an underscore in them is a space."""
    return tuple(text.replace("_", " ") for text in cell.split())
