"""`clip_ja` as a scorer: a Japanese CLIP of every emoji with a Japanese name, trained on several designs of each.

A step shows two designs of each concept, on other grounds, sizes and hues; both are to be near the caption and near
each other (Radford et al., arXiv 2103.00020; SLIP, arXiv 2112.12750, adds the second pull likewise).
"""

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from jsd.prompting.tokenizer import VOCABULARY_FILE, JapaneseTokenizer
from jsd.scoring import SIZE_PX, JapaneseClip, Scorer, read_captions, seen
from jsd.training.corpora.concepts import Concept, distinctive_keywords, named_concepts
from jsd.training.corpora.filtering import area_under_curve
from jsd.training.corpora.sources import SOURCES, SPRITE_SOURCES, fetch_source
from jsd.training.corpora.sprites import DESIGNS, icon_names, read_drawings
from jsd.training.corpora.styles import BACKGROUNDS
from jsd.training.corpora.words import SLOT, read_modifiers, read_style_templates, read_vocabulary
from jsd.training.loop import load_cached
from jsd.training.objectives import Losses
from jsd.training.recipes import Stage

HELD_OUT = "twemoji"  # the design that is never shown: what the scorer is measured on
STAGE = Stage(
    "clip_ja", "contrastive", ("scorer",), {}, "ja", True, 256, 800, 2e-3, 50, ema_decay=0.99, caption_dropout=0.0
)
HIDDEN, PROJECTION = 512, 192
VIEWS = 6  # of each drawing
BETWEEN_DESIGNS = 0.5  # weight of the pull between two designs of a concept
# How a caption calls its concept, in shares.
NAME, KEYWORD, SPELLING = 0.45, 0.25, 0.3
DRESSED = 0.25  # of the captions have words around it, a style, a ground: what is to be passed over


@dataclass(frozen=True)
class Drawings:
    """Every concept that two designs and more have: sprites[design] (N, S, S, 4), and which of them are there (N,)."""

    concepts: list[Concept]
    sprites: Mapping[str, NDArray[np.uint8]]
    present: Mapping[str, NDArray[np.bool_]]


def load_drawings(sources: Path, cache: Path) -> Drawings:
    """Of the packages in `sources`; kept in `cache`, since drawing them takes minutes."""
    concepts = named_concepts(sources)
    key = hashlib.sha256(repr(concepts).encode()).hexdigest()
    cache.parent.mkdir(parents=True, exist_ok=True)
    drawn = load_cached(
        cache, key, lambda: torch.from_numpy(np.stack([_draw(design, concepts, sources) for design in DESIGNS]))
    )
    sprites = dict(zip(DESIGNS, drawn.numpy(), strict=True))
    present = {design: sprites[design][..., 3].any(axis=(1, 2)) for design in DESIGNS}
    chosen = np.flatnonzero(sum(one.astype(int) for one in present.values()) >= 2)
    return Drawings(
        [concepts[i] for i in chosen],
        {design: one[chosen] for design, one in sprites.items()},
        {design: one[chosen] for design, one in present.items()},
    )


def made_of(drawings: Drawings, vocabulary: Path) -> str:
    """A digest of what the scorer learns from."""
    whole = hashlib.sha256(repr(drawings.concepts).encode())
    whole.update((vocabulary / VOCABULARY_FILE).read_bytes())
    return whole.hexdigest()


