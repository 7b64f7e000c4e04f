"""Numbers among a command's arguments: one that is no number is refused in the words for one out of range."""


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
