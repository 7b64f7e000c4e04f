"""Kana spellings of the words that a vocabulary cannot read, by the morphological analyser SudachiPy."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsd.errors import MissingExtraError
from jsd.prompting.tokenizer import JapaneseTokenizer, UnreadCharacter

# Sudachi gives a symbol or a space the reading キゴウ.
_WITHOUT_READING = ("補助記号", "記号", "空白")
_KATAKANA = frozenset(chr(i) for i in range(ord("ァ"), ord("ヺ") + 1)) | {"ー"}
_TO_HIRAGANA = {i: i - ord("ァ") + ord("ぁ") for i in range(ord("ァ"), ord("ヶ") + 1)}


@dataclass(frozen=True, kw_only=True)
class KanaSpelling:
    """`kana` reads the word `text`, which the vocabulary cannot; `start` is its place."""

    text: str
    kana: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def kana_spellings(tokenizer: JapaneseTokenizer, text: str, unread: Sequence[UnreadCharacter]) -> list[KanaSpelling]:
    """The words of `text` that hold an unread character and have a kana spelling that `tokenizer` can read.

    Hiragana or katakana, whichever takes fewer tokens: as the vocabulary's own texts write the word. Needs the
    extra `readings`.
    """
    analyser = _analyser()
    from sudachipy import SplitMode
    from sudachipy.errors import SudachiError

    holes = {i for character in unread for i in range(character.start, character.start + len(character.text))}
    try:
        # The shortest units: as little as possible of the user's spelling is replaced.
        words = analyser.tokenize(text, SplitMode.A)
    except SudachiError:  # the analyser has a limit of its own, 65535 bytes once ligatures are taken apart
        return []
    spellings = []
    for word in words:
        if holes.isdisjoint(range(word.begin(), word.end())) or word.part_of_speech()[0] in _WITHOUT_READING:
            continue
        surface = text[word.begin() : word.end()]
        kana = _readable_kana(tokenizer, word.reading_form())
        if kana is not None and kana != surface:
            spellings.append(KanaSpelling(text=surface, kana=kana, start=word.begin()))
    return spellings


def _readable_kana(tokenizer: JapaneseTokenizer, katakana: str) -> str | None:
    if not katakana or not _KATAKANA.issuperset(katakana):
        return None
    both = [tokenizer.describe(kana) for kana in (katakana.translate(_TO_HIRAGANA), katakana)]
    readable = [report for report in both if not report.unread]
    return min(readable, key=lambda report: report.num_tokens).text if readable else None


@cache
def _analyser() -> Any:
    try:
        import sudachidict_core  # noqa: F401  (SudachiPy finds its dictionary by this name)
        from sudachipy import Dictionary
    except ImportError as error:
        raise MissingExtraError("sudachipy", "readings") from error
    return Dictionary(dict="core").tokenizer()
