"""The schema that jsd serve writes: the form of `cog build`'s, from the source alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jsd.errors import ServingError
from jsd.serving.schema import build_schema, read_inputs, write_schema

TEMPLATE = """
raise SystemExit("the source is read, never run")

class Predictor(BaseRunner):
    {decorator}
    def run(
        self,
{parameters}
    ) -> {returns}:
        pass
"""

Write = Callable[..., Path]


@pytest.fixture
def predictor(tmp_path: Path) -> Write:
    """Write a predictor with these parameters; its path."""

    def write(*parameters: str, returns: str = "Iterator[Path]", decorator: str = "") -> Path:
        path = tmp_path / "predict.py"
        lines = "\n".join(f"        {parameter}," for parameter in parameters)
        source = TEMPLATE.format(parameters=lines, returns=returns, decorator=decorator)
        path.write_text(source, encoding="utf-8")
        return path

    return write


def test_a_number_with_limits(predictor: Write) -> None:
    path = predictor('steps_px: int = Input(description="How many.", default=25, ge=1, le=500)')
    assert build_schema(path)["components"]["schemas"]["Input"]["properties"]["steps_px"] == {
        "x-order": 0,
        "title": "Steps Px",
        "type": "integer",
        "description": "How many.",
        "default": 25,
        "minimum": 1,
        "maximum": 500,
    }


def test_limits_below_zero(predictor: Write) -> None:
    """One literal to Cog's parser, an operator and its operand to Python's."""
    path = predictor("shift: float = Input(default=-0.5, ge=-1, le=1)")
    shift = build_schema(path)["components"]["schemas"]["Input"]["properties"]["shift"]
    assert (shift["default"], shift["minimum"], shift["maximum"]) == (-0.5, -1, 1)


def test_inputs_keep_their_order(predictor: Write) -> None:
    path = predictor("b: str = Input(default='')", "a: str = Input(default='')", "c: str = Input(default='')")
    properties = build_schema(path)["components"]["schemas"]["Input"]["properties"]
    assert [(name, row["x-order"]) for name, row in properties.items()] == [("b", 0), ("a", 1), ("c", 2)]


def test_choices_are_an_enum_by_reference(predictor: Write) -> None:
    schemas = build_schema(predictor('kind: str = Input(default="x", choices=["x", "y"])'))["components"]["schemas"]
    assert schemas["Input"]["properties"]["kind"]["allOf"] == [{"$ref": "#/components/schemas/kind"}]
    assert "type" not in schemas["Input"]["properties"]["kind"]
    assert schemas["kind"] == {"title": "kind", "description": "An enumeration.", "enum": ["x", "y"], "type": "string"}


def test_optional_is_nullable_and_a_file_is_a_uri(predictor: Write) -> None:
    path = predictor("image: Path | None = Input(default=None)")
    schema = build_schema(path)["components"]["schemas"]["Input"]
    image = {"x-order": 0, "title": "Image", "type": "string", "format": "uri", "nullable": True}
    assert schema["properties"]["image"] == {**image, "default": None}
    assert "required" not in schema


@pytest.mark.parametrize(
    "parameter",
    ["prompt: str = Input(description='What.')", "prompt: str = Input(default=None)"],
    ids=["no default", "None on a type without None"],
)
def test_required(predictor: Write, parameter: str) -> None:
    schema = build_schema(predictor(parameter))["components"]["schemas"]["Input"]
    assert schema["required"] == ["prompt"]
    assert "default" not in schema["properties"]["prompt"]


def test_output_is_files_one_after_the_other(predictor: Write) -> None:
    schema = build_schema(predictor("prompt: str = Input(default='')"))
    assert schema["components"]["schemas"]["Output"] == {
        "title": "Output",
        "type": "array",
        "items": {"type": "string", "format": "uri"},
        "x-cog-array-type": "iterator",
    }


@pytest.mark.parametrize(
    ("decorator", "streams"), [("", False), ("@streaming", True), ("@cog.streaming", True), ("@other", False)]
)
def test_server_sent_events_are_on_where_the_predictor_streams(predictor: Write, decorator: str, streams: bool) -> None:
    paths = build_schema(predictor("prompt: str = Input(default='')", decorator=decorator))["paths"]
    assert paths["/predictions"]["post"].get("x-cog-streaming", False) is streams


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("seed: int = Input(default=0, le=2**32 - 1)", "2 ** 32 - 1"),
        ("name: str = Input(default='', choices=list(TABLE))", "list(TABLE)"),
        ('name: str = Input(description="one " "two")', "'one two'"),
        ('name: str = Input(description="two\\\\nlines")', "'two\\\\nlines'"),
        ("name: str = Input(default_factory=list)", "list"),
        ("name: str = ''", "''"),
        ("name: str", "nothing"),
        ("name: str | int = Input(default='')", "str | int"),
        ("name: Image = Input(default='')", "Image"),
    ],
)
def test_what_cog_cannot_read_is_an_error(predictor: Write, parameter: str, value: str) -> None:
    with pytest.raises(ServingError) as error:
        read_inputs(predictor(parameter))
    assert error.value.code == "serve.not_literal"
    assert error.value.params == {"field": parameter.partition(":")[0], "value": value}


def test_another_output_is_an_error(predictor: Write) -> None:
    with pytest.raises(ServingError, match="return"):
        build_schema(predictor("prompt: str = Input(default='')", returns="list[Path]"))


def test_a_file_without_the_predictor_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text("class Other:\n    pass\n", encoding="utf-8")
    with pytest.raises(ServingError, match=r"must define Predictor\.run"):
        build_schema(tmp_path / "predict.py")


def test_it_is_written_where_the_server_looks(predictor: Write) -> None:
    path = predictor("prompt: str = Input(description='絵。')")
    written = write_schema(path)
    assert written == path.parent / ".cog" / "openapi_schema.json"
    assert json.loads(written.read_text("utf-8")) == build_schema(path)
    assert [file.name for file in written.parent.iterdir()] == ["openapi_schema.json"]
