"""Scenes: a function of their number, of what they say they are; sprites and grounds that they are made of."""

import io
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_corpus import CONCEPTS
from toy_sprites import LACKING, disc

from jsd.cli import main
from jsd.errors import CorpusError
from jsd.training.corpora.corpus import Corpus, is_unseen
from jsd.training.corpora.grounds import GROUNDS, SIDE, paint
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.scenes import (
    COUNTS,
    EVERYDAY_SHARE,
    NAMED,
    STYLES,
    UNNAMED,
    Scene,
    Scenes,
    held_out,
    recolour,
)
from jsd.training.corpora.sprites import DESIGNS, SPRITE_PX, SPRITES_FILE, Sprites
from jsd.training.corpora.words import read_colours, read_places, read_relations, read_vocabulary
from jsd.training.recipes import DRAWN, MINI

CODES = {concept.emoji: concept.code for concept in CONCEPTS}


@pytest.fixture(scope="module")
def scenes(toy_corpus: Corpus, toy_sprites: Path) -> Scenes:
    return Scenes(toy_corpus.concepts, Sprites.load(toy_sprites / SPRITES_FILE), seed=0)


@pytest.fixture(scope="module")
def drawn(scenes: Scenes) -> list[Scene]:
    return [scenes.scene(number)[0] for number in range(3000)]


def ink(picture: np.ndarray) -> np.ndarray:
    return (picture < 250).any(axis=-1)


def test_a_scene_depends_on_seed_and_number_alone(scenes: Scenes, toy_corpus: Corpus) -> None:
    again = Scenes(toy_corpus.concepts, scenes.sprites, seed=0)
    other = Scenes(toy_corpus.concepts, scenes.sprites, seed=1)
    for number in range(20):
        (one, rng), (two, same) = scenes.scene(number), again.scene(number)
        assert one == two
        assert np.array_equal(scenes.paint(one, rng), again.paint(two, same))
    assert [scenes.scene(n)[0] for n in range(20)] != [other.scene(n)[0] for n in range(20)]


def test_there_are_scenes_of_every_kind(drawn: list[Scene]) -> None:
    assert {scene.count for scene in drawn} == {1, *COUNTS}
    assert {scene.relation for scene in drawn} == {None, *read_relations()}
    assert {scene.place for scene in drawn} == {None, *GROUNDS}
    assert {scene.colour for scene in drawn} == {None, *read_colours()}
    assert {scene.design for scene in drawn} == {*NAMED, *UNNAMED} <= {*DESIGNS}


def test_what_no_encoder_says_is_not_shown(scenes: Scenes, toy_corpus: Corpus) -> None:
    said = MINI.stages["parts"].drawn
    assert MINI.stages["scenes"].drawn == said and "place" not in said
    without = Scenes(toy_corpus.concepts, scenes.sprites, 0, said)
    drawn = [without.scene(number)[0] for number in range(1000)]
    assert {scene.place for scene in drawn} == {None}
    assert {scene.count for scene in drawn} == {1, *COUNTS}
    assert {scene.relation for scene in drawn} == {None, *read_relations()}
    assert {scene.colour for scene in drawn} == {None, *read_colours()}
    alone = Scenes(toy_corpus.concepts, scenes.sprites, 0, ())
    assert {(scene.count, scene.relation, scene.colour) for scene in (alone.scene(n)[0] for n in range(200))} == {
        (1, None, None)
    }


def test_what_is_held_out_is_never_shown(drawn: list[Scene]) -> None:
    for scene in drawn:
        if scene.relation is not None:
            assert not held_out(*sorted(scene.things)) and len(set(scene.things)) == 2
        if scene.colour is not None:
            assert not held_out(scene.things[0], scene.colour)
        assert not any(is_unseen(code, STYLES[scene.design]) for code in scene.things)
    assert any(is_unseen(code, style) for code in CODES.values() for style in STYLES.values())
    assert 0.05 < sum(held_out(a, b) for a in "abcdefghij" for b in "klmnopqrst") / 100 < 0.2