def _draw(design: str, concepts: Sequence[Concept], sources: Path) -> NDArray[np.uint8]:
    rows = {concept.code: row for row, concept in enumerate(concepts)}
    sprites = np.zeros((len(concepts), SIZE_PX, SIZE_PX, 4), np.uint8)
    package = fetch_source({**SOURCES, **SPRITE_SOURCES}[DESIGNS[design]], sources)
    for code, drawing in tqdm(read_drawings(package, set(rows), icon_names(sources)), desc=design):
        whole = drawing.convert("RGBA")
        whole = whole.crop(whole.getchannel("A").getbbox())
        whole.thumbnail((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS)
        corner = ((SIZE_PX - whole.width) // 2, (SIZE_PX - whole.height) // 2)
        square = Image.new("RGBA", (SIZE_PX, SIZE_PX))
        square.paste(whole, corner)
        sprites[rows[code]] = np.asarray(square)
    return sprites


class Captions:
    """What a concept may be called, drawn anew at every step."""

    def __init__(self, concepts: Sequence[Concept]) -> None:
        self.concepts = concepts
        self.keywords = distinctive_keywords(list(concepts), "ja")
        vocabulary = read_vocabulary()
        self.spellings = {
            emoji: [one.text for one in some if one.level != "keyword" and vocabulary.meanings[one.text][0] == emoji]
            for emoji, some in vocabulary.spellings.items()
        }
        plain = [one.template for one in read_modifiers() if one.fits == "any" and one.slot != "place"]
        styles = [template for some in read_style_templates().values() for template in some]
        grounds = [f"{SLOT}、{names[0]}" for names in BACKGROUNDS.values()]
        self.templates = (plain, styles, grounds)

    def draw(self, row: int, rng: random.Random) -> str:
        concept = self.concepts[row]
        ways: list[tuple[Sequence[str], float]] = [((concept.name_ja,), NAME)]
        ways.append((self.keywords[concept.emoji], KEYWORD))
        ways.append((self.spellings.get(concept.emoji, ()), SPELLING))
        ways = [(words, share) for words, share in ways if words]
        (words,) = rng.choices([words for words, _ in ways], [share for _, share in ways])
        text = rng.choice(words)
        for templates in self.templates:
            if rng.random() < DRESSED:
                text = rng.choice(templates).replace(SLOT, text)
        return text


class Pairs:
    """The loss of a step, a function of the seed and the step."""

    def __init__(
        self, drawings: Drawings, designs: Sequence[str], tokenizer: JapaneseTokenizer, batch_size: int, seed: int
    ) -> None:
        """`designs`: those that are shown."""
        present = np.stack([drawings.present[design] for design in designs])  # (K, N)
        self.designs = [np.flatnonzero(present[:, row]) for row in range(present.shape[1])]
        self.rows = np.flatnonzero(present.any(axis=0))
        generator = torch.Generator().manual_seed(seed)
        # (K, V, N, F): seen once, since drawing a view costs more than a step.
        self.features = torch.stack([views(drawings.sprites[design], generator) for design in designs])
        self.captions = Captions(drawings.concepts)
        self.tokenizer, self.batch_size, self.seed = tokenizer, batch_size, seed

    def start(self, model: JapaneseClip) -> None:
        """The features' own scale, so that each counts alike."""
        shown = torch.cat([self.features[:, :, int(row)].flatten(0, 1)[:2].float() for row in self.rows])
        model.mean.copy_(shown.mean(dim=0))
        model.deviation.copy_(shown.std(dim=0) + 1e-3)

    def loss(self, model: JapaneseClip, step: int) -> Losses:
        torch.manual_seed((self.seed << 32) + step)  # of dropout
        rng = np.random.default_rng((self.seed, step))
        words = random.Random(f"{self.seed}/clip/{step}")
        rows = rng.choice(self.rows, self.batch_size, replace=False)
        # Two designs where there are two.
        pairs = [rng.permutation(self.designs[row])[[0, -1]] for row in rows]
        chosen = np.array(pairs).T  # (2, B)
        shown = self.features[chosen, rng.integers(VIEWS, size=chosen.shape), rows]  # (2, B, F)
        first, second = F.normalize(model.project(shown.float().flatten(0, 1)), dim=-1).chunk(2)
        texts = read_captions([self.captions.draw(int(row), words) for row in rows], self.tokenizer)
        captions = F.normalize(model.get_text_features(**texts), dim=-1)
        scale = model.logit_scale.exp().clamp(max=60)
        target = torch.arange(len(rows))
        total = torch.zeros(())
        for weight, one, other in ((1.0, captions, first), (1.0, captions, second), (BETWEEN_DESIGNS, first, second)):
            logits = scale * one @ other.T
            total = total + weight * (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        right = (captions @ first.T).argmax(dim=1) == target
        return total / (2 + BETWEEN_DESIGNS), {"accuracy": right.float().mean()}


def views(sprites: NDArray[np.uint8], generator: torch.Generator) -> Tensor:
    """(N, S, S, 4) -> (V, N, F) in float16."""
    chunks = torch.split(torch.from_numpy(sprites), 256)
    return torch.stack([torch.cat([seen(augmented(some, generator)).half() for some in chunks]) for _ in range(VIEWS)])


def augmented(sprites: Tensor, generator: torch.Generator) -> Tensor:
    """(B, S, S, 4) bytes -> pixel_values (B, 3, S, S) in [-1, 1]: moved, turned, scaled, on a ground, in other hues."""
    count = len(sprites)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    layers = sprites.permute(0, 3, 1, 2).float() / 255  # (B, 4, S, S)
    colours, alpha = layers[:, :3], layers[:, 3:]
    zoom, angle = uniform(1.0, 1.7), uniform(-0.2, 0.2)
    room = (zoom - 1)[:, None] * uniform(-1, 1, 2)
    affine = torch.stack([zoom * angle.cos(), -zoom * angle.sin(), zoom * angle.sin(), zoom * angle.cos()], dim=1)
    theta = torch.cat([affine.view(count, 2, 2), room[..., None]], dim=2)
    grid = F.affine_grid(theta, [count, 4, *layers.shape[2:]], align_corners=False)
    moved = F.grid_sample(torch.cat([colours * alpha, alpha], dim=1), grid, align_corners=False)
    ground = torch.where(uniform(0, 1, 1) < 0.6, torch.ones(count, 3), uniform(0, 1, 3))[..., None, None]
    picture = moved[:, :3] + (1 - moved[:, 3:]) * ground
    turn = torch.where(uniform(0, 1) < 0.5, uniform(-0.25, 0.25), torch.zeros(count))
    picture = torch.einsum("bij,bjhw->bihw", _hue(turn), picture)
    grey = picture.mean(dim=1, keepdim=True)
    fade = torch.where(uniform(0, 1) < 0.1, torch.zeros(count), uniform(0.6, 1.2))[:, None, None, None]
    picture = grey + fade * (picture - grey)
    return ((picture * uniform(0.8, 1.1)[:, None, None, None]).clamp(0, 1)) * 2 - 1


def _hue(turn: Tensor) -> Tensor:
    """(B,) radians -> (B, 3, 3): rotations about the axis of the greys."""
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None] / math.sqrt(3)
    axis = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    return cos * torch.eye(3) + (1 - cos) / 3 + sin * axis


def measure(scorer: Scorer, drawings: Drawings, design: str, exchanged: float = 0.2, seed: int = 1) -> dict[str, Any]:
    """How well exchanged captions are found on a design: AUC over all concepts that were shown in others, of each group
    of Unicode's, and the share of pictures whose own name is the nearest."""
    rows = np.flatnonzero(drawings.present[design])
    images = [Image.fromarray(one).convert("RGBA") for one in drawings.sprites[design][rows]]
    plain = [Image.alpha_composite(Image.new("RGBA", one.size, "white"), one).convert("RGB") for one in images]
    concepts = [drawings.concepts[row] for row in rows]
    pictures, texts = scorer.image_features(plain), scorer.text_features([one.name_ja for one in concepts])
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(rows))[: round(exchanged * len(rows))]
    named = np.arange(len(rows))
    named[chosen] = np.roll(chosen, 1)
    scores = (pictures * texts[torch.from_numpy(named)]).sum(dim=1).double().numpy()
    wrong = named != np.arange(len(rows))

    def area(mask: NDArray[np.bool_]) -> float:
        return round(area_under_curve(scores[mask & ~wrong], scores[mask & wrong]), 4)

    groups = np.array([one.group for one in concepts])
    right = (pictures @ texts.T).argmax(dim=1) == torch.arange(len(rows))
    return {
        "design": design,
        "pictures": len(rows),
        "exchanged": int(wrong.sum()),
        "AUC": area(np.ones(len(rows), bool)),
        "own name nearest": round(float(right.float().mean()), 4),
        "AUC of each group": {str(group): area(groups == group) for group in sorted(set(groups))},
    }
