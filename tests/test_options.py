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


def test_defaults_are_the_documented_ones() -> None:
    options = SamplingOptions(prompt="猫")
    assert (options.scheduler, options.num_inference_steps) == ("DPMSolverMultistep", 25)
    assert options.guidance_scale is None, "the model's own"
    assert (options.width, options.height, options.seed, options.num_outputs) == (None, None, None, 1)


BAD = {
    "prompt": [None, 3],
    "negative_prompt": [None],
    "style": ["油"],
    "image": [3],
    "mask": ["mask.png"],  # without an image
    "width": [0, 512.5, math.inf],
    "height": ["512", 10**9],
    "num_outputs": [0, 5, True],
    "num_inference_steps": [0, 501, None],
    "guidance_scale": [0.99, 20.1, math.nan, "7.5", 10**400],
    "scheduler": ["ddim", ["DDIM"]],
    "seed": [-1, 2**32, 1.5],
    "prompt_strength": [-0.1, 1.1, False],
    "safety_threshold": [0.11, math.nan],
    "disable_safety_checker": [1, "true", None],
    "output_format": ["gif"],
    "output_quality": [101],
}


@pytest.mark.parametrize(("field", "bad"), [(field, bad) for field, values in BAD.items() for bad in values])
def test_a_value_that_breaks_its_rule_is_refused_by_name(field: str, bad: object) -> None:
    with pytest.raises(InvalidInputError) as caught:
        SamplingOptions(**{"prompt": "猫", field: bad})  # type: ignore[arg-type]
    assert caught.value.field == field and field in str(caught.value) and "\n" not in str(caught.value)


def test_the_ends_of_each_range_and_every_choice_are_allowed() -> None:
    ends = [(rule.name, end) for rule in OPTIONS.values() if rule.type in (int, float) for end in (rule.low, rule.high)]
    choices = [(rule.name, choice) for rule in OPTIONS.values() for choice in rule.choices]
    for field, value in [*ends, *choices, ("prompt", ""), ("disable_safety_checker", True)]:
        assert getattr(SamplingOptions(**{"prompt": "猫", field: value}), field) == value  # type: ignore[arg-type]


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
    with pytest.raises(InvalidInputError, match="image"):
        SamplingOptions(prompt="猫", image=Image.new("RGB", (8, 8))).to_json()


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


def test_a_random_seed_can_be_given_back_to_cogs_command_line() -> None:
    """Its whole numbers have 32 bits with a sign."""
    seeds = [SamplingOptions(prompt="", num_outputs=4).seeds(4) for _ in range(64)]
    assert all(one[-1] < 2**31 for one in seeds) and len({one[0] for one in seeds}) > 60