def test_what_names_no_design_is_in_the_default_one(drawn: list[Scene]) -> None:
    unnamed = {scene.design for scene in drawn if scene.style is None}
    assert unnamed == {"3d"} == {*UNNAMED}
    named = Counter(scene.design for scene in drawn if scene.style is not None)
    assert named.most_common(1)[0][0] == "flat" and {*named} == {*NAMED}
    assert all(scene.design != LACKING[0] for scene in drawn if CODES[LACKING[1]] in scene.things)


def test_pairs_are_in_the_default_design_and_mostly_of_everyday_things(scenes: Scenes, drawn: list[Scene]) -> None:
    pairs = [scene for scene in drawn if scene.relation is not None]
    assert {(scene.design, scene.style) for scene in pairs} == {("3d", None)}
    everyday = [set(scene.things) <= set(scenes.everyday) for scene in pairs]
    assert EVERYDAY_SHARE - 0.05 < sum(everyday) / len(everyday) < 1


def test_two_things_stand_in_the_order_that_they_are_read_in(scenes: Scenes) -> None:
    first, second = CODES["🐕"], CODES["🚌"]
    for seed in range(8):
        scene = Scene((first, second), "3d", None, relation="and")
        placed = dict(scenes._layout(scene, np.random.default_rng(seed)))
        assert placed[first][0] < 0.35 and placed[second][0] > 0.65


def test_one_thing_fills_the_picture_or_half_of_it_where_a_place_is_named(scenes: Scenes) -> None:
    code = CODES["🐕"]
    picture = scenes.paint(Scene((code,), "3d", None), np.random.default_rng(0))
    columns = np.flatnonzero(ink(picture).any(axis=0))
    assert np.ptp(columns) + 1 >= 0.85 * SIDE
    assert (picture[:4] == 255).all(), "white ground"
    for place in GROUNDS:
        rng = np.random.default_rng(1)
        ground = paint(place, np.random.default_rng(1))
        changed = np.flatnonzero(
            (scenes.paint(Scene((code,), "3d", None, place=place), rng) != ground).any(axis=(0, 2))
        )
        assert np.ptp(changed) + 1 >= 0.45 * SIDE, place


@pytest.mark.parametrize("count", COUNTS)
def test_as_many_as_are_asked_for_are_there(scenes: Scenes, count: int) -> None:
    for seed in range(4):
        scene = Scene((CODES["🐕"],), "3d", None, count=count)
        mask = ink(scenes.paint(scene, np.random.default_rng(seed)))
        assert islands(mask) == count


def islands(mask: np.ndarray) -> int:
    """Connected parts of more than a few pixels."""
    left, found = {tuple(place) for place in np.argwhere(mask)}, 0
    while left:
        queue, size = [left.pop()], 0
        while queue:
            y, x = queue.pop()
            size += 1
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            queue += near
        found += size > 20
    return found


@pytest.mark.parametrize(
    ("relation", "axis", "sign"), [("right", 1, 1), ("left", 1, -1), ("under", 0, 1), ("on", 0, -1)]
)
def test_the_second_thing_is_where_the_relation_says(scenes: Scenes, relation: str, axis: int, sign: int) -> None:
    one, other = (CODES[emoji] for emoji in "🐕🐈")
    picture = scenes.paint(Scene((one, other), "3d", None, relation=relation), np.random.default_rng(0))
    middles = []
    for code in (one, other):
        colour = scenes.sprites.get("3d", code)[45, 60, :3].astype(int)
        middles.append(np.argwhere(np.abs(picture - colour).max(axis=-1) < 12).mean(axis=0))
    assert sign * (middles[1][axis] - middles[0][axis]) > 30


@pytest.mark.parametrize("name", read_colours())
def test_a_sprite_takes_a_colour_and_keeps_its_eyes(name: str) -> None:
    colour = read_colours()[name]
    sprite = np.array(disc(3))
    sprite[40:46, 55:61, :3] = 10
    found = recolour(sprite, colour)
    assert found is not None and (found[40:46, 55:61, :3] == 10).all()
    hue, saturation, value = np.asarray(Image.fromarray(found[20:21, 60:61, :3]).convert("HSV"))[0, 0] / 255
    assert saturation == pytest.approx(colour.hsv[1], abs=0.05) and value == pytest.approx(colour.hsv[2], abs=0.05)
    if colour.hsv[1] > 0:
        assert abs((hue * 360 - colour.hsv[0] + 180) % 360 - 180) < 6


