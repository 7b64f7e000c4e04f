"""The judge: nothing looks more like a picture than the picture itself."""

import numpy as np
import pytest
from PIL import Image

from jsd.training.corpora.corpus import Corpus
from jsd.training.evaluation.judge import Judge, lab_thumbnails, orientation_grids


@pytest.fixture(scope="module")
def judge(toy_corpus: Corpus) -> Judge:
    return Judge.fit(np.asarray(toy_corpus.pictures))


def test_a_picture_is_at_no_distance_from_itself(judge: Judge, toy_corpus: Corpus) -> None:
    distances = judge.distances(np.asarray(toy_corpus.pictures))
    assert np.abs(np.diag(distances)).max() < 1e-2
    assert np.median(distances) > 0.5


def test_every_picture_of_the_gallery_finds_itself_first(judge: Judge, toy_corpus: Corpus) -> None:
    nearest = judge.distances(np.asarray(toy_corpus.pictures)).argmin(axis=1)
    assert nearest.tolist() == list(range(len(toy_corpus.pictures)))


def test_a_smaller_or_noisier_picture_still_finds_its_own(judge: Judge, toy_corpus: Corpus) -> None:
    noise = np.random.default_rng(0).integers(-20, 21, size=toy_corpus.pictures[:9].shape)
    noisy = np.clip(toy_corpus.pictures[:9].astype(int) + noise, 0, 255).astype(np.uint8)
    small = np.stack([np.asarray(Image.fromarray(picture).resize((32, 32))) for picture in toy_corpus.pictures[:9]])
    assert judge.distances(noisy).argmin(axis=1).tolist() == list(range(9))
    assert judge.distances(small).argmin(axis=1).tolist() == list(range(9))


def test_the_answer_does_not_depend_on_the_batch(judge: Judge, toy_corpus: Corpus) -> None:
    pictures = np.asarray(toy_corpus.pictures[:4])
    np.testing.assert_allclose(judge.distances(pictures)[2:3], judge.distances(pictures[2:3]), atol=1e-3)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.2, 80.1, 67.2)),
        ((0, 0, 255), (32.3, 79.2, -107.9)),
    ],
)
def test_cielab_of_known_colours(rgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    picture = np.full((1, 24, 24, 3), rgb, dtype=np.uint8)
    thumbnail = lab_thumbnails(picture).reshape(12, 12, 3)
    assert thumbnail[5, 5] == pytest.approx(lab, abs=0.5)


def test_orientations_tell_stripes_from_bars_and_not_light_from_dark() -> None:
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::8] = stripes[:, 1::8] = 255
    upright, lying, inverted = orientation_grids(np.stack([stripes, stripes.transpose(1, 0, 2), 255 - stripes]))
    assert np.linalg.norm(upright - lying) > 10
    np.testing.assert_allclose(upright, inverted, atol=1e-4)
