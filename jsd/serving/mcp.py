"""`jsd mcp`: tools for programs that speak the Model Context Protocol, over standard input and output."""

import base64
import json
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from anyio import from_thread, to_thread

import jsd
from jsd.errors import InvalidInputError, JsdError, MissingExtraError
from jsd.i18n import N_, _
from jsd.images.saving import encode_image, save_unused
from jsd.models.folder import ModelFolder
from jsd.models.record import folder_licence
from jsd.options import OPTIONS, SamplingOptions
from jsd.prompting.styles import readable_styles
from jsd.recorded import read_record, recorded_request
from jsd.rules import Option, did_you_mean, not_one_of

try:
    from mcp import types
    from mcp.server import Server, ServerRequestContext
    from mcp.server.stdio import stdio_server
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "mcp":
        raise
    raise MissingExtraError("mcp", "mcp") from error

if TYPE_CHECKING:
    from jsd.job import GeneratedImage
    from jsd.pipeline import Pipeline

# Not for a program to choose: what its user's machine reads and what is withheld; and how a file is written.
OF_THE_OPERATOR = ("disable_safety_checker", "safety_threshold")  # whatever a file says, too
NOT_OFFERED = ("loras", *OF_THE_OPERATOR, "output_format", "output_quality")
OFFERED = {name: rule for name, rule in OPTIONS.items() if name not in NOT_OFFERED}
JSON_TYPES = {str: "string", int: "integer", float: "number"}
# How many of the last pictures can be named by their seeds.
REMEMBERED = 100
# Claude Desktop refuses an answer of more than 1 MiB, and base64 makes four bytes of three.
MAX_SENT_BYTES = 700_000
INSTRUCTIONS = N_(
    "Draws pictures from Japanese prompts. Ask describe first for what the model knows and which sizes it draws. "
    "Prompts are short Japanese phrases: what is seen, then the style."
)
DESCRIPTIONS = {
    "draw": N_("Draw a picture from a Japanese prompt."),
    "redraw": N_(
        "Draw a picture again, with changes: name its file (path), or the seed of one that was drawn in this session, "
        "and the options that should differ."
    ),
    "describe": N_("What the model is, knows and draws: sizes, styles, options with their limits, licence."),
}
Report = Callable[[float, float], Coroutine[Any, Any, None]]


