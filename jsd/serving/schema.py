"""The OpenAPI schema of the predictor, as `cog build` writes it into an image.

Cog's server enforces types, limits and choices only where `.cog/openapi_schema.json` stands beside the
predictor. Like Cog's parser (pkg/schema of replicate/cog 0.23) this one reads the source and never runs it,
and so takes what that parser can resolve: plain literals. Anything else is an error here, where Cog drops it
in silence.
"""

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cog

from jsd.atomic import write_text
from jsd.errors import ServingError

Schema = dict[str, Any]

SCHEMA_FILE = Path(".cog") / "openapi_schema.json"
# Python annotation -> JSON schema
TYPES: dict[str, Schema] = {
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "str": {"type": "string"},
    "Path": {"type": "string", "format": "uri"},
}
# Keyword of cog.Input -> keyword of the JSON schema
KEYWORDS = {
    "default": "default",
    "description": "description",
    "ge": "minimum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "regex": "pattern",
    "deprecated": "deprecated",
    "accept": "x-cog-accept",
}


@dataclass(frozen=True)
class PredictorInput:
    """One parameter of `run()`: its type and the literal keywords of its `Input(...)`."""

    name: str
    type: str
    nullable: bool
    keywords: dict[str, Any]

    @property
    def required(self) -> bool:
        """A default of None on a type that is not nullable counts as no default, as in Cog."""
        return not self.nullable and self.keywords.get("default") is None


def read_inputs(predictor: Path, class_name: str = "Predictor") -> list[PredictorInput]:
    """The inputs of `class_name.run` in the file, in order."""
    return _Reader(predictor, class_name).inputs()


def build_schema(predictor: Path, class_name: str = "Predictor") -> Schema:
    """The whole OpenAPI 3.0.2 document for the predictor in the file."""
    reader = _Reader(predictor, class_name)
    inputs = reader.inputs()
    components = {
        "Input": _object("Input", {row.name: _property(row, order) for order, row in enumerate(inputs)}),
        "Output": {"title": "Output", "type": "array", "items": reader.output_items(), "x-cog-array-type": "iterator"},
        **{row.name: _choices(row) for row in inputs if "choices" in row.keywords},
        **_ENVELOPES,
    }
    required = [row.name for row in inputs if row.required]
    if required:
        components["Input"]["required"] = required
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": cog.__version__},
        "paths": _paths(is_streaming=reader.is_streaming),
        "components": {"schemas": components},
    }


def write_schema(predictor: Path) -> Path:
    """Write the schema beside the predictor, where the server looks for it."""
    path = predictor.parent / SCHEMA_FILE
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(build_schema(predictor), ensure_ascii=False, indent=1))
    return path


class _Reader:
    def __init__(self, predictor: Path, class_name: str) -> None:
        self.source = predictor.read_text(encoding="utf-8")
        classes = [node for node in ast.parse(self.source).body if isinstance(node, ast.ClassDef)]
        methods = [
            node
            for found in classes
            if found.name == class_name
            for node in found.body
            if isinstance(node, ast.FunctionDef) and node.name == "run"
        ]
        if not methods:
            raise ServingError(
                "serve.no_predict",
                "{path} must define {name}; restore the file from the repository",
                path=predictor,
                name=f"{class_name}.run",
            )
        self.method = methods[0]

    def inputs(self) -> list[PredictorInput]:
        arguments = self.method.args.args[1:]  # without self
        defaults = self.method.args.defaults
        missing: list[ast.expr | None] = [None] * (len(arguments) - len(defaults))
        return [
            self._input(argument, default) for argument, default in zip(arguments, [*missing, *defaults], strict=True)
        ]

    @property
    def is_streaming(self) -> bool:
        """Whether `run` is decorated with Cog's `streaming`, which lets clients ask for server-sent events."""
        return any(ast.unparse(one) in ("streaming", "cog.streaming") for one in self.method.decorator_list)

    def output_items(self) -> Schema:
        """The items' schema of an `Iterator[X]` return annotation."""
        match self.method.returns:
            case ast.Subscript(value=ast.Name(id="Iterator"), slice=ast.Name(id=name)) if name in TYPES:
                return TYPES[name]
        raise self._unreadable("return", self.method.returns)

    def _input(self, argument: ast.arg, default: ast.expr | None) -> PredictorInput:
        match argument.annotation:
            case ast.Name(id=name) if name in TYPES:
                nullable = False
            case ast.BinOp(ast.Name(id=name), ast.BitOr(), ast.Constant(value=None)) if name in TYPES:
                nullable = True
            case annotation:
                raise self._unreadable(argument.arg, annotation)
        return PredictorInput(argument.arg, name, nullable, self._keywords(argument.arg, default))

    def _keywords(self, name: str, default: ast.expr | None) -> dict[str, Any]:
        match default:
            case ast.Call(func=ast.Name(id="Input"), args=[], keywords=keywords):
                pass
            case _:
                raise self._unreadable(name, default)
        known = {*KEYWORDS, "choices"}
        for keyword in keywords:
            if keyword.arg not in known:
                raise self._unreadable(name, keyword.value)
        return {str(keyword.arg): self._literal(name, keyword.value) for keyword in keywords}

    def _literal(self, name: str, node: ast.expr) -> Any:
        if isinstance(node, ast.List):
            return [self._literal(name, item) for item in node.elts]
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
        if not isinstance(node, ast.Constant):
            raise self._unreadable(name, node)
        # Cog's parser takes what stands between the quotes: no escapes, no neighbouring strings joined.
        if isinstance(node.value, str) and self._segment(node) not in (f'"{node.value}"', f"'{node.value}'"):
            raise self._unreadable(name, node)
        return node.value

    def _segment(self, node: ast.expr) -> str | None:
        return ast.get_source_segment(self.source, node)

    def _unreadable(self, name: str, node: ast.expr | None) -> ServingError:
        text = "nothing" if node is None else " ".join(ast.unparse(node).split())
        return ServingError(
            "serve.not_literal",
            "the predictor's {field} must be a type and literal values that Cog can read without "
            "running Python, got {value}; write it out as one literal",
            field=name,
            value=text,
        )


