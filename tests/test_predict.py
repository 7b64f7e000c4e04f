"""predict.py against SamplingOptions, field by field; tests/serving/test_cog_server.py runs it."""

import inspect
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from jsd.errors import InvalidInputError
from jsd.options import SamplingOptions
from jsd.schedulers import SCHEDULERS
from jsd.serving.loras import served_loras
from jsd.serving.schema import PredictorInput, read_inputs

PREDICTOR = Path(__file__).parents[1] / "predict.py"
INPUTS = {row.name: row for row in read_inputs(PREDICTOR)}
OPTIONS = {field.name: field for field in fields(SamplingOptions)}
# Inputs about the answer, not the picture.
OUTPUT_INPUTS = {"preview_every"}
LIMITED = [(name, key) for name in OPTIONS for key in ("ge", "le") if key in INPUTS[name].keywords]


def options(**values: Any) -> SamplingOptions:
    return SamplingOptions(**{"prompt": "猫", **values})


def test_the_names_are_those_of_the_options() -> None:
    assert set(INPUTS) - OUTPUT_INPUTS == set(OPTIONS)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_the_default_is_the_options(name: str) -> None:
    default = INPUTS[name].keywords.get("default", MISSING)
    if name == "loras":  # Cog's clients write it as a text
        default = served_loras(default)
    assert default == OPTIONS[name].default
    assert type(default) is type(OPTIONS[name].default)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_none_is_allowed_where_the_options_allow_it(name: str) -> None:
    assert INPUTS[name].nullable == ("None" in str(OPTIONS[name].type))


@pytest.mark.parametrize(("name", "key"), LIMITED)
def test_the_limit_is_the_options(name: str, key: str) -> None:
    limit, step = INPUTS[name].keywords[key], 1 if INPUTS[name].type == "int" else 1e-6
    assert getattr(options(**{name: limit}), name) == limit
    with pytest.raises(InvalidInputError) as error:
        options(**{name: limit - step if key == "ge" else limit + step})
    assert error.value.field == name


@pytest.mark.parametrize("row", INPUTS.values(), ids=INPUTS)
def test_every_number_has_both_limits(row: PredictorInput) -> None:
    assert row.type not in ("int", "float") or {"ge", "le"} <= set(row.keywords)


def test_schedulers_are_those_of_the_table() -> None:
    assert INPUTS["scheduler"].keywords["choices"] == list(SCHEDULERS)


def test_png_is_the_default_of_the_formats() -> None:
    keywords = INPUTS["output_format"].keywords
    assert keywords["default"] == "png"
    assert set(keywords["choices"]) == {"png", "webp", "jpg"}


def test_cogs_own_reading_agrees() -> None:
    """The signature as Python sees it holds the same names, types and values as its source."""
    from predict import Predictor

    parameters = list(inspect.signature(Predictor.run).parameters.values())[1:]
    assert [parameter.name for parameter in parameters] == list(INPUTS)
    for parameter in parameters:
        for key, value in INPUTS[parameter.name].keywords.items():
            assert getattr(parameter.default, key) == value
