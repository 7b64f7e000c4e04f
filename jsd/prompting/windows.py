"""A long text cut into parts that fit the text encoder's window, at 、。 and phrase ends.

Each part is encoded as a prompt of its own, and the embeddings are joined along the token axis, as AUTOMATIC1111's
web UI does it (`modules/sd_hijack_clip.py`, `tokenize_line` and `forward`): W windows give (B, W L, D), and the
UNet's attention over the tokens takes any length.
"""

import re

from jsd.errors import InvalidInputError
from jsd.prompting.tokenizer import JapaneseTokenizer

# 1,216 tokens of the released model, far more than a description of one picture has; attention grows with them.
MAX_WINDOWS = 16

# A clause ends after punctuation or a line. A phrase ends at a space, or where hiragana (particles and endings)
# gives way to another script, unless the hiragana is the honorific お or ご.
_CLAUSE_ENDS = re.compile(r"[、。，．,!！?？;；…\n][」』】）)\s]*+")
_PHRASE_ENDS = re.compile(r"(?<=\S)(?=\s)|(?<=[ぁ-ゖ])(?<![おご])(?=[^\sぁ-ゖー、。，．,!！?？;；…」』】）)])")


def cut_into_windows(tokenizer: JapaneseTokenizer, text: str, field: str = "prompt") -> list[tuple[int, int]]:
    """(start, end) of each part of `text`; joined, they are `text`. Each fits the window of `tokenizer`."""
    report = tokenizer.describe(text, field=field)
    capacity = tokenizer.model_max_length - 1  # and </s>
    needed = report.num_tokens_needed - 1
    parts: list[tuple[int, int]] = []
    start = 0
    while report.tail_start is not None:
        if len(parts) == MAX_WINDOWS - 1 or needed > MAX_WINDOWS * capacity:
            raise InvalidInputError(
                "prompt.windows",
                "{field} must fit into {limit} windows of {available} tokens, and needs {value} "
                "tokens; shorten it, or set long_prompt to truncate",
                field=field,
                limit=MAX_WINDOWS,
                available=tokenizer.model_max_length,
                value=needed,
            )
        end = _best_end(text, start, start + report.tail_start)
        # Cut off from what follows, the last words may need more tokens than they did.
        while end > start + 1 and (tail := tokenizer.describe(text[start:end], field=field).tail_start) is not None:
            end = _best_end(text, start, start + tail)
        parts.append((start, end))
        start = end
        report = tokenizer.describe(text[start:], field=field)
    return [*parts, (start, len(text))]


def _best_end(text: str, start: int, limit: int) -> int:
    """Where a part ends, at most at `limit`: after a clause, else after a phrase; if it can, in the second half."""
    limit = max(limit, start + 1)
    middle = (start + limit) // 2
    best = (False, False, start)
    # One character more is shown to the phrases' pattern: what comes next decides whether a phrase ends at the limit.
    for is_clause, pattern, shown in ((True, _CLAUSE_ENDS, limit), (False, _PHRASE_ENDS, limit + 1)):
        for match in pattern.finditer(text, start, shown):
            if start < match.end() <= limit:
                best = max(best, (match.end() > middle, is_clause, match.end()))
    return best[2] if best[2] > start else limit
