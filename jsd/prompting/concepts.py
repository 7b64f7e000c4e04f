"""What a model knows: the things that it was trained to draw, and how they are called, in its folder's concepts.json.

    {"styles": ["油絵"], "concepts": [{"name": "猫", "emoji": "🐱", "spellings": ["猫", "ねこ"]}]}

Folders of large models have no such file: nobody can list what they know.
"""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from functools import cached_property
from pathlib import Path

from jsd.atomic import write_text
from jsd.errors import ModelFolderError

CONCEPTS_FILE = "concepts.json"
MAX_SEARCHED = 40  # characters of a prompt for which near names are looked for
MAX_CANDIDATES = 20
ALIKE = 0.45  # of difflib's ratio
_SCRIPTS = _KANJI, _HIRAGANA, _KATAKANA = [re.compile(f"[{letters}]") for letters in ("々一-鿿", "ぁ-ゖ", "ァ-ヺー")]
# What may follow a name in hiragana without being a part of the word.
_AFTER_HIRAGANA = re.compile(
    r"[のをがはにでともへやだねよ]|さん|ちゃん|くん|さま|です|みたい|っぽ|など|たち|から|まで|より|ひとつ|ふたつ|みっつ|"
    r"ください|ちょうだい|ほしい|かいて|かわいい|おいしい|なの|って"
)
# What one may name a picture by, right after a name in its script: ペンギンイラスト, 猫水彩画.
_MEDIUM = re.compile("イラスト|アイコン|スタンプ|キャラ|ロゴ|アニメ|写真|画像|油絵|水彩画|線画|ドット絵")
# A kanji of its own that others may stand before: 白猫 is a cat, 北海道 no road.
_PREFIXES = frozenset("白黒赤青黄緑紫茶金銀大小子親古新生夜朝夕春夏秋冬海山森野雪雨星花和洋")
# Kana that may stand before one: ends of adjectives and verbs, particles. 折り紙 is no paper.
_BEFORE_KANJI = frozenset("のいなただんるうくすつぬむぐぶがをにとはへもでやきて")
_ALL_HIRAGANA = "".join(map(chr, range(ord("ぁ"), ord("ゖ") + 1)))
# Words of two kanji of which the second is no thing in them, though the first may stand before one.
_COMPOUNDS = frozenset(["朝顔", "夕顔", "山羊", "山車", "海猫", "海馬", "海牛", "大豆", "小豆"])
_NUMERALS = frozenset("一二三四五六七八九十数")  # 卵二個
_WORD = re.compile("[々一-鿿]+[ぁ-ゖ]{0,2}|[ァ-ヺー]+|[ぁ-ゖー]{2,}|[a-z]+")


