"""The vocabularies that prompts are read with, and the words that each is tried with."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from jsd.prompting.tokenizer import JapaneseTokenizer

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    folder: Path
    unread: str  # a word that it cannot read
    kana: str  # and its spelling
    long: str  # more than 16 tokens, with nothing unread
    parts: tuple[str, ...]  # of a long text, each of at most 16 tokens
    styled: tuple[str, str]  # a style that it can read, and its words
    in_kana: dict[str, dict[str, str]]  # text -> the spellings of what it cannot read
    num_in_kana: int  # at least so many of the kanji of JIS X 0208's first level

    def load(self) -> JapaneseTokenizer:
        if not (self.folder / "spiece.model").is_file():
            pytest.skip(f"no vocabulary is at {self.folder}")
        return JapaneseTokenizer.load(self.folder)


VOCABULARIES = {
    "rinna": Vocabulary(
        folder=ROOT.parent / "shared" / "data" / "rinna-tokenizer",
        unread="苺",
        kana="いちご",
        long="青い空の下で、赤い帽子をかぶった女の子がお土産を持って歩いている。",
        parts=(
            "青い空の下で、赤い帽子をかぶった女の子がお土産を持って",
            "歩いている。背景は富士山と桜の並木道で、",
            "水彩画のように描く",
        ),
        styled=("水墨画", "水墨画 墨絵"),
        in_kana={
            "苺のケーキ": {"苺": "いちご"},
            "炬燵と簪": {"炬燵": "こたつ", "簪": "かんざし"},
            "茄子と檸檬の絵": {"茄子": "なす", "檸檬": "レモン"},
            "森の梟": {"梟": "ふくろう"},
            "筍ご飯": {"筍": "たけのこ"},
            "枇杷と鸚鵡": {"枇杷": "びわ", "鸚鵡": "オウム"},
            "猫の絵": {},
            "🐱と℡と𠮷": {},  # a symbol's reading is キゴウ in the dictionary, which is no spelling of it
        },
        num_in_kana=81,  # of the 133 that are unread, 50 are no word alone (枇 of 枇杷)
    ),
    "embedded": Vocabulary(
        folder=ROOT / "weights" / "mini" / "tokenizer",
        unread="簪",
        kana="かんざし",
        long="夏の海と青い空の下で、赤い帽子をかぶった女の子が大きな犬と歩いている",
        parts=("夏の海と青い空の下で、", "赤い帽子をかぶった女の子が", "大きな犬と歩いている"),
        styled=("アニメ調", "アニメ調 イラスト"),
        in_kana={
            "苺のケーキ": {},
            "炬燵と簪": {"炬燵": "こたつ", "簪": "かんざし"},
            "茄子と檸檬の絵": {"茄子": "ナス", "檸檬": "レモン"},
            "森の梟": {"梟": "フクロウ"},
            "筍ご飯": {"筍": "たけのこ", "ご飯": "ごはん"},
            "枇杷と鸚鵡": {"枇杷": "びわ", "鸚鵡": "オウム"},
            "猫の絵": {},
            "🐱と℡と𠮷": {},
        },
        num_in_kana=1_700,  # of the 2,130 that are unread
    ),
}
