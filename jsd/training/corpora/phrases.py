"""What people write beside the captions: every spelling of a thing, in phrases and sentences that mean one picture."""

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from jsd.prompting.concepts import Concept, KnownConcepts
from jsd.training.corpora.around import Around
from jsd.training.corpora.captions import Words, before, called, caption, in_style, is_named
from jsd.training.corpora.corpus import Corpus, Record, is_unseen
from jsd.training.corpora.scenes import Scene
from jsd.training.corpora.styles import BACKGROUNDS, CORPUS_STYLES, DEFAULT_STYLE
from jsd.training.corpora.words import (
    COUNT_FORMS,
    NO_STYLE,
    SLOT,
    Attributes,
    Vocabulary,
    read_attributes,
    read_colours,
    read_counts,
    read_look_words,
    read_modifiers,
    read_phrases,
    read_places,
    read_relations,
    read_style_templates,
)

OF_COLOUR = frozenset("赤青黄緑紫茶黒白桃灰橙")  # of a name that says its own: no 青い赤提灯
A_THING = Attributes("thing", ("つ", "個"), False, "stands", ("plain",))  # of a concept that concepts.tsv lacks
# How often a spelling is drawn in phrases; alone all of them are drawn alike. The names of a concept are listed from
# the most usual on: 車 is learnt behind every word, though many names end with it.
LEVELS = {"name": 8.0, "casual": 1.2, "near": 0.8, "kana": 0.3, "keyword": 0.3}
NAMES_FALL = 2  # the third name is drawn half as often as the first
# Of the words: the usual names of a thing, the first four, among others; most of these are names that words for another
# thing end with, or 緑の車 is read as 手押し車, 赤いバイク as ロードバイク. Half of them are in a colour, half of these
# in its usual form, 赤い or 緑の, of some 25.
USUAL, IN_COMPANY, ENDING, IN_COLOUR, USUAL_COLOUR = 4, 0.5, 0.7, 0.5, 0.5
SOUND = 4.0  # キラキラ: some 60 words in all
# Of the texts: captions as before, two things, phrases that were written as a whole, the bare word; the rest is made.
CAPTION, PAIR, WRITTEN, BARE = 0.15, 0.05, 0.08, 0.2
PAIR_DRAWN = 0.25  # where two things are drawn
COLOURED = 0.3  # of the rest where colours are drawn: a thing in a colour and no more, so that they are not forgotten
# Of the captions of styles that have one.
BACKGROUND = 0.3
# Of the phrases: words before the thing, a style, words behind it or a sentence; each with its own chance.
BEFORE, STYLED, AFTER = 0.5, 0.3, 0.45
SHARES = {"before": 6.0, "around": 6.0, "place": 1.5, "colour": 1.5, "count": 0.7, "other style": 0.7}
SHARES_DRAWN = {**SHARES, "before": 4.0, "place": 2.0, "count": 3.0}  # where counts are drawn
SENTENCE, MADE = 0.35, 0.5  # of the words behind; of the sentences
DRESSES = {"before": 4.0, "around": 4.0, "other style": 0.5}  # where colours, counts and places are drawn: what is left
PLACED = 1.0  # and where places are not
DRESSED = 0.35
FACED = 0.15  # of the words before a living thing: a face's name, as in 「怒った顔の猫」, which is no face
NEAR = 0.15  # of the colours: 朱色 for 赤
NAMED_DEFAULT = 0.15  # of the pictures in the default style
PLACE_FORMS = ("{}、{{}}", "{{}}、{}", "{{}} {}", "{{}}、背景は{}", "{}を背景に{{}}")
UNREAD, NUM_UNREAD = "\U000f0000", 0.01  # a character that no vocabulary has: what cannot be read is passed over