@dataclass(frozen=True)
class Concept:
    name: str
    emoji: str
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class KnownConcepts:
    concepts: tuple[Concept, ...]
    styles: tuple[str, ...]  # names in jsd.prompting.styles.STYLES that the model draws

    @classmethod
    def load(cls, folder: Path) -> "KnownConcepts | None":
        """What `folder` says of itself; None where it has no concepts.json."""
        path = folder / CONCEPTS_FILE
        if not path.is_file():
            return None
        try:
            said = json.loads(path.read_text("utf-8"))
            concepts = tuple(Concept(one["name"], one["emoji"], _texts(one["spellings"])) for one in said["concepts"])
            _texts([text for one in concepts for text in (one.name, one.emoji)])
            return cls(concepts, _texts(said["styles"]))
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise ModelFolderError(
                "concepts.damaged",
                "{path} must list styles and concepts, and does not; fetch the folder again, or delete the file",
                path=path,
            ) from error

    def save(self, folder: Path) -> None:
        write_text(folder / CONCEPTS_FILE, json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":")) + "\n")

    @cached_property
    def by_spelling(self) -> dict[str, Concept]:
        """Of a spelling that several concepts have, the first."""
        found: dict[str, Concept] = {}
        for concept in self.concepts:
            for spelling in (concept.name, *concept.spellings):
                found.setdefault(normal(spelling), concept)
        return found

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.by_spelling), default=0)

    @cached_property
    def _by_part(self) -> dict[str, list[str]]:
        """A kanji, or two characters -> the spellings that hold it."""
        found: dict[str, list[str]] = {}
        for spelling in self.by_spelling:
            for part in _parts(spelling):
                found.setdefault(part, []).append(spelling)
        return found

    def find(self, text: str, ends: Iterable[int]) -> list[Concept]:
        """The concepts that `text` names, from left to right. `ends` are the places in it where a token begins or ends:
        a name begins and ends there, or where the script changes."""
        cuts = sorted({*ends, *(i for i in range(1, len(text)) if _script(text[i - 1]) != _script(text[i]))})
        found: dict[Concept, None] = {}
        position = 0
        for number, start in enumerate(cuts):
            # A space may stand on each side, and one sign of a unit is two letters.
            near = [end for end in cuts[number + 1 : number + 3 + self._longest] if end <= start + 2 + self._longest]
            for end in reversed(near) if start >= position else ():
                concept = self.by_spelling.get(normal(text[start:end]))
                if concept is not None and _is_a_word(text, start, end):
                    found.setdefault(concept)
                    position = end
                    break
        return list(found)

    def near(self, text: str, limit: int = 3) -> list[str]:
        """Names that look like one of the first words of `text`, the nearest first."""
        close = []
        for word in _WORD.findall(normal(text[:MAX_SEARCHED])):
            shared = Counter(spelling for part in _parts(word) for spelling in self._by_part.get(part, ()))
            candidates = [spelling for spelling, _ in shared.most_common(MAX_CANDIDATES)]
            close += [
                (SequenceMatcher(None, word, spelling).ratio(), self.by_spelling[spelling].name)
                for spelling in candidates
            ]
        return list(dict.fromkeys(name for ratio, name in sorted(close, reverse=True) if ratio >= ALIKE))[:limit]

    def search(self, word: str) -> list[Concept]:
        """The concepts with a spelling that holds `word`."""
        wanted = normal(word)
        return [c for c in self.concepts if any(wanted in normal(s) for s in (c.name, *c.spellings, c.emoji))]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"no list of texts: {value!r:.100}")
    return tuple(value)


def normal(text: str) -> str:
    """As a vocabulary reads it: full width as half width, capitals as small letters."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def _script(character: str) -> tuple[bool, ...]:
    return tuple(pattern.match(character) is not None for pattern in _SCRIPTS)


def _parts(word: str) -> set[str]:
    return {*_KANJI.findall(word), *(word[i : i + 2] for i in range(len(word) - 1))}


def _is_a_word(text: str, start: int, end: int) -> bool:
    """A name is not the inside of a longer word of the same script."""
    name = text[start:end].strip()
    start += text[start:end].find(name)
    before, after = text[:start], text[start + len(name) :]
    if name == "":
        return False
    if name in ("なし", "あり"):  # pear and ant, or none and some: 文字なし
        return before == "" or before[-1] in " 　、"
    goes_on = after != "" and after[0] not in _NUMERALS and not _MEDIUM.match(after)
    if name.endswith("い") and goes_on and (_KANJI.match(after) or _KATAKANA.match(after)):
        return False  # of an adjective, before what it says something of: 冷たい豆腐
    if all(map(_HIRAGANA.match, name)):
        if len(name) == 1:
            return before.strip() == after.strip() == ""
        return not _HIRAGANA.match(after) or _AFTER_HIRAGANA.match(after) is not None
    for script in (_KATAKANA, _KANJI):
        if script.match(name[-1]) and script.match(after) and goes_on:
            return False
    if _KATAKANA.match(name[0]):
        return not _KATAKANA.match(before[-1:])
    if len(name) > 1 or before == "" or not _KANJI.match(name):
        return True
    if _HIRAGANA.match(before[-1]):
        # The end of a word in kanji, 折り紙, or one of its own: のら犬.
        is_an_end = _KANJI.match(before.rstrip(_ALL_HIRAGANA)[-1:]) is not None
        return not is_an_end or before[-1] in _BEFORE_KANJI
    if before[-1] + name in _COMPOUNDS:
        return False
    return not _KANJI.match(before[-1]) or (before[-1] in _PREFIXES and not _KANJI.match(before[-2:-1]))
