import json
import math
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jsd.cli.arguments import add_options, described
from jsd.errors import InvalidInputError
from jsd.options import MAX_SEED, OPTIONS, SamplingOptions, option, table
from jsd.schedulers import SCHEDULERS


def test_defaults_are_the_documented_ones() -> None:
    options = SamplingOptions(prompt="猫")
    assert (options.scheduler, options.num_inference_steps) == ("DPMSolverMultistep", 25)
    assert options.guidance_scale is None, "the model's own"
    assert (options.width, options.height, options.seed, options.num_outputs) == (None, None, None, 1)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("prompt", None),
        ("prompt", 3),
        ("negative_prompt", None),
        ("width", 0),
        ("width", 512.5),
        ("width", math.inf),
        ("guidance_scale", 10**400),
        ("style", "油"),
        ("output_format", "gif"),
        ("output_quality", 101),
        ("height", "512"),
        ("height", 10**9),
        ("num_outputs", 0),
        ("num_outputs", 5),
        ("num_outputs", True),
        ("num_inference_steps", 0),
        ("num_inference_steps", 501),
        ("num_inference_steps", None),
        ("guidance_scale", 0.99),
        ("guidance_scale", 20.1),
        ("guidance_scale", math.nan),
        ("guidance_scale", "7.5"),
        ("scheduler", "ddim"),
        ("scheduler", ["DDIM"]),
        ("seed", -1),
        ("seed", 2**32),
        ("seed", 1.5),
        ("image", 3),
        ("mask", "mask.png"),
        ("prompt_strength", -0.1),
        ("prompt_strength", 1.1),
        ("prompt_strength", False),
        ("safety_threshold", 0.11),
        ("safety_threshold", math.nan),
        ("disable_safety_checker", 1),
        ("disable_safety_checker", "true"),
        ("disable_safety_checker", None),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused_by_name(field: str, bad: object) -> None:
    values: dict[str, object] = {"prompt": "猫", field: bad}
    with pytest.raises(InvalidInputError) as caught:
        SamplingOptions(**values)  # type: ignore[arg-type]
    assert caught.value.field == field
    sentence = str(caught.value)
    assert field in sentence and "\n" not in sentence, f"the sentence does not name {field}: {sentence}"


@pytest.mark.parametrize(
    "values",
    [
        {"guidance_scale": 1},
        {"guidance_scale": 20},
        {"seed": 0},
        {"seed": MAX_SEED},
        {"prompt_strength": 0},
        {"prompt_strength": 1.0},
        {"num_inference_steps": 500},
        {"prompt": ""},
        {"safety_threshold": -0.1},
        {"safety_threshold": 0.1},
        {"disable_safety_checker": True},
        *({"scheduler": name} for name in SCHEDULERS),
    ],
)
def test_the_ends_of_each_range_are_allowed(values: dict[str, object]) -> None:
    options = SamplingOptions(**({"prompt": "猫"} | values))  # type: ignore[arg-type]
    for field, value in values.items():
        assert getattr(options, field) == value


def test_the_seed_of_the_last_image_must_fit_too() -> None:
    SamplingOptions(prompt="猫", seed=MAX_SEED - 3, num_outputs=4)
    with pytest.raises(InvalidInputError, match=str(MAX_SEED - 3)) as caught:
        SamplingOptions(prompt="猫", seed=MAX_SEED - 2, num_outputs=4)
    assert caught.value.field == "seed"


def test_json_gives_the_same_options_back() -> None:
    options = SamplingOptions(
        prompt="サラリーマン 油絵", seed=0, guidance_scale=1.0, width=64, image=Path("a.png"), mask="b.png"
    )
    again = SamplingOptions.from_json(options.to_json())
    assert again == SamplingOptions(**({**vars(options), "image": "a.png"}))
    assert "サラリーマン" in options.to_json(), "Japanese must stay readable in the JSON"


def test_a_picture_in_memory_has_no_json() -> None:
    options = SamplingOptions(prompt="猫", image=Image.new("RGB", (8, 8)))
    with pytest.raises(InvalidInputError, match="image"):
        options.to_json()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("{", "options"),
        ("[]", "options"),
        ("{}", "prompt"),
        (json.dumps({"prompt": "猫", "steps": 3}), "steps"),
        (json.dumps({"prompt": "猫", "width": "64"}), "width"),
    ],
)
def test_json_that_is_not_options_is_refused_by_name(text: str, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        SamplingOptions.from_json(text)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [("seed", 1.0, 1), ("seed", np.int64(7), 7), ("guidance_scale", np.float32(3), 3.0), ("guidance_scale", 3, 3)],
)
def test_numbers_of_any_type_are_numbers(field: str, given: object, kept: object) -> None:
    value = getattr(SamplingOptions(**{"prompt": "猫", field: given}), field)  # type: ignore[arg-type]
    assert value == kept and type(value) is type(kept)


def test_a_misspelt_option_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(InvalidInputError, match="guidance_scale") as caught:
        SamplingOptions(prompt="猫", guidence_scale=3)  # type: ignore[call-arg]
    assert caught.value.params["did_you_mean"] == " (guidance_scale?)"


def test_an_option_is_declared_once() -> None:
    """One more field is a flag with its limits and its default, and a column of a batch, without another line."""

    @dataclass(frozen=True, kw_only=True)
    class More(SamplingOptions):
        sharpness: float = option(0.5, "How sharp.", (0, 2))

    rule = table(More)["sharpness"]
    assert (rule.parse("1.5"), rule.check(1.5)) == (1.5, 1.5)
    with pytest.raises(InvalidInputError, match=r"sharpness .* 0 to 2"):
        rule.check(3)
    assert described(rule) == "How sharp. 0-2 (0.5)"


def test_every_option_is_a_flag_of_generate_and_a_column() -> None:
    parser = ArgumentParser()
    add_options(parser)
    assert set(OPTIONS) <= {action.dest for action in parser._actions}