def _fitting(picture: "GeneratedImage", png: bytes, limit: int) -> tuple[bytes, str]:
    """The PNG, or where it has more than `limit` bytes a WebP, shrunk until it has not; and which."""
    data, kind, image = png, "png", picture.image
    while len(data) > limit and min(image.size) > 1:
        image = image if kind == "png" else image.resize((image.width // 2, image.height // 2))
        data, kind = encode_image(image, Path("picture.webp"), metadata=picture.metadata), "webp"
    return data, kind


@dataclass
class Artist:
    """One model, loaded when it is first needed; one drawing at a time."""

    folder: ModelFolder
    load: Callable[[], "Pipeline"]
    output_dir: Path | None = None
    pipeline: "Pipeline | None" = None
    drawn: OrderedDict[int, SamplingOptions] = field(default_factory=OrderedDict)
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def draw(self, options: SamplingOptions, notes: Sequence[str], report: Report) -> types.CallToolResult:
        async with self.turn:
            pictures, said = await to_thread.run_sync(self._draw, options, report)
        content: list[types.ContentBlock] = []
        lines, files = [], []
        for picture in pictures:
            data = encode_image(picture.image, Path("picture.png"), metadata=picture.metadata)
            sent, kind = _fitting(picture, data, MAX_SENT_BYTES // len(pictures))
            content.append(types.ImageContent(data=base64.b64encode(sent).decode(), mime_type=f"image/{kind}"))
            line = f"seed {picture.seed}, {picture.image.width}x{picture.image.height} px"
            line += "" if kind == "png" else _(", sent as {kind}: it was too large", kind=kind)
            if self.output_dir is not None:
                path = save_unused(data, self.output_dir, f"jsd-{picture.seed}", ".png")
                files.append(str(path))
                line += f", {path}"
            lines.append(line)
            self.drawn[picture.seed] = picture.options
            self.drawn.move_to_end(picture.seed)
        while len(self.drawn) > REMEMBERED:
            self.drawn.popitem(last=False)
        notes = [*notes, *said]
        content.append(types.TextContent(text="\n".join([*lines, *notes])))
        structured = {"seeds": [picture.seed for picture in pictures], "files": files, "notes": notes}
        return types.CallToolResult(content=content, structured_content=structured)

    def _draw(self, options: SamplingOptions, report: Report) -> tuple[list["GeneratedImage"], list[str]]:
        """In a thread, which ends within a step when the request is cancelled."""
        if self.pipeline is None:
            self.pipeline = self.load()
        job = self.pipeline.prepare(options)
        for state in self.pipeline.denoise(job):
            from_thread.check_cancelled()
            from_thread.run(report, state.step, state.num_steps)
        pictures = self.pipeline.finish(job)
        if self.output_dir is not None:
            self.output_dir.mkdir(parents=True, exist_ok=True)
        return pictures, list(map(str, job.notes))

    def recall(self, given: Mapping[str, Any]) -> tuple[SamplingOptions, list[str]]:
        """What redraw asks for, and what is to be said of it."""
        changes = {name: value for name, value in given.items() if name not in ("path", "seed")}
        path, seed = given.get("path"), given.get("seed")
        if isinstance(path, str):
            again = {} if seed is None else {"seed": seed}
            pictures = {name: Path(changes[name]) for name in ("image", "mask") if isinstance(changes.get(name), str)}
            file = Path(path)
            record = {name: value for name, value in read_record(file).items() if name not in OF_THE_OPERATOR}
            chosen = {"num_outputs": 1, "output_format": "png", **changes, **again}
            options = recorded_request(record, file.parent, chosen=chosen, pictures=pictures)
            return options, self._other_model(record)
        if seed not in list(self.drawn):
            raise InvalidInputError(
                "mcp.not_drawn",
                "{field} must be that of a picture of this session ({choices}), or path a picture file by jsd, got "
                "{value}; name one of them, or draw it",
                field="seed",
                choices=", ".join(map(str, self.drawn)) if self.drawn else "-",
                value=repr(seed),
            )
        return replace(self.drawn[seed], **changes), []

    def _other_model(self, record: Mapping[str, Any]) -> list[str]:
        vae = self.folder.parts.get("vae")
        own = {"model": self.folder.path.resolve().name, "vae": None if vae is None else vae.resolve().name}
        its = {name: record.get(name) for name in own}
        model, value = (", VAE ".join(str(name) for name in names.values() if name is not None) for names in (own, its))
        said = _("{value} drew the file, and this is {model}: the picture is another", value=value, model=model)
        return [] if own == its else [said]

    def describe(self) -> dict[str, Any]:
        limits, path, tokenizer = self.folder.size_limits, self.folder.path, self.folder.tokenizer
        known = tokenizer.known
        return {
            "model": path.resolve().name,
            **folder_licence(path),
            "sizes": {
                "default": list(limits.default),
                "multiple_of": limits.factor,
                "min_side": limits.min_side,
                "max_area": limits.max_area,
            },
            "guidance_scale": self.folder.guidance_scale,
            "styles": readable_styles(tokenizer) if known is None else list(known.styles),
            "options": {name: _schema(rule, self.folder) for name, rule in OFFERED.items()},
            "concepts": None if known is None else [concept.name for concept in known.concepts],
        }


def build_server(artist: Artist) -> "Server[Any]":
    options = {name: _schema(rule, artist.folder) for name, rule in OFFERED.items()}
    path = {"type": "string", "description": _("A picture file by jsd on this machine.")}
    inputs: dict[str, dict[str, Any]] = {"draw": options, "redraw": {"path": path, **options}, "describe": {}}
    tools = [
        types.Tool(
            name=name,
            description=_(DESCRIPTIONS[name]),
            input_schema={
                "type": "object",
                "properties": properties,
                "required": ["prompt"] if name == "draw" else [],
                "additionalProperties": False,
            },
            annotations=types.ToolAnnotations(read_only_hint=artist.output_dir is None, destructive_hint=False),
        )
        for name, properties in inputs.items()
    ]

    async def list_tools(
        context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def call_tool(
        context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        given = {name: value for name, value in (params.arguments or {}).items() if value is not None}
        try:
            _check_names(params.name, given, inputs)
            if params.name == "describe":
                said = await to_thread.run_sync(artist.describe)
                text = types.TextContent(text=json.dumps(said, ensure_ascii=False, indent=1))
                return types.CallToolResult(content=[text], structured_content=said)
            if params.name == "redraw":
                options, notes = await to_thread.run_sync(artist.recall, given)
            else:
                options, notes = SamplingOptions(**{"prompt": None, **given}), []
            return await artist.draw(options, notes, context.session.report_progress)
        except JsdError as error:
            return types.CallToolResult(content=[types.TextContent(text=str(error))], is_error=True)

    return Server(
        "jsd", version=jsd.__version__, instructions=_(INSTRUCTIONS), on_list_tools=list_tools, on_call_tool=call_tool
    )


def serve(
    folder: ModelFolder, *, device: str | None, dtype: str | None, engine: str | None, output_dir: Path | None
) -> None:
    """Answer until standard input ends, or nobody reads the answers."""

    def load() -> "Pipeline":
        from jsd.pipeline import Pipeline  # torch, only when something is drawn

        return Pipeline.load(folder, device, dtype, engine)

    async def answer() -> None:
        server = build_server(Artist(folder, load, output_dir))
        async with stdio_server() as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())

    try:
        anyio.run(answer)
    except* BrokenPipeError:
        pass  # the client is gone, and nobody is left to tell


def _schema(rule: Option, folder: ModelFolder) -> dict[str, Any]:
    """JSON Schema of an option, with what the model folder says of it."""
    schema: dict[str, Any] = {"type": JSON_TYPES.get(rule.type, "string"), "description": _(rule.help)}
    if rule.name in ("width", "height"):
        limits = folder.size_limits
        default = limits.default[0 if rule.name == "width" else 1]
        return {**schema, "minimum": limits.min_side, "multipleOf": limits.factor, "default": default}
    if rule.type in (int, float):
        schema |= {"minimum": rule.low, "maximum": rule.high}
    if rule.choices:
        schema["enum"] = list(rule.choices)
    if not rule.is_required and rule.default is not None:
        schema["default"] = rule.default
    return schema


def _check_names(tool: str, given: Mapping[str, Any], inputs: Mapping[str, Mapping[str, Any]]) -> None:
    if tool not in inputs:
        raise not_one_of("name", tool, inputs)
    for name in given:
        if name not in inputs[tool]:
            raise InvalidInputError(
                "mcp.argument",
                "{field} is no argument of {tool}{did_you_mean}; the arguments are {choices}",
                field=name,
                tool=tool,
                did_you_mean=did_you_mean(name, inputs[tool]),
                choices=", ".join(inputs[tool]) if inputs[tool] else "-",
            )
