"""`clip_ja`: two designs of a concept at every step, captions that name it, and a scorer that finds exchanged ones."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_corpus import CONCEPTS
from toy_folder import train_vocabulary

from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.scoring import JapaneseClip, load_scorer, save_own, seen
from jsd.training import clip
from jsd.training.clip import Captions, Drawings, Pairs, augmented, measure

DESIGNS = ("one", "two", "unseen")


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    """A blob for each concept in its own place and colour, drawn in other greys by each design; one lacks the first."""
    sprites = {}
    for number, design in enumerate(DESIGNS):
        canvas = np.zeros((len(CONCEPTS), 64, 64, 4), np.uint8)
        for row in range(len(CONCEPTS)):
            left, top = 8 + 28 * (row % 2), 4 + 14 * (row // 2)
            colour = np.random.default_rng(row).integers(40, 200, 3) + 15 * number
            canvas[row, top : top + 12, left : left + 24] = (*colour, 255)
        sprites[design] = canvas
    sprites["two"][0] = 0
    present = {design: one[..., 3].any(axis=(1, 2)) for design, one in sprites.items()}
    return Drawings(list(CONCEPTS), sprites, present)


def test_some_steps_teach_it_to_find_exchanged_captions_on_an_unseen_design(
    drawings: Drawings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip, "VIEWS", 2)
    words = [word for one in CONCEPTS for word in (one.name_ja, *one.keywords_ja)]
    tokenizer = JapaneseTokenizer.load(train_vocabulary(tmp_path / "tokenizer", words, model_max_length=16))
    torch.manual_seed(0)
    model = JapaneseClip(tokenizer.vocab_size, tokenizer.pad_token_id, 32, 16)
    pairs = Pairs(drawings, DESIGNS[:2], tokenizer, len(CONCEPTS), seed=0)
    pairs.start(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for step in range(120):
        loss, _ = pairs.loss(model, step)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        again = [pairs.loss(model, 7)[0] for _ in range(2)]
    assert torch.equal(*again), "a step is a function of its number"
    save_own(model, tmp_path)
    found = measure(load_scorer(tmp_path), drawings, "unseen", exchanged=0.5)
    assert found["AUC"] > 0.9 and found["exchanged"] == 4 and found["pictures"] == 8


def test_captions_name_their_concept() -> None:
    captions, rng = Captions(CONCEPTS), random.Random(0)
    drawn = {captions.draw(3, rng) for _ in range(200)}
    assert len(drawn) > 20 and all(
        any(word in text for word in ("猫", "ネコ", "ねこ", "キャット", "にゃ", "ニャ", "ペット")) for text in drawn
    )


def test_views_move_and_keep_the_range(drawings: Drawings) -> None:
    sprites = torch.from_numpy(drawings.sprites["one"])
    views = augmented(sprites, torch.Generator().manual_seed(0))
    assert views.shape == (8, 3, 64, 64) and views.min() >= -1 and views.max() <= 1
    assert not torch.allclose(views, augmented(sprites, torch.Generator().manual_seed(1)))


def test_what_is_seen_follows_direction_place_and_colour() -> None:
    stripes = torch.ones(1, 1, 64, 64)
    stripes[..., ::8] = -1
    across, along, moved = (seen(one.expand(1, 3, 64, 64)) for one in (stripes, stripes.mT, stripes.roll(2, dims=3)))
    assert (across - along).norm() > 2 * (across - moved).norm(), "a small move changes less than a turn"
    red, blue = (
        seen(torch.tensor(one).view(1, 3, 1, 1).expand(1, 3, 64, 64)) for one in ([1.0, -1, -1], [-1.0, -1, 1])
    )
    assert (red - blue).norm() > 1


def test_every_emoji_with_a_name_is_drawn_from_the_packages(
    tmp_path: Path, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawings = clip.load_drawings(sources, tmp_path / "sprites.pt")
    assert len(drawings.concepts) >= 10 and {"🇯🇵", "✴", "🕐"} <= {one.emoji for one in drawings.concepts}
    assert drawings.sprites["3d"].shape[1:] == (64, 64, 4)
    draw, drawn = clip._draw, list[str]()
    monkeypatch.setattr(clip, "_draw", lambda design, *given: [drawn.append(design), draw(design, *given)][1])
    assert (clip.load_drawings(sources, tmp_path / "sprites.pt").sprites["3d"] == drawings.sprites["3d"]).all()
    assert drawn == [], "they are kept"
    others = drawings.concepts[:12]
    monkeypatch.setattr(clip, "named_concepts", lambda sources: others)
    assert len(clip.load_drawings(sources, tmp_path / "sprites.pt").concepts) == 12 and drawn == list(clip.DESIGNS)
