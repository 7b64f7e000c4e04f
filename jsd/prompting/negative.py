"""Negative prompts on lines of the prompt that begin with ネガティブ: or ネガティブプロンプト:, ヴ for ブ as well."""

import re
import unicodedata

# Composed, and decomposed as macOS writes file names.
_NAMES = ("ネガティブ", "ネガティブプロンプト", "ネガティヴ", "ネガティヴプロンプト")
_NEGATIVE = "|".join(unicodedata.normalize(form, name) for name in _NAMES for form in ("NFC", "NFD"))
_NEGATIVE_LINE = re.compile(rf"^[^\S\n]*(?:{_NEGATIVE})[^\S\n]*[:：](.*)\n?", re.MULTILINE)


def split_negative(prompt: str) -> tuple[str, str]:
    """(prompt, what stands on lines that begin so, the colon in half or full width); without such a line, as it is."""
    negatives = [text.strip() for text in _NEGATIVE_LINE.findall(prompt)]
    if not negatives:
        return prompt, ""
    return _NEGATIVE_LINE.sub("", prompt).strip(), "、".join(text for text in negatives if text)
