"""Emphasis: `(語:1.2)`, `(語)`, `[語]`, in half- or full-width characters; and weights laid on embeddings.

The syntax is that of AUTOMATIC1111's web UI (`modules/prompt_parser.py`, `parse_prompt_attention`), with two
differences: a bracket without its partner is an ordinary character, and the text is tokenized once, without its
syntax, so that emphasis never changes how a word is cut into tokens.

No caption that the models learnt from had such brackets: a weight is arithmetic on embeddings (see
`jsd.prompting.embeddings`). What it does to the pictures of the embedded model has not been measured.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, isnan, nan

from jsd.errors import InvalidInputError

MAX_CAPTION = 1000  # characters, of a caption that is drawn
BRACKET_WEIGHT = 1.1
LOWEST_WEIGHT, HIGHEST_WEIGHT = 0.1, 10.0

# How signs and the decimal point are typed, whichever input method is on.
_PLUS, _MINUS, _POINT = "+＋﹢", "-－−‐‑‒–—﹣ーｰ⁻", ".．。｡・･"
_TYPED = str.maketrans(dict.fromkeys(_PLUS, "+") | dict.fromkeys(_MINUS, "-") | dict.fromkeys(_POINT, "."))
_SIGN, _FRACTION = f"[{re.escape(_PLUS + _MINUS)}]", f"[{re.escape(_POINT + ',，')}]"
# One pass over the text, each character looked at a bounded number of times: `++` and `*+` never backtrack.
_SYNTAX = re.compile(
    r"(?P<escaped>[\\＼¥￥][()（）\[\]［］]|\\\\)"
    r"|(?P<open>[(（\[［])"
    rf"|[:：]\s*+(?P<weight>{_SIGN}*+\s*+{_FRACTION}?+[0-9０-９](?:[0-9０-９]|{_FRACTION})*+)\s*+[)）]"
    r"|(?P<close>[)）\]］])"
)


_BRACKETS = re.compile(r"[()（）\[\]［］\\]")


@dataclass(frozen=True, kw_only=True)
class WeightedText:
    """`text` is free of syntax; for each of its characters its weight and its index in the user's text."""

    text: str
    weights: Sequence[float]
    origins: Sequence[int]

    def weight(self, start: int, end: int) -> float:
        """The mean weight of the characters from `start` to `end`: what a token that covers them gets. A space before
        a word, which a token may cover too, has no say."""
        there = [self.weights[at] for at in range(start, end) if not self.text[at].isspace()]
        weights = there if there else self.weights[start:end]
        return fsum(weights) / len(weights) if end > start else 1.0

    def replace(self, changes: Sequence[tuple[int, int, str]]) -> "WeightedText":
        """With each (start, end, other text), in order; the new characters take the weight of those that were there."""
        text: list[str] = []
        weights: list[float] = []
        origins: list[int] = []
        position = 0
        for start, end, other in [*changes, (len(self.text), len(self.text), "")]:
            text += [self.text[position:start], other]
            weights += [*self.weights[position:start], *[self.weight(start, end)] * len(other)]
            origins += self.origins[position:start]
            origins += [self.origins[start]] * len(other) if other else []
            position = end
        return WeightedText(text="".join(text), weights=weights, origins=origins)


def parse_emphasis(source: str, field: str = "prompt") -> WeightedText:
    """`source` without its syntax; a weight outside the limits is refused as bad input of `field`."""
    marks = list(_SYNTAX.finditer(source))
    opened, closing = _pair(marks)
    text: list[str] = []
    weights: list[float] = []
    origins: list[int] = []
    stack = [1.0]

    def keep(start: int, end: int) -> None:
        text.append(source[start:end])
        weights.extend([stack[-1]] * (end - start))
        origins.extend(range(start, end))

    position = 0
    for i, mark in enumerate(marks):
        keep(position, mark.start())
        position = mark.end()
        if i in opened:
            # Rounded, so that brackets that cancel out, ([語]), are no emphasis at all.
            weight, typed = opened[i]
            stack.append(round(stack[-1] * weight, 6))
            if not LOWEST_WEIGHT <= stack[-1] <= HIGHEST_WEIGHT:
                raise InvalidInputError(
                    "prompt.weight",
                    "a weight in {field} must be {low} to {high}, brackets within brackets multiplied, "
                    "and the one at character {position} is {value}; choose another, put what is not to be in the "
                    "picture into the negative prompt, or write \\( for an ordinary bracket",
                    field=field,
                    value=typed if isnan(weight) else f"{stack[-1]:g}",
                    position=mark.start() + 1,
                    low=LOWEST_WEIGHT,
                    high=HIGHEST_WEIGHT,
                )
        elif i in closing:
            stack.pop()
        else:
            keep(mark.end() - 1 if mark["escaped"] else mark.start(), mark.end())
    keep(position, len(source))
    return WeightedText(text="".join(text), weights=weights, origins=origins)


def without_emphasis(text: str) -> str:
    """A caption as a prompt: no bracket is a sign, and there is no more of it than any window reads."""
    return _BRACKETS.sub(r"\\\g<0>", text[:MAX_CAPTION])


def _pair(marks: Sequence[re.Match[str]]) -> tuple[dict[int, tuple[float, str]], set[int]]:
    """(opening mark -> its weight, and that as typed; closing marks) of the brackets that have a partner.

    A bracket left open inside a pair is an ordinary character. Every bracket is pushed and popped once.
    """
    opened: dict[int, tuple[float, str]] = {}
    closing: set[int] = set()
    waiting: list[int] = []
    count = {True: 0, False: 0}  # how many round and how many square brackets wait
    for i, mark in enumerate(marks):
        if mark["escaped"]:
            continue
        is_round = mark[0][-1] in "()（）"
        if mark["open"]:
            waiting.append(i)
            count[is_round] += 1
        elif count[is_round]:
            found = False
            while not found:
                partner = waiting.pop()
                found = (marks[partner][0] in "(（") == is_round
                count[is_round if found else not is_round] -= 1
            closing.add(i)
            typed = mark["weight"] or ""
            without = BRACKET_WEIGHT if is_round else 1 / BRACKET_WEIGHT
            opened[partner] = (without if typed == "" else _number(typed), typed)
    return opened, closing


def _number(typed: str) -> float:
    """Not a number where it has two points, a decimal comma, two signs."""
    try:
        return float("".join(typed.split()).translate(_TYPED))
    except ValueError:
        return nan
