"""The guidance scale of a request that names none: the model folder's own, else Stable Diffusion's."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jsd.models.configs import GENERATION_CONFIG, GUIDANCE_SCALE, guidance_scale
from jsd.models.convert import convert_folder
from jsd.models.folder import verify_folder
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline

UNSET = SamplingOptions(prompt="猫", seed=0, num_inference_steps=2)


@pytest.fixture
def own(make_toy_folder: Callable[..., Path]) -> Path:
    """A folder with a guidance scale of its own."""
    folder = make_toy_folder()
    (folder / GENERATION_CONFIG).write_text('{"guidance_scale": 3}', "utf-8")
    return folder


def test_the_folders_own_is_used_and_recorded(own: Path) -> None:
    pipeline = Pipeline.load(own)
    (unset,) = pipeline.generate(UNSET)
    assert unset.metadata["guidance_scale"] == 3
    values = {"prompt": "猫", "seed": 0, "num_inference_steps": 2}
    named = {scale: pipeline.generate(SamplingOptions(**values, guidance_scale=scale))[0] for scale in (3.0, 9.0)}
    assert unset.image.tobytes() == named[3.0].image.tobytes()
    assert unset.image.tobytes() != named[9.0].image.tobytes(), "a request's own scale goes before the folder's"


def test_a_folder_without_one_has_stable_diffusions(toy_folder: Path) -> None:
    assert GUIDANCE_SCALE == 7.5
    assert Pipeline.load(toy_folder).prepare(UNSET).options[0].guidance_scale == GUIDANCE_SCALE


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"negative_prompt": "犬"}, "negative_prompt"),
        ({"prompt": "猫\nネガティブ: 犬"}, "negative_prompt"),
        ({"guidance_end": 0.5}, "guidance_start, guidance_end"),
    ],
)
def test_what_guidance_1_leaves_unread_is_said(asked: dict[str, object], field: str, toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder)
    for scale, said in ((1, [field]), (None, [])):
        notes = pipeline.prepare(replace(UNSET, guidance_scale=scale, **asked)).notes
        assert [note.params["field"] for note in notes if note.code == "guidance.none"] == said


def test_a_converted_folder_keeps_it(own: Path, tmp_path: Path) -> None:
    convert_folder(own, tmp_path / "converted", "float32")
    assert guidance_scale(tmp_path / "converted") == 3


@pytest.mark.parametrize("value", [0.5, 21, "3", True, None, [3]])
def test_one_that_breaks_the_rule_is_named(own: Path, value: object) -> None:
    (own / GENERATION_CONFIG).write_text(json.dumps({"guidance_scale": value}), "utf-8")
    assert [problem.code for problem in verify_folder(own)] == ["folder.guidance"]


def test_a_file_that_is_no_json_is_named(own: Path) -> None:
    (own / GENERATION_CONFIG).write_text("{", "utf-8")
    assert [problem.code for problem in verify_folder(own)] == ["folder.not_json"]
