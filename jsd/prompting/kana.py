"""Kana spellings of the words that a vocabulary cannot read, by the morphological analyser SudachiPy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise
from threading import Lock
from typing import Any
from unicodedata import normalize

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
    holes = {i for character in unread for i in range(character.start, character.start + len(character.text))}
    spellings = []
    for offset, piece in _pieces(text):
        if holes.isdisjoint(range(offset, offset + len(piece))):
            continue
        for start, end, reading in _words(analyser, piece):
            kana = None if holes.isdisjoint(range(offset + start, offset + end)) else _readable_kana(tokenizer, reading)
            if kana is not None and kana != piece[start:end]:
                spellings.append(KanaSpelling(text=piece[start:end], kana=kana, start=offset + start))
    return spellings


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """(place, part): a character that stands for several, such as ㍿, is apart, for the analyser takes it apart and
    may see the end of a word within it."""
    place = 0
    for is_several, characters in groupby(text, lambda character: len(normalize("NFKC", character)) > 1):
        together = "".join(characters)
        for part in together if is_several else (together,):
            yield place, part
            place += len(part)


def _words(analyser: Any, piece: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, reading in katakana), the reading empty where there is none."""
    from sudachipy import SplitMode
    from sudachipy.errors import SudachiError

    try:
        # The shortest units: as little as possible of the user's spelling is replaced.
        with _ANALYSING:  # it refuses a second caller
            units = list(analyser.tokenize(piece, SplitMode.A))
    except SudachiError:  # the analyser has a limit of its own, 65535 bytes
        return
    # What belongs to the character before has no place of its own.
    firsts = [i for i, unit in enumerate(units) if unit.end() > unit.begin()]
    for first, following in pairwise([*firsts, len(units)]):
        word = units[first:following]
        has_reading = all(unit.part_of_speech()[0] not in _WITHOUT_READING for unit in word)
        reading = "".join(unit.reading_form() for unit in word) if has_reading else ""
        yield word[0].begin(), word[-1].end(), reading


def _readable_kana(tokenizer: JapaneseTokenizer, katakana: str) -> str | None:
    if not katakana or not _KATAKANA.issuperset(katakana):
        return None
    both = [tokenizer.describe(kana) for kana in (katakana.translate(_TO_HIRAGANA), katakana)]
    readable = [report for report in both if not report.unread]
    return min(readable, key=lambda report: report.num_tokens).text if readable else None


_ANALYSING = Lock()


@cache
def _analyser() -> Any:
    try:
        import sudachidict_core  # noqa: F401  (SudachiPy finds its dictionary by this name)
        from sudachipy import Dictionary
    except ImportError as error:
        raise MissingExtraError("sudachipy", "readings") from error
    return Dictionary(dict="core").tokenizer()
