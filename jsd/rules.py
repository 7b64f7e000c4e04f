"""What the value of an option or of a command's argument must be; who breaks a rule is told it, and the remedy."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass
from difflib import get_close_matches
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from PIL import Image

from jsd.errors import InvalidInputError

MAX_LORAS = 8
LORA_WEIGHTS = (-4.0, 4.0)
# Of a prompt: far above what any model reads, and quick to analyse.
MAX_NAME = 80  # characters, of a choice or an input that is none
MAX_CHARACTERS = 10_000

Picture = str | Path | Image.Image


@dataclass(frozen=True, kw_only=True)
class Option:
    """One row of the table: an option's rule, and what is said of it."""

    name: str
    type: type  # str, int, float, bool, tuple of texts, or Image.Image: an input picture
    default: Any  # MISSING: required
    may_be_unset: bool
    help: str
    low: float  # of a number: its least value, and its greatest
    high: float
    choices: tuple[str, ...]

    @property
    def is_required(self) -> bool:
        return self.default is MISSING

    def parse(self, text: str) -> object:
        """What somebody typed -> the value; what is none stays text, for `check` to refuse."""
        text = text if self.type is str else text.strip()
        if text == "" and self.may_be_unset:
            return None
        if self.type is bool:
            return {"true": True, "false": False}.get(text.lower(), text)
        if self.type is tuple:
            return tuple(part.strip() for part in text.split(",") if part.strip() != "")
        try:
            return self.type(text) if self.type in (int, float) else text
        except ValueError:
            return text

    def check(self, value: Any) -> Any:
        """`value` as this option keeps it; InvalidInputError where it breaks the rule."""
        if value is None and self.may_be_unset:
            return None
        return _CHECKS[self.type](self, value)


def _check_text(rule: Option, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInputError(
            "options.text",
            "{field} must be text, got {value}; pass a string, empty if need be",
            field=rule.name,
            value="nothing" if value is None else repr(value),
        )
    if len(value) > MAX_CHARACTERS:
        raise InvalidInputError(
            "options.long_text",
            "{field} must be at most {high} characters, got {value}; shorten it",
            field=rule.name,
            value=len(value),
            high=MAX_CHARACTERS,
        )
    if rule.choices and value not in rule.choices:
        raise not_one_of(rule.name, value, [choice for choice in rule.choices if choice != ""])
    return value


def _check_whole(rule: Option, value: Any) -> int:
    return whole_number(rule.name, value, int(rule.low), int(rule.high))


def _check_number(rule: Option, value: Any) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not rule.low <= value <= rule.high:
        raise InvalidInputError(
            "options.number",
            "{field} must be a number from {low} to {high}, got {value}; choose one in that range",
            field=rule.name,
            low=rule.low,
            high=rule.high,
            value=repr(value),
        )
    return int(value) if isinstance(value, Integral) else float(value)


def _check_switch(rule: Option, value: Any) -> bool:
    if type(value) is not bool:
        raise InvalidInputError(
            "options.switch",
            "{field} must be true or false, got {value}; write one of the two, without quotes",
            field=rule.name,
            value=repr(value),
        )
    return value


def _check_picture(rule: Option, value: Any) -> Picture:
    if not isinstance(value, str | Path | Image.Image):
        raise InvalidInputError(
            "options.picture",
            "{field} must be a path or a Pillow image, got {value}; pass one of these",
            field=rule.name,
            value=type(value).__name__,
        )
    return value


def _check_loras(rule: Option, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(one, str) for one in value):
        raise InvalidInputError(
            "options.list",
            "{field} must be a list of texts, got {value}; write it like {example}",
            field=rule.name,
            value=repr(value),
            example='["a.safetensors", "b.safetensors:0.7"]',
        )
    if len(value) > MAX_LORAS:
        raise InvalidInputError(
            "options.many",
            "{field} must be at most {limit}, got {value}; leave some out",
            field=rule.name,
            limit=MAX_LORAS,
            value=len(value),
        )
    for one in value:
        split_weight(one, rule.name)
    return tuple(value)


def split_weight(text: str, field: str = "loras") -> tuple[str, float]:
    """ "FILE" or "FILE:WEIGHT" -> (file, weight), 1 where there is none."""
    name, _colon, number = text.rpartition(":")
    try:
        weight = float(number) if name != "" else 1.0
    except ValueError:  # the colon of a drive, as in C:\\cat.safetensors
        return text, 1.0
    low, high = LORA_WEIGHTS
    if not low <= weight <= high:
        raise InvalidInputError(
            "lora.weight",
            "a weight in {field} must be {low} to {high}, got {value}; choose one in that range",
            field=field,
            low=low,
            high=high,
            value=repr(text),
        )
    return (name, weight) if name != "" else (text, 1.0)


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """A number of any type that is whole, 1.0 too; InvalidInputError where `value` is none from `low` to `high`."""
    number: Any = value
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
    elif isinstance(value, Real) and not isinstance(value, bool) and float(value).is_integer():
        number = int(float(value))
    if type(number) is not int or not low <= number <= high:
        raise InvalidInputError(
            "options.whole",
            "{field} must be a whole number from {low} to {high}, got {value}; choose one in that range",
            field=name,
            low=low,
            high=high,
            value=repr(value),
        )
    return number


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """ " (X?)" where a choice is near `name`, else "": a part of a sentence, the same in every language."""
    near = get_close_matches(name[:MAX_NAME], list(choices), n=1)  # it looks at every character
    return f" ({near[0]}?)" if near else ""


def not_one_of(field: str, value: object, choices: Iterable[str]) -> InvalidInputError:
    return InvalidInputError(
        "options.choice",
        "{field} must be one of {choices}; got {value}{did_you_mean}",
        field=field,
        choices=", ".join(choices),
        value=repr(value),
        did_you_mean=did_you_mean(str(value), choices),
    )


_CHECKS: dict[type, Callable[[Option, Any], Any]] = {
    str: _check_text,
    int: _check_whole,
    float: _check_number,
    bool: _check_switch,
    Image.Image: _check_picture,
    tuple: _check_loras,
}