def test_a_sprite_of_many_colours_takes_none() -> None:
    sprite = np.full((60, 60, 4), 255, dtype=np.uint8)
    for row, shade in enumerate([(230, 40, 40), (40, 200, 60), (50, 80, 230), (240, 220, 40), (200, 60, 210)]):
        sprite[12 * row : 12 * row + 12, :, :3] = shade
    assert recolour(sprite, read_colours()["赤"]) is None


def test_every_place_of_the_words_is_painted_each_time_another() -> None:
    assert {*GROUNDS, "plain"} == set(read_places())
    for place in GROUNDS:
        one, same, other = (paint(place, np.random.default_rng(seed)) for seed in (0, 0, 1))
        assert one.shape == (SIDE, SIDE, 3) and np.array_equal(one, same) and not np.array_equal(one, other)


def test_a_caption_says_what_the_scene_shows(scenes: Scenes, drawn: list[Scene], toy_corpus: Corpus) -> None:
    phrases, rng = Phrases(toy_corpus, read_vocabulary()), random.Random(0)
    colours, places = read_colours(), read_places()
    for scene in drawn[:600]:
        text = phrases.of_scene(scene, rng)
        assert all(any(word in text for word in phrases.things[code]) for code in scene.things)
        plain = phrases.of_scene(Scene(scene.things, scene.design, None, relation=scene.relation), rng)
        if scene.colour is not None:
            assert text != plain and colours[scene.colour].templates
        if scene.place is not None:
            words = [*places[scene.place].nouns, *(t.replace("{}", "") for t in places[scene.place].templates)]
            stances = [t for some in places[scene.place].templates_by_stance.values() for t in some]
            assert any(word in text for word in words) or any(t.split("{}")[0][:2] in text for t in stances)


def test_where_no_place_is_shown_words_for_one_change_nothing(scenes: Scenes, toy_corpus: Corpus) -> None:
    scene = Scene((CODES["🐕"],), "3d", None)
    for drawn, expected in ((("colour", "count", "pair"), True), (DRAWN, False)):
        phrases, rng = Phrases(toy_corpus, read_vocabulary(), drawn), random.Random(0)
        texts = [phrases.of_scene(scene, rng) for _ in range(5000)]
        words = ("満天の星の下の", "木々の中の", "海の中の", "山頂の")
        assert any(text.startswith(word) for text in texts for word in words) == expected


def test_sprites_are_packed_from_the_packages(sources: Path, toy_corpus_folder: Path, tmp_path: Path) -> None:
    from toy_sources import DRAWN, colour_of

    corpus = tmp_path / "corpus"
    assert main(["data", "build", "--corpus", str(corpus), "--sources", str(sources)]) == 0
    folder = tmp_path / "scenes"
    assert main(["data", "sprites", "--corpus", str(corpus), "--sources", str(sources), "--output", str(folder)]) == 0
    sprites = Sprites.load(folder / SPRITES_FILE)
    assert set(sprites.files) == set(DESIGNS)
    for emoji in DRAWN:
        code = "-".join(f"{ord(character):x}" for character in emoji)
        for design in DESIGNS:
            sprite = sprites.get(design, code)
            assert max(sprite.shape[:2]) == SPRITE_PX and sprite.shape[2] == 4
            middle = sprite[sprite.shape[0] // 2, sprite.shape[1] // 2]
            assert middle[3] == 255 and np.abs(middle[:3].astype(int) - colour_of(emoji, design)).max() < 12


def test_missing_sprites_are_one_line_with_the_command(tmp_path: Path) -> None:
    for content in (None, b"no archive"):
        if content is not None:
            (tmp_path / SPRITES_FILE).write_bytes(content)
        with pytest.raises(CorpusError, match="jsd data sprites") as caught:
            Sprites.load(tmp_path / SPRITES_FILE)
        assert "\n" not in str(caught.value)


def test_a_sprite_is_decoded_once(toy_sprites: Path) -> None:
    sprites = Sprites.load(toy_sprites / SPRITES_FILE)
    code = CODES["🐕"]
    with Image.open(io.BytesIO(sprites.files["3d"][code])) as image:
        assert np.array_equal(sprites.get("3d", code), np.asarray(image.convert("RGBA")))
    assert sprites.get("3d", code) is sprites.get("3d", code)