def _object(title: str, properties: Schema) -> Schema:
    return {"title": title, "type": "object", "properties": properties}


def _property(row: PredictorInput, order: int) -> Schema:
    schema: Schema = {"x-order": order}
    if "choices" in row.keywords:
        schema["allOf"] = [{"$ref": f"#/components/schemas/{row.name}"}]
    else:
        title = " ".join(word[:1].upper() + word[1:] for word in row.name.split("_"))
        schema |= {"title": title, **TYPES[row.type]}
    if row.nullable:
        schema["nullable"] = True
    for keyword, value in row.keywords.items():
        if keyword in KEYWORDS and not (keyword == "default" and row.required):
            schema[KEYWORDS[keyword]] = value
    return schema


def _choices(row: PredictorInput) -> Schema:
    return {
        "title": row.name,
        "description": "An enumeration.",
        "enum": row.keywords["choices"],
        "type": TYPES[row.type]["type"],
    }


def _text(title: str, **more: str) -> Schema:
    return {"title": title, "type": "string", **more}


def _answer(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_STATUSES = ["starting", "processing", "succeeded", "canceled", "failed"]
# What stands around input and output in every Cog schema.
_ENVELOPES: dict[str, Schema] = {
    "PredictionRequest": _object("PredictionRequest", {"id": _text("Id"), "input": _ref("Input")}),
    "PredictionResponse": _object(
        "PredictionResponse",
        {
            "input": _ref("Input"),
            "output": _ref("Output"),
            "id": _text("Id"),
            "version": _text("Version"),
            "created_at": _text("Created At", format="date-time"),
            "started_at": _text("Started At", format="date-time"),
            "completed_at": _text("Completed At", format="date-time"),
            "status": _text("Status"),
            "error": _text("Error"),
            "logs": _text("Logs"),
            "metrics": {"title": "Metrics", "type": "object"},
        },
    ),
    "Status": {"title": "Status", "description": "An enumeration.", "enum": _STATUSES, "type": "string"},
    "HTTPValidationError": _object(
        "HTTPValidationError", {"detail": {"title": "Detail", "type": "array", "items": _ref("ValidationError")}}
    ),
    "ValidationError": {
        "required": ["loc", "msg", "type"],
        **_object(
            "ValidationError",
            {
                "loc": {
                    "title": "Location",
                    "type": "array",
                    "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                },
                "msg": _text("Message"),
                "type": _text("Error Type"),
            },
        ),
    },
}
_OK = _answer("Successful Response", {})
_INVALID = _answer("Validation Error", _ref("HTTPValidationError"))


def _status(summary: str, operation: str) -> Schema:
    return {"summary": summary, "operationId": operation, "responses": {"200": _OK}}


def _paths(*, is_streaming: bool) -> Schema:
    if not is_streaming:
        return _PATHS
    post = {**_PATHS["/predictions"]["post"], "x-cog-streaming": True}
    return {**_PATHS, "/predictions": {"post": post}}


_PATHS: Schema = {
    "/": {"get": _status("Root", "root__get")},
    "/health-check": {"get": _status("Healthcheck", "healthcheck_health_check_get")},
    "/predictions": {
        "post": {
            "summary": "Predict",
            "description": "Run a single prediction on the model",
            "operationId": "predict_predictions_post",
            "requestBody": {"content": {"application/json": {"schema": _ref("PredictionRequest")}}},
            "responses": {"200": _answer("Successful Response", _ref("PredictionResponse")), "422": _INVALID},
        }
    },
    "/predictions/{prediction_id}/cancel": {
        "post": {
            "summary": "Cancel",
            "operationId": "cancel_predictions__prediction_id__cancel_post",
            "parameters": [{"required": True, "schema": _text("Prediction Id"), "name": "prediction_id", "in": "path"}],
            "responses": {"200": _OK, "422": _INVALID},
        }
    },
}
