"""Composed scenes: one to six sprites with place, scale and colour, on white or on a painted ground.

A scene is a function of a seed and its number, so it need not be kept. Where no place is named the ground is white and
one thing fills the picture; where one is named the thing still fills at least half of a side.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jsd.training.corpora.concepts import Concept
from jsd.training.corpora.corpus import is_unseen
from jsd.training.corpora.grounds import SIDE, paint
from jsd.training.corpora.sprites import Sprite, Sprites
from jsd.training.corpora.words import Attributes, Colour, read_attributes, read_colours, read_places, read_relations

# How often each is drawn, against the others that are.
KINDS = {"single": 0.3, "colour": 0.34, "count": 0.04, "pair": 0.32, "place": 0.06}
# Kinds of concepts that most pairs are of, so that who is who is learnt sooner.
EVERYDAY, EVERYDAY_SHARE = ("animal", "plant", "food", "drink", "nature", "vehicle", "clothes"), 0.75
NAMED_SHARE = 0.45  # of scenes that name their design
# Of those that do, and of those that do not: the word says the design (jsd.prompting.designs), the noise never did.
NAMED = {"flat": 0.5, "noto": 0.35, "3d": 0.15}
UNNAMED = {"3d": 1.0}
STYLES = {"flat": "flat", "noto": "noto", "blob": "noto", "twemoji": "noto", "3d": "3d"}  # design -> its style
COUNTS = {2: 0.4, 3: 0.3, 4: 0.15, 5: 0.08, 6: 0.07}
MIN_BODY = 0.45  # of the ink, in one hue: less is no colour of the thing
HUE_WIDTH = 32.0  # degrees around the strongest hue
Place = tuple[float, float, float]  # centre x, centre y, side; of the picture's side


@dataclass(frozen=True)
class Scene:
    """What a caption may say of the picture."""

    things: tuple[str, ...]  # codes, the first is what the picture is of
    design: str
    style: str | None  # named, or None
    colour: str | None = None
    count: int = 1
    relation: str | None = None  # of the second thing to the first (relations.tsv)
    place: str | None = None  # None: white


def held_out(*names: str) -> bool:
    """One in ten pairs of things, and of a thing and a colour, are never shown."""
    return hashlib.sha256("/".join(names).encode()).digest()[0] % 10 == 0


class Scenes:
    """Draws scenes by number. `concepts` by code: those of the corpus that have sprites."""

    def __init__(
        self, concepts: Mapping[str, Concept], sprites: Sprites, seed: int, drawn: Sequence[str] = tuple(KINDS)
    ) -> None:
        """`drawn`: which of KINDS beside the single things. A place that no encoder says would come at random."""
        self.sprites, self.seed = sprites, seed
        self.kinds = ["single", *(kind for kind in KINDS if kind in drawn and kind != "single")]
        shares = np.array([KINDS[kind] for kind in self.kinds])
        self.shares = shares / shares.sum()
        self.codes = [code for code in concepts if "3d" in sprites.designs(code)]
        attributes = read_attributes()
        plain = Attributes("thing", ("つ",), False, "stands", ("plain",))
        self.attributes = {code: attributes.get(concepts[code].emoji, plain) for code in self.codes}
        self.colours = read_colours()
        self.emoji = {code: concepts[code].emoji for code in self.codes}
        self.coloured = [code for code in self.codes if self.attributes[code].takes_colour]
        self.everyday = [code for code in self.codes if self.attributes[code].kind in EVERYDAY]
        self.places = [place for place in read_places() if place != "plain"]
        self.relations = list(read_relations())
        self._last: dict[tuple[str, str, str], Sprite | None] = {}

    @cached_property
    def digest(self) -> str:
        """Of what the scenes are composed of, and how often each is drawn; not of how they are painted."""
        rules = (self.seed, self.kinds, self.shares.tolist(), self.codes, NAMED_SHARE, NAMED, UNNAMED, COUNTS)
        return hashlib.sha256(f"{rules}/{self.sprites.digest}".encode()).hexdigest()

    def scene(self, number: int) -> tuple[Scene, np.random.Generator]:
        """What the scene shows, and the generator that goes on to paint it."""
        rng = np.random.default_rng((self.seed, number))
        kind = str(rng.choice(self.kinds, p=self.shares))
        if kind == "pair":
            return self._pair(rng), rng
        codes = self.coloured if kind == "colour" else self.codes
        code = codes[rng.integers(len(codes))]
        design, style = self._design(code, rng)
        scene = Scene((code,), design, style)
        if kind == "colour":
            return self._coloured(scene, rng), rng
        if kind == "count":
            return Scene((code,), design, style, count=int(rng.choice(list(COUNTS), p=list(COUNTS.values())))), rng
        if kind == "place":
            own = [place for place in self.attributes[code].places if place != "plain"]
            choices = own if own and rng.random() < 0.6 else self.places
            return Scene((code,), design, style, place=choices[rng.integers(len(choices))]), rng
        return scene, rng

    def paint(self, scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
        """(128, 128, 3)."""
        picture = Image.fromarray(paint(scene.place or "plain", rng))
        for code, (x, y, side) in self._layout(scene, rng):
            sprite = self.sprites.get(scene.design, code)
            if scene.colour is not None:
                recoloured = self._recoloured(scene.design, code, scene.colour)
                sprite = sprite if recoloured is None else recoloured
            image = Image.fromarray(sprite)
            scale = side * SIDE / max(image.size)
            width, height = (max(1, round(one * scale)) for one in image.size)
            image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2)
            left = min(max(0, round(x * SIDE - width / 2)), SIDE - width) if width <= SIDE else 0
            top = min(max(0, round(y * SIDE - height / 2)), SIDE - height) if height <= SIDE else 0
            picture.paste(image, (left, top), image)
        return np.asarray(picture)

    def _recoloured(self, design: str, code: str, colour: str) -> Sprite | None:
        """Asked for twice in a row, when a colour is chosen and when it is painted."""
        key = design, code, colour
        if key not in self._last:
            self._last = {key: recolour(self.sprites.get(design, code), self.colours[colour])}
        return self._last[key]

    def _design(self, code: str, rng: np.random.Generator) -> tuple[str, str | None]:
        """The design, and the style where it is named."""
        there = [design for design in self.sprites.designs(code) if not is_unseen(code, STYLES[design])]
        is_named = rng.random() < NAMED_SHARE
        shares = {design: share for design, share in (NAMED if is_named else UNNAMED).items() if design in there}
        weights = np.array(list(shares.values()))
        design = str(rng.choice(list(shares), p=weights / weights.sum()))
        return design, STYLES[design] if is_named else None

    def _coloured(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """The scene in a colour that its sprite can take; as it is where it takes none."""
        (code,) = scene.things
        names = list(self.colours)
        for name in map(str, rng.permutation(names)):
            left_out = self.emoji[code] in self.colours[name].concepts_left_out or held_out(code, name)
            if not left_out and self._recoloured(scene.design, code, name) is not None:
                stands = "place" in self.kinds and rng.random() < 0.1 and name != "白"
                place = self.places[rng.integers(len(self.places))] if stands else None
                return Scene(scene.things, scene.design, scene.style, colour=name, place=place)
        return scene

    def _pair(self, rng: np.random.Generator) -> Scene:
        """Of two things, in the default design: a pair says enough without."""
        codes = self.everyday if self.everyday[2:] and rng.random() < EVERYDAY_SHARE else self.codes
        while True:
            code, other = (codes[number] for number in rng.integers(len(codes), size=2))
            if other != code and not held_out(*sorted((code, other))):
                break
        relation = "and" if rng.random() < 0.7 else self.relations[rng.integers(len(self.relations))]
        return Scene((code, other), "3d", None, relation=relation)

    def _layout(self, scene: Scene, rng: np.random.Generator) -> list[tuple[str, Place]]:
        first = scene.things[0]
        if scene.relation is not None:
            both = _two(scene.relation, rng)
            placed = [
                (code, (x + _shake(rng), y + _shake(rng), side))
                for code, (x, y, side) in zip(scene.things, both, strict=True)
            ]
            return placed[::-1] if scene.relation == "behind" else placed
        if scene.count > 1:
            return [(first, (x + _shake(rng), y + _shake(rng), side)) for x, y, side in _several(scene.count, rng)]
        if scene.place is None:
            return [(first, (0.5, 0.5, float(rng.uniform(0.86, 0.95))))]
        side = float(rng.uniform(0.62, 0.82))
        x = float(rng.uniform(side / 2, 1 - side / 2))
        stands = self.attributes[first].stance == "stands" and scene.place not in ("sky", "space")
        return [(first, (x, 1 - side / 2 - float(rng.uniform(0.02, 0.1)) if stands else 0.5 + _shake(rng) * 4, side))]


def _shake(rng: np.random.Generator) -> float:
    return float(rng.uniform(-0.015, 0.015))


def _two(relation: str, rng: np.random.Generator) -> tuple[Place, Place]:
    """Where the first and the second thing stand; where no more is said than "and", in the order that they are read in:
    one place for each is learnt sooner than three."""
    side = float(rng.uniform(0.42, 0.455))
    if relation == "and" or relation == "beside":
        relation = "right" if relation == "and" or rng.random() < 0.7 else "left"
    y = float(rng.uniform(0.45, 0.55))
    left, right = (0.26, y, side), (0.74, y, side)
    above, below = (0.5, 0.26, side), (0.5, 0.74, side)
    return {
        "right": (left, right),
        "left": (right, left),
        "on": (below, (0.5, 0.26, side)),
        "under": (above, below),
        "in": ((0.5, 0.5, 0.94), (0.5, 0.58, 0.42)),
        "front": ((0.4, 0.4, 0.76), (0.7, 0.72, 0.52)),
        "behind": ((0.62, 0.68, 0.58), (0.34, 0.34, 0.6)),
        "with": ((0.38, 0.48, 0.7), (0.79, 0.68, 0.42)),
    }[relation]


def _several(count: int, rng: np.random.Generator) -> list[Place]:
    if count == 2:
        return [(0.26, 0.5, 0.44), (0.74, 0.5, 0.44)]
    if count == 3 and rng.random() < 0.5:
        return [(0.5, 0.26, 0.44), (0.26, 0.74, 0.44), (0.74, 0.74, 0.44)]
    rows = {3: (3,), 4: (2, 2), 5: (2, 3), 6: (3, 3)}[count]
    side = 0.42 if max(rows) == 2 else 0.295
    return [
        ((column + 0.5) / row, 0.5 if len(rows) == 1 else 0.27 + 0.46 * line, side)
        for line, row in enumerate(rows)
        for column in range(row)
    ]


def recolour(sprite: Sprite, colour: Colour) -> Sprite | None:
    """The sprite with its body, what lies near its strongest hue or is grey, in that colour; None where it has no body.

    Eyes, wheels and leaves stay as they are; light and shade are kept by scaling.
    """
    ink = sprite[..., 3] > 40
    hsv = np.array(Image.fromarray(sprite[..., :3]).convert("HSV"), dtype=np.float32)
    hue, saturation, value = hsv[..., 0] * 360 / 255, hsv[..., 1] / 255, hsv[..., 2] / 255
    vivid = ink & (saturation > 0.25) & (value > 0.2)
    if vivid.sum() > 0.3 * ink.sum():
        counts = np.bincount((hue[vivid] // 12).astype(int), minlength=31)[:30]
        strongest = float(counts.argmax()) * 12 + 6
        body = vivid & (np.abs((hue - strongest + 180) % 360 - 180) < HUE_WIDTH)
    else:
        body = ink & (saturation <= 0.3) & (value > 0.3)
    if body.sum() <= MIN_BODY * ink.sum():
        return None
    goal_hue, goal_saturation, goal_value = colour.hsv
    for channel, goal in ((saturation, goal_saturation), (value, goal_value)):
        usual = max(0.05, float(np.percentile(channel[body], 75)))
        channel[body] = np.clip(channel[body] * goal / usual, 0, 1) if goal > 0 else 0
    if vivid.sum() <= 0.3 * ink.sum() and goal_saturation > 0:
        saturation[body] = goal_saturation
    hue[body] = goal_hue
    stacked = np.stack([hue * 255 / 360, saturation * 255, value * 255], axis=-1).astype(np.uint8)
    found = sprite.copy()
    found[body, :3] = np.asarray(Image.fromarray(stacked, "HSV").convert("RGB"))[body]
    return found
