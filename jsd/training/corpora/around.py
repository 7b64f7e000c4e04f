"""What is said around a thing and does not change its picture, made of words at random: 駅で買った{}, {}が庭に落ちた.

Few of these are sensible. They teach to find the thing that a text is about by where it stands, not by what is known of
the words around it, so that whatever people write is read past.
"""

import random
from collections.abc import Callable

from jsd.training.corpora.words import SLOT, read_around

MAX_LENGTH = 11  # characters: the thing, which comes last, must find room in the window
OTHER = 0.2  # of what is carried, bought or eaten: a thing that can be drawn, and is not
ADVERB, DESCRIBED, PLACED, TWICE = 0.3, 0.15, 0.15, 0.1  # とても古い; 古い駅; 町の駅; 父の古い


class Around:
    """Draws templates with one slot."""

    def __init__(self, other: Callable[[random.Random], str]) -> None:
        """`other`: draws the name of a thing."""
        self.words, self.verbs = read_around()
        self.other = other

    def before(self, rng: random.Random) -> str:
        template = _first_short(self._before, rng)
        twice = template.replace(SLOT, self._before(rng)) if rng.random() < TWICE else template
        return twice if len(twice) <= MAX_LENGTH else template

    def sentence(self, rng: random.Random) -> str:
        return _first_short(self._sentence, rng)

    def _before(self, rng: random.Random) -> str:
        kind = rng.choice(("adjective", "of", "object", "object", "to", "at", "by", "by", "verb", "for"))
        if kind == "adjective":
            return f"{self._adjective(rng)}{SLOT}"
        if kind == "of":
            return f"{self._noun(rng)}の{SLOT}"
        if kind == "for":
            return rng.choice(
                (f"{self._noun(rng)}のための{SLOT}", f"{self._object(rng)}を{self._plain(rng)}ための{SLOT}")
            )
        clause = {
            "object": f"{self._object(rng)}を{self._verb(rng, 'verb')}",
            "to": f"{self._noun(rng)}に{self._verb(rng, 'to', 'go')}",
            "at": f"{self._noun(rng)}{rng.choice(('で', 'から'))}{self._verb(rng, 'verb', 'go')}",
            "by": f"{self._person(rng)}{rng.choice(('が', 'に', 'と', 'の'))}{self._verb(rng, 'verb', 'to')}",
            "verb": self._verb(rng, "verb", "go"),
        }
        return f"{clause[kind]}{SLOT}"

    def _sentence(self, rng: random.Random) -> str:
        doing, going = self._verb(rng, "verb"), self._verb(rng, "go")
        return rng.choice(
            (
                f"{self._person(rng)}が{SLOT}を{doing}",
                f"{self._noun(rng)}で{SLOT}を{doing}",
                f"{self._noun(rng)}に{SLOT}が{going}",
                f"{SLOT}が{going}",
                f"{SLOT}を{doing}",
                f"{SLOT}は{self._adjective(rng)}".removesuffix("な"),
            )
        )

    def _noun(self, rng: random.Random) -> str:
        noun = self._word("noun", rng)
        if rng.random() < DESCRIBED:
            return self._adjective(rng) + noun
        return f"{self._word('noun', rng)}の{noun}" if rng.random() < PLACED else noun

    def _object(self, rng: random.Random) -> str:
        return self.other(rng) if rng.random() < OTHER else self._noun(rng)

    def _person(self, rng: random.Random) -> str:
        return self._word("person", rng)

    def _adjective(self, rng: random.Random) -> str:
        return (self._word("adverb", rng) if rng.random() < ADVERB else "") + self._word("adjective", rng)

    def _word(self, kind: str, rng: random.Random) -> str:
        return rng.choice(self.words[kind])

    def _plain(self, rng: random.Random) -> str:
        return rng.choice(self.verbs["verb"])[0]

    def _verb(self, rng: random.Random, *kinds: str) -> str:
        """運ぶ, 運んだ or 運んでいる."""
        plain, past = rng.choice(self.verbs[rng.choice(kinds)])
        if plain in ("いる", "ある"):  # they are themselves
            return rng.choice((plain, past))
        return rng.choice((plain, past, past[:-1] + {"た": "て", "だ": "で"}[past[-1]] + "いる"))


def _first_short(draw: Callable[[random.Random], str], rng: random.Random) -> str:
    while len(text := draw(rng)) > MAX_LENGTH + len(SLOT):
        pass
    return text
