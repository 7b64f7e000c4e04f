"""predict.py against the table of options and the stored schema; tests/serving/test_cog_server.py runs it."""

import ast
import inspect
import json
import warnings
from pathlib import Path
from types import NoneType
from typing import get_args

import cog
import pytest

from jsd.options import OPTIONS
from jsd.serving.cog_server import SCHEMA
from predict import Predictor
from runs.schema import build_schema

PREDICTOR = Path(__file__).parents[1] / "predict.py"
INPUTS = {name: row for name, row in inspect.signature(Predictor.run).parameters.items() if name != "self"}
ANSWER_INPUTS = {"preview_every"}  # about the answer, not the picture
DEFAULT_PROMPT = "サラリーマン 油絵"


def test_the_names_and_their_order_are_those_of_the_options() -> None:
    assert [name for name in INPUTS if name not in ANSWER_INPUTS] == list(OPTIONS)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_literals_are_those_of_the_options(name: str) -> None:
    option, row = OPTIONS[name], INPUTS[name].default
    default = {"prompt": DEFAULT_PROMPT, "loras": ""}.get(name, option.default)  # one text with commas
    assert (row.default, type(row.default)) == (default, type(default))
    limits = (option.low, option.high) if option.type in (int, float) else (None, None)
    assert (row.ge, row.le) == limits
    assert tuple(row.choices or ()) == option.choices
    assert (NoneType in get_args(INPUTS[name].annotation)) == option.may_be_unset
    # A server has LoRA files of its own to choose from.
    assert name == "loras" or row.description.startswith(option.help)
    assert not row.description.isascii(), "in Japanese too"


def test_an_empty_request_draws() -> None:
    assert all(row.default.default is not None or NoneType in get_args(row.annotation) for row in INPUTS.values())


def test_cogs_parser_can_read_every_value() -> None:
    """It reads the source: what stands between one pair of quotes, numbers, True, False, None, lists of these."""
    source = PREDICTOR.read_text("utf-8")
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    inputs = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Input"]
    assert len(inputs) == len(INPUTS)
    for value in (keyword.value for call in inputs for keyword in call.keywords):
        for node in value.elts if isinstance(value, ast.List) else [value]:
            text, literal = str(ast.get_source_segment(source, node)), ast.literal_eval(node)
            assert not isinstance(literal, str) or text == f'"{literal}"', text


def test_the_schema_in_the_repository_is_that_of_the_predictor() -> None:
    assert json.loads(SCHEMA.read_text("utf-8")) == build_schema(), "run: make schema"


def test_the_schema_is_the_form_that_cogs_server_enforces() -> None:
    schema = build_schema()
    inputs = schema["components"]["schemas"]["Input"]
    assert inputs["properties"]["num_inference_steps"] == {
        "x-order": list(INPUTS).index("num_inference_steps"),
        "title": "Num Inference Steps",
        "type": "integer",
        "default": 25,
        "minimum": 1,
        "maximum": 500,
        "description": "Denoising steps. ノイズ除去のステップ数。",
    }
    picture = inputs["properties"]["image"]
    assert (picture["type"], picture["format"], picture["nullable"]) == ("string", "uri", True)
    assert inputs["properties"]["scheduler"]["allOf"] == [{"$ref": "#/components/schemas/scheduler"}]
    assert schema["components"]["schemas"]["scheduler"]["enum"] == list(OPTIONS["scheduler"].choices)
    assert "required" not in inputs
    assert schema["paths"]["/predictions"]["post"]["x-cog-streaming"] is True, "server-sent events are on"
    assert schema["components"]["schemas"]["Output"]["x-cog-array-type"] == "iterator"


def test_the_older_name_reaches_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "run", lambda self, prompt: [prompt])
    with pytest.warns(DeprecationWarning, match="run"):
        assert Predictor().predict(prompt="猫") == ["猫"]


def test_cog_loads_it_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = cog.predictor.load_predictor_from_ref(f"{PREDICTOR}:Predictor")
    assert isinstance(loaded, cog.BaseRunner)
