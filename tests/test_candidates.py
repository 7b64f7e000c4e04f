"""Best of several: the scorer's choice, in its order, each redrawn by its own seed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cli.conftest import Jsd, jsd
from PIL import Image
from toy_scorers import write_own

from jsd import Pipeline, SamplingOptions
from jsd.candidates import caption_of
from jsd.errors import InvalidInputError
from jsd.prompting.styles import with_style

__all__ = ["jsd"]
OPTIONS = {"num_inference_steps": 1, "guidance_scale": 1.0, "seed": 5}


def brightness(images: Sequence[Image.Image], captions: Sequence[str]) -> torch.Tensor:
    """The first request wants it bright, others dark."""
    signs = [1 if caption == with_style("白", "油絵") else -1 for caption in captions]
    return torch.tensor([sign * float(np.asarray(one).mean()) for one, sign in zip(images, signs, strict=True)])


@pytest.fixture
def pipeline(toy_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    scorer = SimpleNamespace(name="brightness", similarity=brightness)
    monkeypatch.setattr("jsd.pipeline.find_scorer", lambda: scorer)
    return Pipeline.load(toy_folder, "cpu", "float32")


def test_of_those_drawn_the_best_come_back_best_first(pipeline: Pipeline) -> None:
    request = SamplingOptions(prompt="白", style="油絵", num_outputs=2, num_candidates=4, **OPTIONS)
    drawn = pipeline.generate([request, replace(request, prompt="黒")])
    every = pipeline.generate(
        [
            replace(request, num_candidates=1, num_outputs=4),
            replace(request, prompt="黒", num_candidates=1, num_outputs=4),
        ]
    )
    for own, all_of_it, sign in ((drawn[:2], every[:4], 1), (drawn[2:], every[4:], -1)):
        order = sorted(all_of_it, key=lambda one: -sign * float(np.asarray(one.image).mean()))
        assert [one.seed for one in own] == [one.seed for one in order[:2]]
        assert [one.image.tobytes() for one in own] == [one.image.tobytes() for one in order[:2]]
        assert own[0].metadata["candidates"] == 4 and own[0].metadata["scorer"] == "brightness"
        assert own[0].options.num_candidates == 1, "it is drawn again by its seed alone"


def test_without_a_scorer_they_come_as_they_are_and_it_is_said(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jsd.pipeline.find_scorer", lambda: None)
    job = pipeline.prepare(SamplingOptions(prompt="猫", num_candidates=3, **OPTIONS))
    assert job.seeds == (5,) and [note.code for note in job.notes][-1] == "candidates.no_scorer"
    assert "candidates.no_scorer" not in [note.code for note in pipeline.prepare(SamplingOptions(prompt="猫")).notes]


def test_the_scorer_reads_no_signs_of_emphasis() -> None:
    assert caption_of(SamplingOptions(prompt="（富士山：１．３）、[雲]\nネガティブ: 人")) == "富士山、雲"


def test_fewer_candidates_than_outputs_are_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        SamplingOptions(prompt="猫", num_outputs=3, num_candidates=2)
    assert caught.value.code == "options.candidates"
    with pytest.raises(InvalidInputError) as caught:
        SamplingOptions(prompt="猫", num_candidates=2, seed=2**32 - 1)
    assert caught.value.code == "options.last_seed"


def test_jsd_score_prints_the_similarity(jsd: Jsd, tmp_path: Path) -> None:
    scorer = write_own(tmp_path / "scorer")
    Image.new("RGB", (70, 64), "red").save(tmp_path / "red.png")
    said = jsd("score", tmp_path / "red.png", "赤", "--scorer", scorer)
    value, name = said.out[0].split()
    assert said.code == 0 and -1 <= float(value) <= 1 and name == "scorer"
    Image.new("RGB", (70, 64), "blue").save(tmp_path / "blue.png")
    files = [tmp_path / "red.png", tmp_path / "blue.png"]
    assert [line.split()[0] for line in jsd("score", *files, "赤", "--scorer", scorer).out] == list(map(str, files))
    assert jsd("score", tmp_path / "nowhere.png", "赤", "--scorer", scorer).refuses("nowhere.png")
    assert jsd("score", tmp_path / "red.png", "赤", "--scorer", tmp_path).refuses("scorer", "config.json")
