"""What the filter keeps: by a threshold that the scores give, once of each look, and nothing unsafe."""

from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter
from toy_checker import write_toy_checker
from toy_scorers import write_own

from jsd.errors import InvalidInputError
from jsd.scoring import load_scorer
from jsd.training.corpora.filtering import (
    ScoreTask,
    area_under_curve,
    choose_threshold,
    draw_histogram,
    judge,
    near_duplicates,
    perceptual_hash,
    read_scores,
)
from jsd.training.corpora.records import Record, encoded
from jsd.training.corpora.shards import import_pictures
from training.corpora.test_records import png

RIGHT, WRONG = np.random.default_rng(0).normal([[0.6], [0.1]], 0.1, (2, 500))


def test_the_threshold_parts_true_from_shuffled_pairs() -> None:
    assert 0.25 < choose_threshold(np.concatenate([RIGHT, WRONG[:100]]), WRONG) < 0.45
    assert np.isfinite(choose_threshold(RIGHT[:1], RIGHT[:1]))


@pytest.mark.parametrize(
    ("right", "wrong", "area"),
    [([2, 3], [0, 1], 1.0), ([0, 1], [2, 3], 0.0), ([1, 1], [1, 1], 0.5), ([0, 2], [1], 0.5)],
)
def test_area_under_the_curve(right: list[float], wrong: list[float], area: float) -> None:
    assert area_under_curve(np.array(right, float), np.array(wrong, float)) == area


def drawing(seed: int) -> Image.Image:
    image = Image.new("RGB", (128, 128), "white")
    for box in np.random.default_rng(seed).integers(0, 96, (6, 2)):
        left, top = map(int, box)
        ImageDraw.Draw(image).ellipse((left, top, left + 32, top + 32), fill=(left, top, 99))
    return image


def test_a_look_is_found_again_after_resizing_and_blur_and_strangers_are_not() -> None:
    images = [drawing(seed) for seed in range(20)]
    copies = [
        images[0].resize((90, 90)),
        images[1].filter(ImageFilter.GaussianBlur(1)),
        images[2].convert("L").convert("RGB"),
    ]
    hashes = [perceptual_hash(image) for image in (*images, *copies)]
    similarities = [0.5] * 20 + [0.9, 0.1, 0.5]
    assert near_duplicates(hashes, similarities) == {0: 20, 21: 1, 22: 2}, "the one that fits its caption best stays"


def test_plain_pictures_are_near_duplicates_where_their_colours_are_the_same() -> None:
    """Their frequencies are zero but for the last bits, which another CPU rounds otherwise."""
    plain = [Image.new("RGB", (70, 70), colour) for colour in ("red", "green", "black", "white")]
    hashes = [perceptual_hash(image) for image in (*plain, plain[0].resize((100, 80)))]
    assert near_duplicates(hashes, [0.5] * 5) == {4: 0}


def test_what_is_left_out_and_why() -> None:
    table = pyarrow.table(
        {"key": list("abcdef"), "similarity": [0.1, float("nan"), 0.5, 0.6, 0.9, 0.9]}
        | {
            "phash": pyarrow.array([1, 2, 3, 3, 2**63, 2**60 - 1], pyarrow.uint64()),
            "safety": [9.0, None, None, None, 0.3, 0.0],
        }
    )
    found = {one.key: one.reason for one in judge(table, 0.4, 0.0, drop_near=True).values()}
    assert found == {"a": "caption does not fit", "b": "caption does not fit", "c": "near duplicate", "e": "unsafe"}
    assert {one.key for one in judge(table, 0.4, 1.0, drop_near=False).values()} == {"a", "b"}


def test_a_picture_without_a_score_is_below_every_threshold() -> None:
    table = pyarrow.table({"key": ["a", "b", "c"], "similarity": pyarrow.array([0.5, None, float("nan")])})
    assert list(judge(table, 0.1, 0.0, True)) == [1, 2]
    some = np.array([0.5, np.nan, np.inf])
    for similarity in (some, some[1:]):
        assert draw_histogram(similarity, some[1:], 0.1).getbbox() is not None


def test_a_score_is_the_mean_over_captions_by_their_weights_and_shuffled_is_anothers(tmp_path: Path) -> None:
    items = [Record(f"{n}.png", png((60 * n, 0, 0)), (f"猫{n}", "富士山"), (3.0, 1.0)) for n in range(3)]
    items.append(Record("3.png", png("blue"), ("海",)))
    shards, _ = import_pictures(items, {}, tmp_path / "mine", lambda read: None)
    scorer = write_own(tmp_path / "scorer")
    (tmp_path / "scores").write_bytes(ScoreTask(shards, scorer, None, "cpu").start()(0))
    rows = read_scores(tmp_path / "scores", shards).to_pylist()
    loaded = load_scorer(scorer)
    image = Image.new("RGB", (80, 64), (60, 0, 0))
    one, two, other = (float(loaded.similarity([image], [text])) for text in ("猫1", "富士山", "海"))
    assert rows[1]["key"] == "1.png" and rows[1]["similarity"] == pytest.approx((3 * one + two) / 4, abs=1e-5)
    assert rows[1]["shuffled"] == pytest.approx(other, abs=1e-5), "the only one with other captions"
    assert torch.isfinite(torch.tensor([row["similarity"] for row in rows])).all()


def test_with_a_checker_each_picture_has_its_score(tmp_path: Path) -> None:
    bad = drawing(3)
    items = [Record(f"{n}.png", encoded(one), ("猫",)) for n, one in enumerate((drawing(4), bad))]
    shards, _ = import_pictures(items, {}, tmp_path / "mine", lambda read: None)
    (tmp_path / "model").mkdir()
    checker = write_toy_checker(tmp_path / "model", [bad])
    (tmp_path / "scores").write_bytes(ScoreTask(shards, write_own(tmp_path / "scorer"), checker, "cpu").start()(0))
    table = read_scores(tmp_path / "scores", shards)
    assert [score > 0 for score in table["safety"].to_pylist()] == [False, True]
    assert [one.reason for one in judge(table, -2, 0.0, drop_near=False).values()] == ["unsafe"]


@pytest.mark.parametrize(
    "columns", [None, {"key": ["a.png"]}, {"key": ["b.png"], "similarity": [0.5]}], ids=["no file", "column", "row"]
)
def test_scores_of_something_else_are_one_line(tmp_path: Path, columns: dict[str, list[object]] | None) -> None:
    shards, _ = import_pictures([Record("a.png", png(), ("猫",))], {}, tmp_path / "mine", lambda read: None)
    if columns is not None:
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "scores")
    with pytest.raises(InvalidInputError, match="jsd data score") as caught:
        read_scores(tmp_path / "scores", shards)
    assert "\n" not in str(caught.value)


def test_the_histogram_shows_both_and_the_threshold() -> None:
    plot = np.asarray(draw_histogram(RIGHT, WRONG, 0.35)).reshape(-1, 3).astype(int)
    red, green, blue = plot.T
    assert ((blue - red > 60).sum() > 500) and ((red - blue > 60).sum() > 500) and ((red == 200) & (green == 0)).any()
