import time

import pytest

from jsd.images.parameters import SAMPLERS, from_parameters, to_parameters
from jsd.options import SamplingOptions
from jsd.schedulers import SCHEDULERS


def test_every_scheduler_has_a_name_that_other_tools_know() -> None:
    assert set(SAMPLERS) == set(SCHEDULERS)
    assert len(set(SAMPLERS.values())) == len(SAMPLERS), "two schedulers could not be told apart again"


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_what_is_written_is_read_back(scheduler: str) -> None:
    options = SamplingOptions(
        prompt="猫\n二行目", negative_prompt="犬", width=64, height=32, seed=7, guidance_scale=3.5, scheduler=scheduler
    )
    values = from_parameters(str(to_parameters({**vars(options), "model": 'a: "b", c'}, "0")))
    for name in ("prompt", "negative_prompt", "width", "height", "seed", "scheduler", "guidance_scale"):
        assert values[name] == getattr(options, name), name
    assert values["model"] == 'a: "b", c'
    assert "prompt_strength" not in values, "there was no picture to start from"


def test_strength_is_named_where_a_picture_was_the_start() -> None:
    options = SamplingOptions(prompt="猫", image="a.png", prompt_strength=0.5, seed=0, width=8, height=8)
    assert "Denoising strength: 0.5" in str(to_parameters({**vars(options), "model": "m"}, "0"))


@pytest.mark.parametrize("text", ["", "猫", "猫\nSteps: 3", "Negative prompt: 犬"])
def test_a_text_without_settings_is_all_prompt(text: str) -> None:
    values = from_parameters(text)
    assert set(values) == {"prompt", "negative_prompt"}
    assert f"{values['prompt']}{values['negative_prompt']}" in (text, "犬")


@pytest.mark.parametrize("end", ["", "\n", "\r\n\r\n", " \t\n\u3000\n", "\0"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r", " \n\t"])
def test_ends_of_lines_do_not_matter(line_end: str, end: str) -> None:
    lines = ["猫", "", "二行目", "Negative prompt: 犬", "魚", "Steps: 20, Sampler: Euler a, Seed: 42"]
    values = from_parameters("\ufeff" + line_end.join(lines) + end)
    assert values == {
        "prompt": "猫\n\n二行目",
        "negative_prompt": "犬\n魚",
        "num_inference_steps": 20,
        "scheduler": "K_EULER_ANCESTRAL",
        "seed": 42,
    }


def test_values_that_are_not_numbers_are_kept_as_they_stand() -> None:
    digits = "9" * 5000
    values = from_parameters(f"猫\nSteps: many, Seed: {digits}, Size: wide, CFG scale: 1e999, Model: 7")
    names = ("num_inference_steps", "seed", "Size", "guidance_scale")
    assert [values[name] for name in names] == ["many", digits, "wide", "1e999"]


@pytest.mark.parametrize("line", ['"' + '\\"' * 400_000, "a " * 400_000, '\\"' * 4_900, "a" * 9_000 + ","])
def test_hostile_settings_take_no_time(line: str) -> None:
    began = time.perf_counter()
    from_parameters("猫\n" + line)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("said", "scheduler"),
    [
        ("Sampler: DPM++ 2M, Schedule type: Karras", "KarrasDPM"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "DPMSolverMultistep"),
        ("Sampler: DPM++ 2M Karras", "KarrasDPM"),
        ("Sampler: Euler a, Schedule type: Karras", "K_EULER_ANCESTRAL"),
    ],
)
def test_a_schedule_that_is_named_apart_belongs_to_the_sampler(said: str, scheduler: str) -> None:
    values = from_parameters(f"猫\nSteps: 20, {said}, CFG scale: 7, Seed: 1, Size: 512x512")
    assert values["scheduler"] == scheduler and ("Schedule type" in values) == (scheduler[0] != "K" or "Euler" in said)
