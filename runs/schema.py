"""python -m runs.schema: write jsd/serving/openapi_schema.json, the schema that `cog build` writes from predict.py.

Only the inputs are made anew: what stands around them is the same for every predictor that yields files, as Cog 0.22
(pkg/schema) wrote it once.
"""

import inspect
import json
from types import UnionType
from typing import Any, get_args

from cog import Path

from jsd.atomic import write_text
from jsd.serving.cog_server import SCHEMA
from predict import Predictor

Schema = dict[str, Any]

TYPES: dict[type, Schema] = {
    bool: {"type": "boolean"},
    float: {"type": "number"},
    int: {"type": "integer"},
    str: {"type": "string"},
    Path: {"type": "string", "format": "uri"},
}
# Keyword of cog.Input -> keyword of the JSON schema
KEYWORDS = {"description": "description", "ge": "minimum", "le": "maximum", "accept": "x-cog-accept"}


def build_schema() -> Schema:
    """The file's content, with the inputs of predict.py."""
    schema: Schema = json.loads(SCHEMA.read_text("utf-8"))
    rows = list(inspect.signature(Predictor.run).parameters.values())[1:]  # without self
    schemas = schema["components"]["schemas"]
    for name in schemas["Input"]["properties"]:
        schemas.pop(name, None)  # the choices that it had
    schemas["Input"]["properties"] = {row.name: _property(row, order) for order, row in enumerate(rows)}
    choices = {row.name: _choices(row) for row in rows if row.default.choices}
    schema["components"]["schemas"] = schemas | choices
    return schema


def _property(row: inspect.Parameter, order: int) -> Schema:
    is_optional = isinstance(row.annotation, UnionType)
    kind = get_args(row.annotation)[0] if is_optional else row.annotation
    if row.default.choices:
        schema: Schema = {"allOf": [{"$ref": f"#/components/schemas/{row.name}"}]}
    else:
        schema = {"title": " ".join(map(str.capitalize, row.name.split("_"))), **TYPES[kind]}
    schema |= {"nullable": True} if is_optional else {}
    values = {key: getattr(row.default, name) for name, key in KEYWORDS.items()}
    said = {key: value for key, value in values.items() if value is not None}
    return {"x-order": order, **schema, "default": row.default.default, **said}


def _choices(row: inspect.Parameter) -> Schema:
    return {"title": row.name, "description": "An enumeration.", "enum": row.default.choices, **TYPES[row.annotation]}


if __name__ == "__main__":
    write_text(SCHEMA, json.dumps(build_schema(), ensure_ascii=False, indent=1) + "\n")
