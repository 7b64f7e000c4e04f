"""Text in columns of a terminal, where a Japanese letter is as wide as two others."""

import re
import unicodedata
from collections.abc import Sequence

# What a line may end after: a word in Latin letters or one other letter, with the marks that stay with it.
_PIECE = re.compile(r"[（「]*(?:[!-~]+|[^!-~\s])[、。，．：）」ーぁぃぅぇぉっゃゅょァィゥェォッャュョ]*\s*")


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def aligned(rows: Sequence[tuple[str, str]]) -> str:
    """A line for each (name, value), the values below each other."""
    column = max(width(name) for name, _ in rows)
    return "\n".join(f"{name}{' ' * (column - width(name))}  {value}" for name, value in rows)


def wrapped(text: str, columns: int) -> list[str]:
    """Lines of at most `columns`; a single word may be longer."""
    lines = [""]
    for piece in _PIECE.findall(" ".join(text.split())):
        if lines[-1] != "" and width(lines[-1] + piece.rstrip()) > columns:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]
