"""What a request may ask for. The fields of `SamplingOptions` are the one table of options.

The flags of the command line, the page's form, the columns of batch files, the table in the docs and the checks of
predict.py follow from it (`OPTIONS`).
"""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, get_args, get_origin, get_type_hints

from PIL import Image

from jsd.errors import InvalidInputError
from jsd.i18n import N_
from jsd.prompting.styles import STYLES
from jsd.rules import Option, Picture, did_you_mean
from jsd.schedulers import SCHEDULERS, check_steps

MAX_SEED = 2**32 - 1
MAX_RANDOM_SEED = 2**31 - 1  # `cog run -i seed=` takes no larger one
# WebP's limit, far above any size a model folder allows; the folder's own bounds are the pipeline's to check.
MAX_SIDE_PX = 16383
GUIDANCE_LIMITS = (1, 20)
# What may differ between the requests of one batch.
PER_IMAGE = ("prompt", "negative_prompt", "style", "seed", "num_outputs")


def option(default: object, help: str, limits: tuple[float, float] = (0, 0), choices: Sequence[str] = ()) -> Any:
    """A field of `SamplingOptions`: numbers within `limits`, texts of `choices`; `help` is English (`jsd.i18n`)."""
    return field(
        default=default, metadata={"help": help, "low": limits[0], "high": limits[1], "choices": tuple(choices)}
    )


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """`None` means unset: sizes then come from the image or the model, guidance from the model, the seed at random.

    `image` starts the picture instead of pure noise, `prompt_strength` of the way (0 keeps it, 1 forgets it);
    `mask` limits the change to its white part. Both are a path or a Pillow image.
    """

    prompt: str = option(MISSING, N_("What to draw, in Japanese."))
    negative_prompt: str = option("", N_("What the picture should not show."))
    style: str = option("", N_("A style, put behind the prompt."), choices=("", *STYLES))
    image: Picture | None = option(None, N_("Picture to start from."))
    mask: Picture | None = option(None, N_("White is repainted, black stays as in image."))
    prompt_strength: float = option(0.8, N_("With image: 0 keeps the picture, 1 nothing of it."), (0, 1))
    width: int | None = option(None, N_("Width in px before upscale. Unset: the image's or model's."), (1, MAX_SIDE_PX))
    height: int | None = option(
        None, N_("Height in px before upscale. Unset: the image's or model's."), (1, MAX_SIDE_PX)
    )
    upscale: int | None = option(
        None, N_("How many times as large. Unset: 4 where the model has an upscaler, else 1."), (1, 4)
    )
    num_outputs: int = option(1, N_("Number of pictures."), (1, 4))
    num_candidates: int = option(1, N_("So many are drawn, the best num_outputs of them returned."), (1, 16))
    num_inference_steps: int = option(25, N_("Denoising steps."), (1, 500))
    guidance_scale: float | None = option(None, N_("Weight of the prompt. Unset: the model's own."), GUIDANCE_LIMITS)
    guidance_start: float = option(0.0, N_("Guidance begins at this share of the way from noise to picture."), (0, 1))
    guidance_end: float = option(1.0, N_("Guidance ends at this share of the way from noise to picture."), (0, 1))
    scheduler: str = option("DPMSolverMultistep", N_("Sampling method."), choices=tuple(SCHEDULERS))
    unknown_words: str = option("warn", N_("Unreadable words: warn, or replace by kana."), choices=("warn", "replace"))
    long_prompt: str = option("chunk", N_("Too long for the model: chunk, or truncate."), choices=("chunk", "truncate"))
    seed: int | None = option(None, N_("Picture i uses seed + i. Unset: drawn at random."), (0, MAX_SEED))
    loras: tuple[str, ...] = option((), N_("LoRA files, each FILE or FILE:WEIGHT."))
    disable_safety_checker: bool = option(False, N_("Return flagged pictures too."))
    safety_threshold: float = option(0.0, N_("Withhold scores above it; 0 is standard."), (-0.1, 0.1))
    output_format: str = option("png", N_("PNG keeps every pixel."), choices=("png", "webp", "jpg"))
    output_quality: int = option(80, N_("Quality of webp and jpg; png has none."), (0, 100))

    def __new__(cls, **values: object) -> "SamplingOptions":
        check_names(values)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, rule in OPTIONS.items():
            object.__setattr__(self, name, rule.check(getattr(self, name)))
        if 1 < self.num_candidates < self.num_outputs:
            raise InvalidInputError(
                "options.candidates",
                "{field} must be 1, which chooses none, or at least num_outputs ({low}), got {value}; choose more",
                field="num_candidates",
                low=self.num_outputs,
                value=self.num_candidates,
            )
        if self.seed is not None and self.seed + self.num_drawn - 1 > MAX_SEED:
            raise InvalidInputError(
                "options.last_seed",
                "{field} + num_outputs - 1 must be at most 4294967295, got {field} {value} with "
                "num_outputs {num_outputs}; use a seed of at most {high}",
                field="seed",
                value=self.seed,
                num_outputs=self.num_drawn,
                high=MAX_SEED - self.num_drawn + 1,
            )
        check_steps(self.scheduler, self.num_inference_steps)
        if self.guidance_start > self.guidance_end:
            raise InvalidInputError(
                "options.guidance_interval",
                "{field} must be at most guidance_end ({high}), got {value}; choose a smaller one",
                field="guidance_start",
                value=self.guidance_start,
                high=self.guidance_end,
            )
        if self.mask is not None and self.image is None:
            raise mask_alone()

    @property
    def num_drawn(self) -> int:
        """Pictures that are drawn, whether returned or not."""
        return max(self.num_outputs, self.num_candidates)

    def seeds(self, count: int) -> range:
        """Of so many pictures; from a random first one where it is unset."""
        first = secrets.randbelow(MAX_RANDOM_SEED - count + 2) if self.seed is None else self.seed
        return range(first, first + count)

    def to_json(self) -> str:
        """One JSON object; pictures are written as their paths."""
        values = {name: getattr(self, name) for name in OPTIONS}
        for name in ("image", "mask"):
            if isinstance(values[name], Image.Image):
                raise InvalidInputError(
                    "options.in_memory",
                    "{field} must be a path to be written as JSON, and is a picture in memory; save it "
                    "to a file and pass the path",
                    field=name,
                )
            if values[name] is not None:
                values[name] = str(values[name])
        return json.dumps(values, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "SamplingOptions":
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise not_an_object(error) from error
        if not isinstance(values, dict):
            raise not_an_object(type(values).__name__)
        return cls(**{"prompt": None, **values})


Requests = str | SamplingOptions | Sequence[str | SamplingOptions]  # a text is a prompt


def as_requests(options: Requests) -> list[SamplingOptions]:
    several = [options] if isinstance(options, str | SamplingOptions) else options
    if isinstance(several, Mapping) or not isinstance(several, Iterable):
        raise _no_request(several)
    return [_request(one) for one in several]


def _request(one: object) -> SamplingOptions:
    if isinstance(one, SamplingOptions):
        return one
    if isinstance(one, str):
        return SamplingOptions(prompt=one)
    raise _no_request(one)


def _no_request(value: object) -> InvalidInputError:
    return InvalidInputError(
        "options.request",
        "{field} must be a prompt, SamplingOptions or a list of these, got {value}; options of a prompt go by their "
        "names: generate('桜', seed=3)",
        field="options",
        value=repr(value),
    )


def check_names(values: Mapping[str, object]) -> None:
    for name in values:
        if name not in OPTIONS:
            raise InvalidInputError(
                "options.unknown",
                "{field} is not a sampling option{did_you_mean}; the options are {choices}",
                field=name,
                did_you_mean=did_you_mean(name, OPTIONS),
                choices=", ".join(OPTIONS),
            )


def not_an_object(why: object) -> InvalidInputError:
    return InvalidInputError(
        "options.json",
        '{field} must be one JSON object of sampling options, got {value}; write it like {{"prompt": "桜"}}',
        field="options",
        value=str(why),
    )


def mask_alone() -> InvalidInputError:
    return InvalidInputError(
        "options.mask_alone",
        "{field} needs a picture to repaint and image is not set; pass image too, or leave {field} out",
        field="mask",
    )


def shared_options(requests: Sequence[SamplingOptions]) -> SamplingOptions:
    """The first of the requests, all of which agree with it but in what may differ."""
    if len(requests) == 0:
        raise InvalidInputError(
            "batch.empty", "{field} must hold at least one request, and is empty; pass one", field="options"
        )
    first = requests[0]
    for name in (name for name in OPTIONS if name not in PER_IMAGE):
        for request in requests[1:]:
            if getattr(request, name) != getattr(first, name):
                raise InvalidInputError(
                    "batch.differs",
                    "the requests of one batch may differ in {allowed} only, and these differ in {field}; draw "
                    "them one after the other",
                    field=name,
                    allowed=", ".join(PER_IMAGE),
                )
    return first


def table(options: type[SamplingOptions]) -> dict[str, Option]:
    """name -> its rule, as the fields of a class say it."""
    hints = get_type_hints(options)
    rules = {}
    for one in fields(options):
        hint = hints[one.name]
        types = {tuple} if get_origin(hint) is tuple else set(get_args(hint)) or {hint}
        kind = next(kind for kind in (tuple, Image.Image, str, bool, int, float) if kind in types)
        is_optional = type(None) in types
        rules[one.name] = Option(
            name=one.name, type=kind, default=one.default, may_be_unset=is_optional, **one.metadata
        )
    return rules


OPTIONS = table(SamplingOptions)