class Asked(NamedTuple):
    """What a text means: as one text in the form that asks for it, and apart, each thing in a text of its own and by
    name what else changes the picture ("colour/赤", "count/3", "place/sea", "relation/on", "style/oil", "ground/red"):
    what is known of a style is so known of every thing in it."""

    text: str
    things: tuple[str, ...]
    marks: tuple[str, ...] = ()


NOTHING = Asked("", ("",))


class Phrases:
    """Draws (text, asked): a text, and what it means.

    Colours, counts, places and second things are words like any other, until a later stage draws what they change.
    """

    def __init__(self, corpus: Corpus, vocabulary: Vocabulary, drawn: Sequence[str] = ()) -> None:
        """`drawn`: which of `jsd.training.recipes.DRAWN` are, so that they are asked for too, in one form each."""
        self.drawn = frozenset(drawn)
        self.codes = list(corpus.concepts)
        self.emoji = {code: concept.emoji for code, concept in corpus.concepts.items()}
        self.names = {code: vocabulary.names.get(one.emoji, one.name_ja) for code, one in corpus.concepts.items()}
        attributes = read_attributes()
        self.attributes = {code: attributes.get(emoji, A_THING) for code, emoji in self.emoji.items()}
        takes_colour = "colour" in self.drawn
        self.coloured = [code for code, one in self.attributes.items() if takes_colour and one.takes_colour]
        self.modifiers: dict[tuple[str, str], list[str]] = {}
        for one in read_modifiers():
            self.modifiers.setdefault((one.slot, one.fits), []).append(one.template)
        self.styles = read_style_templates()
        self.relations = read_relations()
        self.places, self.colours = read_places(), read_colours()
        places = [template for place in self.places.values() for template in place.templates]
        self.modifiers["place", "any"] = [*self.modifiers["place", "any"], *places]
        self.modifiers["colour", "any"] = [t for one in self.colours.values() for t in (*one.templates, *one.near)]
        self.modifiers["other style", "any"] = list(self.styles.pop(NO_STYLE))
        self.counts = read_counts()
        asked = {concept.emoji: concept.name_ja for concept in corpus.concepts.values()}
        written = read_phrases()
        self.written = [(text, asked[emoji]) for emoji in written if emoji in asked for text in written[emoji]]
        # One text, one picture: a word of several concepts means the likeliest.
        sounds: dict[str, str] = {}
        for code, concept in corpus.concepts.items():
            for word in concept.onomatopoeia:
                if word not in sounds or vocabulary.meanings.get(word, ("",))[0] == concept.emoji:
                    sounds[word] = code
        sounds |= {one.name_ja: code for code, one in corpus.concepts.items() if one.name_ja in sounds}
        self.words = {code: _without(one, sounds, code) for code, one in corpus.words("ja").items()}
        self.things: dict[str, dict[str, str]] = {}
        self.weights: dict[str, list[float]] = {}
        for code, concept in corpus.concepts.items():
            own = {concept.name_ja: LEVELS["name"], **dict.fromkeys(self.words[code].sounds, SOUND)}
            num_names = 1
            for spelling in vocabulary.spellings.get(concept.emoji, ()):
                meant = vocabulary.meanings[spelling.text][0] == concept.emoji
                if meant and sounds.get(spelling.text, code) == code and spelling.text not in own:
                    own[spelling.text] = LEVELS[spelling.level]
                    if spelling.level == "name":
                        own[spelling.text] /= 1 + num_names / NAMES_FALL
                        num_names += 1
            self.things[code] = dict.fromkeys(own, concept.name_ja)
            self.weights[code] = list(own.values())
        self.usual: dict[str, list[str]] = {}
        for code, things in self.things.items():
            weight = dict(zip(things, self.weights[code], strict=True))
            self.usual[code] = sorted(things, key=weight.__getitem__, reverse=True)[:USUAL]
        ends: dict[str, set[str]] = {}  # of spellings -> whose they are
        for code, things in self.things.items():
            for text in things:
                for first in range(1, len(text)):
                    ends.setdefault(text[first:], set()).add(code)
        self.ending = [
            (code, word) for code, words in self.usual.items() for word in words if ends.get(word, set()) - {code}
        ]
        self.spelled = [both for things in self.things.values() for both in things.items()]
        self.around = Around(lambda rng: self.thing(rng.choice(self.codes), rng)[0])

    @cached_property
    def faces(self) -> list[str]:
        faces = (code for code in self.codes if self.attributes[code].kind == "face")
        return [word for code in faces for word in self.things[code] if word.endswith("顔")]

    def draw(self, rng: random.Random) -> tuple[str, Asked]:
        text, asked = self._draw(rng)
        return text + UNREAD if rng.random() < NUM_UNREAD else text, asked

    def _draw(self, rng: random.Random) -> tuple[str, Asked]:
        code, choice = rng.choice(self.codes), rng.random()
        if choice < CAPTION:
            return self._captioned(code, rng)
        if choice < CAPTION + (PAIR_DRAWN if "pair" in self.drawn else PAIR):
            return self._pair(code, rng)
        if self.written and rng.random() < WRITTEN:
            text, name = rng.choice(self.written)
            return text, Asked(name, (name,))
        if self.coloured and rng.random() < COLOURED:
            code = rng.choice(self.coloured)
            word, asked = self.thing(code, rng)
            fits = [one for one in self.colours.values() if self.emoji[code] not in one.concepts_left_out]
            colour = rng.choice(fits)
            text, form = rng.choice(colour.templates).replace(SLOT, word), colour.templates[0].replace(SLOT, asked)
            return text, Asked(form, (asked,), (f"colour/{colour.name}",))
        word, asked = self.thing(code, rng)
        return (word, Asked(asked, (asked,))) if rng.random() < BARE else self._phrase(code, word, asked, rng)

    def _captioned(self, code: str, rng: random.Random) -> tuple[str, Asked]:
        style = rng.choice(self._styles(code))
        text = thing = called(self.words[code], "ja", rng)
        marks = []
        if is_named(style, rng):
            text = in_style(text, style, "ja", rng)
            marks.append(f"style/{style}")
        if CORPUS_STYLES[style].takes_background and rng.random() < BACKGROUND:
            ground = rng.choice(list(BACKGROUNDS))
            text = before(text, ground, "ja", rng)
            marks.append(f"ground/{ground}")
        return text, Asked(text, (self.things[code].get(thing, thing),), tuple(marks))

    def _styles(self, code: str) -> list[str]:
        return [style for style in CORPUS_STYLES if not is_unseen(code, style)]

    def thing(self, code: str, rng: random.Random) -> tuple[str, str]:
        """A spelling of the concept, and how it has been asked for."""
        (word,) = rng.choices(list(self.things[code]), self.weights[code])
        return word, self.things[code][word]

    def word(self, rng: random.Random) -> tuple[str, str]:
        """A spelling of any concept, all of them alike, or a usual one in company; and how it has been asked for."""
        if rng.random() >= IN_COMPANY:
            return rng.choice(self.spelled)
        code = rng.choice(self.codes)
        word = rng.choice(self.usual[code])
        if self.ending and rng.random() < ENDING:
            code, word = rng.choice(self.ending)
        if rng.random() < IN_COLOUR:
            templates = rng.choice(list(self.colours.values())).templates
            template = templates[0] if rng.random() < USUAL_COLOUR else rng.choice(templates)
        else:
            template = self._before(code, rng, SHARES_DRAWN)[0]
        return template.replace(SLOT, word), self.things[code][word]

    def _pair(self, code: str, rng: random.Random) -> tuple[str, Asked]:
        """Where two things are not drawn they mean the first; where one is placed by the other, the last, which the
        phrase is about."""
        second = rng.choice(self.codes)
        (one, asked), (other, asked_other) = self.thing(code, rng), self.thing(second, rng)
        relation = "and" if rng.random() < 0.5 else rng.choice(list(self.relations))
        template = rng.choice(self.relations[relation])
        text = template.replace("{a}", one).replace("{b}", other)
        if "pair" in self.drawn:
            form = self.relations[relation][0].replace("{a}", asked).replace("{b}", asked_other)
            marks = [] if relation == "and" else [f"relation/{relation}"]
            if rng.random() < STYLED:
                styles = [style for style in self._styles(code) if not is_unseen(second, style)]
                text, form = self._in_style(rng.choice(styles), text, form, marks, rng)
            text = self._after(code, text, rng) if rng.random() < DRESSED else text
            return text, Asked(form, (asked, asked_other), tuple(marks))
        first = template.index("{a}") < template.index("{b}")
        meant = asked if first == (relation == "and") else asked_other
        return text, Asked(meant, (meant,))

    def _phrase(self, code: str, word: str, asked: str, rng: random.Random) -> tuple[str, Asked]:
        styled = rng.random() < STYLED
        text, form, marks = word, asked, list[str]()
        if rng.random() < BEFORE:
            template, meaning, *marks = self._before(code, rng, SHARES_DRAWN if "count" in self.drawn else SHARES)
            text, form = template.replace(SLOT, text), meaning.replace(SLOT, form)
        if styled:
            text, form = self._in_style(rng.choice(self._styles(code)), text, form, marks, rng)
        text = self._after(code, text, rng) if rng.random() < AFTER else text
        return text, Asked(form, (asked,), tuple(marks))

    def _in_style(self, style: str, text: str, form: str, marks: list[str], rng: random.Random) -> tuple[str, str]:
        """Both in that style, which is added to what they change."""
        marks.append(f"style/{style}")
        text = rng.choice(self.styles[style]).replace(SLOT, text)
        return text, form if style == DEFAULT_STYLE else f"{form}、{CORPUS_STYLES[style].names_ja[0]}"

    def _before(self, code: str, rng: random.Random, shares: Mapping[str, float]) -> tuple[str, ...]:
        """A template around the thing, the form that asks for the same picture, and what that changes if anything."""
        (slot,) = rng.choices(list(shares), list(shares.values()))
        if slot == "around":
            return self.around.before(rng), SLOT
        if slot == "count":
            count = rng.choice((1, 2, 3, 4, 5, 6) if slot in self.drawn else (1, 2, 3))
            templates = self._counts(code, count)
            if slot in self.drawn and count > 1:
                return rng.choice(templates), templates[0], f"count/{count}"
            return rng.choice(templates), SLOT
        if slot == "colour" and slot in self.drawn:
            colour = rng.choice(list(self.colours.values()))
            return rng.choice((*colour.templates, *colour.near)), colour.templates[0], f"colour/{colour.name}"
        if slot == "place" and slot in self.drawn:
            place = rng.choice(list(self.places))
            templates = self._places(place, code)
            if place == "plain":
                return rng.choice(templates), SLOT
            return rng.choice(templates), templates[0], f"place/{place}"
        is_living = self.attributes[code].kind in ("animal", "person")
        if slot == "before" and is_living and self.faces and rng.random() < FACED:
            return f"{rng.choice(self.faces)}の{SLOT}", SLOT
        return rng.choice(self._modifiers(slot, code, rng)), SLOT

    def _after(self, code: str, text: str, rng: random.Random) -> str:
        slot = "sentence" if rng.random() < SENTENCE else "after"
        if slot == "sentence" and rng.random() < MADE:
            return self.around.sentence(rng).replace(SLOT, text)
        return rng.choice(self._modifiers(slot, code, rng)).replace(SLOT, text)

    def _modifiers(self, slot: str, code: str, rng: random.Random) -> Sequence[str]:
        """Those that fit any thing, or one in three times those of its kind."""
        own = self.modifiers.get((slot, self.attributes[code].kind), [])
        return own if own and rng.random() < 1 / 3 else self.modifiers[slot, "any"]

    def _counts(self, code: str, count: int) -> list[str]:
        """{}が三匹, 三匹の{}"""
        numbers = [number for counter in self.attributes[code].counters for number in self.counts[counter][count - 1]]
        return [form.format(number) for number in numbers for form in COUNT_FORMS]

    def of_record(self, record: Record, rng: random.Random) -> str:
        """What the picture may be asked for with: a caption as before, or words around a spelling."""
        if rng.random() < CAPTION:
            return caption(self.words[record.code], record.style, record.background, "ja", rng)
        text, _ = self.thing(record.code, rng)
        if record.background is not None:
            text = rng.choice(("{0}の{1}", "{1}、{0}", "{1} {0}")).format(BACKGROUNDS[record.background][0], text)
        style = record.style if record.style != DEFAULT_STYLE or rng.random() < NAMED_DEFAULT else None
        return self._dressed(record.code, text, style, rng)

    def of_scene(self, scene: Scene, rng: random.Random) -> str:
        words = [self.thing(code, rng)[0] for code in scene.things]
        code, text = scene.things[0], words[0]
        if scene.colour is not None:
            colour = self.colours[scene.colour]
            text = self.words[code].name if OF_COLOUR & set(text) else text
            text = rng.choice(colour.near if colour.near and rng.random() < NEAR else colour.templates).replace(
                SLOT, text
            )
        if scene.count > 1:
            text = rng.choice(self._counts(code, scene.count)).replace(SLOT, text)
        if scene.relation is not None:
            text = rng.choice(self.relations[scene.relation]).replace("{a}", text).replace("{b}", words[1])
        if scene.place is not None:
            text = rng.choice(self._places(scene.place, code)).replace(SLOT, text)
        return self._dressed(code, text, scene.style, rng)

    def _places(self, name: str, code: str) -> list[str]:
        place = self.places[name]
        templates = [*place.templates, *place.templates_by_stance.get(self.attributes[code].stance, ())]
        return templates + [form.format(noun) for noun in place.nouns for form in PLACE_FORMS]

    def _dressed(self, code: str, text: str, style: str | None, rng: random.Random) -> str:
        """In that style, and in words that change nothing."""
        if rng.random() < DRESSED:
            shares = DRESSES if "place" in self.drawn else DRESSES | {"place": PLACED}
            text = self._before(code, rng, shares)[0].replace(SLOT, text)
        if style is not None:
            text = rng.choice(self.styles[style]).replace(SLOT, text)
        return self._after(code, text, rng) if rng.random() < DRESSED else text

    def known(self, styles: tuple[str, ...], designs: tuple[str, ...] = ()) -> KnownConcepts:
        """What a model that read these phrases may say of itself."""
        concepts = [
            Concept(self.names[code], self.emoji[code], tuple(word for word in things if word != self.names[code]))
            for code, things in self.things.items()
        ]
        return KnownConcepts(tuple(concepts), styles, designs, read_look_words() if designs else ())

    def all_words(self) -> Iterator[str]:
        """Every spelling as often as it weighs, and what stands around the things, once."""
        for code, things in self.things.items():
            for word, weight in zip(things, self.weights[code], strict=True):
                yield from [word] * round(2 * weight)
        templates = [t for some in (*self.modifiers.values(), *self.styles.values()) for t in some]
        templates += [t.replace("{a}", SLOT).replace("{b}", SLOT) for some in self.relations.values() for t in some]
        templates += [f"{number}の" for counter in self.counts.values() for spelled in counter for number in spelled]
        for template in dict.fromkeys(templates):
            yield from (part for part in template.split(SLOT) if part)


def _without(words: Words, sounds: Mapping[str, str], code: str) -> Words:
    """Without the sound words that stand for another thing."""
    own, others = ((lambda word: sounds[word] == code), (lambda word: sounds.get(word, code) == code))
    return Words(words.name, tuple(filter(others, words.keywords)), tuple(filter(own, words.sounds)))
