"""Numbers among a command's arguments: one that is no number is refused in the words for one out of range."""

from jsd.errors import InvalidInputError
from jsd.rules import whole_number


def whole(text: str) -> int | str:
    """A whole number in any digits; what is none stays text, for the check of its range to refuse."""
    try:
        return int(text)
    except ValueError:
        return text


def number(text: str) -> float | str:
    """A number; what is none stays text, for the check of its range to refuse."""
    try:
        return float(text)
    except ValueError:
        return text


def check_whole(field: str, value: int | str, low: int, high: int) -> None:
    whole_number(field, value, low, high)


def check_port(port: int | str, default: int) -> None:
    """That it is a number; `jsd.serving.address` checks its range. `default` is the port to suggest."""
    if isinstance(port, str):
        raise InvalidInputError(
            "serve.port_range",
            "{field} must be 1 to 65535, got {value}; try {default}",
            field="port",
            value=repr(port),
            default=default,
        )
