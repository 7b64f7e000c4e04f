"""What a request may ask for: one frozen object, checked when it is made, to and from JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image

from jsd.errors import InvalidInputError
from jsd.schedulers import SCHEDULERS

MAX_SEED = 2**32 - 1
# WebP's limit, far above any size a model folder allows; the folder's own bounds are the pipeline's to check.
MAX_SIDE_PX = 16383
GUIDANCE_LIMITS = (1, 20)
# Of a prompt: far above what any model reads, and quick to analyse.
MAX_CHARACTERS = 10_000
# What may differ between the requests of one batch.
PER_IMAGE = ("prompt", "negative_prompt", "seed", "num_outputs")
UNKNOWN_WORDS = ("warn", "replace")
LONG_PROMPT = ("chunk", "truncate")


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """`None` means unset: sizes then come from the image or the model, guidance from the model, the seed at random.

    `image` starts the picture instead of pure noise, `prompt_strength` of the way (0 keeps it, 1 forgets it);
    `mask` limits the change to its white part. Both are a path or a Pillow image.
    """

    prompt: str
    negative_prompt: str = ""
    width: int | None = None  # px
    height: int | None = None  # px
    num_outputs: int = 1
    num_inference_steps: int = 25
    guidance_scale: float | None = None
    scheduler: str = "DPMSolverMultistep"
    seed: int | None = None
    image: str | Path | Image.Image | None = None
    mask: str | Path | Image.Image | None = None
    prompt_strength: float = 0.8
    unknown_words: str = "warn"  # or "replace": by a kana spelling that the vocabulary can read
    long_prompt: str = "chunk"  # in several windows, or "truncate": what does not fit into one falls off
    disable_safety_checker: bool = False
    safety_threshold: float = 0.0  # a picture with a higher score is withheld; 0 is the checker's own (`jsd.safety`)

    def __post_init__(self) -> None:
        for field in ("prompt", "negative_prompt"):
            if not isinstance(getattr(self, field), str):
                raise InvalidInputError(
                    "options.text",
                    "{field} must be text, got {value}; pass a string, empty if need be",
                    field=field,
                    value=repr(getattr(self, field)),
                )
            if len(getattr(self, field)) > MAX_CHARACTERS:
                length = len(getattr(self, field))
                raise InvalidInputError(
                    "options.long_text",
                    "{field} must be at most {high} characters, got {value}; shorten it",
                    field=field,
                    value=length,
                    high=MAX_CHARACTERS,
                )
        for field, low, high in _WHOLE_NUMBERS:
            value = getattr(self, field)
            if value is None and field in _UNSET:
                continue
            if type(value) is not int or not low <= value <= high:
                raise InvalidInputError(
                    "options.whole",
                    "{field} must be a whole number from {low} to {high}, got {value}; choose one in that range",
                    field=field,
                    low=low,
                    high=high,
                    value=repr(value),
                )
        for field, lowest, highest in _NUMBERS:
            value = getattr(self, field)
            if value is None and field in _UNSET:
                continue
            if type(value) not in (int, float) or not lowest <= value <= highest:
                raise InvalidInputError(
                    "options.number",
                    "{field} must be a number from {low} to {high}, got {value}; choose one in that range",
                    field=field,
                    low=lowest,
                    high=highest,
                    value=repr(value),
                )
        for field, choices in _CHOICES:
            value = getattr(self, field)
            if not isinstance(value, str) or value not in choices:
                raise InvalidInputError(
                    "options.choice",
                    "{field} must be one of {choices}; got {value}",
                    field=field,
                    choices=", ".join(choices),
                    value=repr(value),
                )
        for field in _SWITCHES:
            if type(getattr(self, field)) is not bool:
                raise InvalidInputError(
                    "options.switch",
                    "{field} must be true or false, got {value}; write one of the two, without quotes",
                    field=field,
                    value=repr(getattr(self, field)),
                )
        if self.seed is not None and self.seed + self.num_outputs - 1 > MAX_SEED:
            raise InvalidInputError(
                "options.last_seed",
                "{field} + num_outputs - 1 must be at most 4294967295, got {field} {value} with "
                "num_outputs {num_outputs}; use a seed of at most {high}",
                field="seed",
                value=self.seed,
                num_outputs=self.num_outputs,
                high=MAX_SEED - self.num_outputs + 1,
            )
        for field in ("image", "mask"):
            value = getattr(self, field)
            if value is not None and not isinstance(value, str | Path | Image.Image):
                raise InvalidInputError(
                    "options.picture",
                    "{field} must be a path or a Pillow image, got {value}; pass one of these",
                    field=field,
                    value=type(value).__name__,
                )
        if self.mask is not None and self.image is None:
            raise InvalidInputError(
                "options.mask_alone",
                "{field} needs a picture to repaint and image is not set; pass image too, or leave {field} out",
                field="mask",
            )

    def to_json(self) -> str:
        """One JSON object; pictures are written as their paths."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for field in ("image", "mask"):
            if isinstance(values[field], Image.Image):
                raise InvalidInputError(
                    "options.in_memory",
                    "{field} must be a path to be written as JSON, and is a picture in memory; save it "
                    "to a file and pass the path",
                    field=field,
                )
            if values[field] is not None:
                values[field] = str(values[field])
        return json.dumps(values, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "SamplingOptions":
        try:
            values: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(
                "options.json",
                '{field} must be one JSON object of sampling options, got {value}; write it like {{"prompt": "桜"}}',
                field="options",
                value=str(error),
            ) from error
        if not isinstance(values, dict):
            raise InvalidInputError(
                "options.json",
                '{field} must be one JSON object of sampling options, got {value}; write it like {{"prompt": "桜"}}',
                field="options",
                value=type(values).__name__,
            )
        names = [field.name for field in fields(cls)]
        for name in values:
            if name not in names:
                raise InvalidInputError(
                    "options.unknown",
                    "{field} is not a sampling option; the options are {choices}",
                    field=name,
                    choices=", ".join(names),
                )
        if "prompt" not in values:
            raise InvalidInputError(
                "options.text",
                "{field} must be text, got {value}; pass a string, empty if need be",
                field="prompt",
                value="nothing",
            )
        return cls(**values)


def shared_options(requests: Sequence[SamplingOptions]) -> SamplingOptions:
    """The first of the requests, all of which agree with it but in what may differ."""
    if len(requests) == 0:
        raise InvalidInputError(
            "batch.empty", "{field} must hold at least one request, and is empty; pass one", field="options"
        )
    first = requests[0]
    for name in (one.name for one in fields(SamplingOptions) if one.name not in PER_IMAGE):
        for request in requests[1:]:
            if getattr(request, name) != getattr(first, name):
                raise InvalidInputError(
                    "batch.differs",
                    "the requests of one batch may differ in {allowed} only, and these differ in "
                    "{field}; draw them one after the other",
                    field=name,
                    allowed=", ".join(PER_IMAGE),
                )
    return first


_UNSET = ("width", "height", "guidance_scale", "seed")
# field               low  high
_WHOLE_NUMBERS = (
    ("width", 1, MAX_SIDE_PX),
    ("height", 1, MAX_SIDE_PX),
    ("num_outputs", 1, 4),
    ("num_inference_steps", 1, 500),
    ("seed", 0, MAX_SEED),
)
_NUMBERS = (("guidance_scale", *GUIDANCE_LIMITS), ("prompt_strength", 0, 1), ("safety_threshold", -0.1, 0.1))
_SWITCHES = ("disable_safety_checker",)
_CHOICES = (("scheduler", tuple(SCHEDULERS)), ("unknown_words", UNKNOWN_WORDS), ("long_prompt", LONG_PROMPT))
