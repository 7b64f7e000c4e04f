"""Styles by their Japanese names: the words that a prompt gains."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jsd.errors import InvalidInputError
from jsd.prompting.negative import split_negative

if TYPE_CHECKING:
    from jsd.prompting.tokenizer import JapaneseTokenizer

# name -> words, put behind the prompt as the released model's card does it: サラリーマン 油絵
STYLES = {
    "油絵": "油絵",
    "水彩画": "水彩画",
    "浮世絵風": "浮世絵風 木版画",
    "水墨画": "水墨画 墨絵",
    "日本画": "日本画",
    "アニメ調": "アニメ調 イラスト",
    "漫画風": "漫画 白黒 線画",
    "鉛筆画": "鉛筆画 デッサン",
    "線画": "線画",
    "パステル画": "パステル画",
    "版画": "版画",
    "切り絵": "切り絵",
    "折り紙": "折り紙",
    "絵本風": "絵本 挿絵",
    "ドット絵": "ドット絵",
    "絵文字": "絵文字",
    "フラットデザイン": "フラットデザイン",
    "立体": "立体",
    "写真": "写真",
    "白黒写真": "白黒写真",
}


def readable_styles(tokenizer: "JapaneseTokenizer") -> list[str]:
    """The names of the styles that the model draws, by its own word; else of those that its vocabulary can read."""
    if tokenizer.known is not None:
        return [name for name in STYLES if name in tokenizer.known.styles]
    return [name for name, words in STYLES.items() if not tokenizer.describe(words).unread]


def check_style(styles: Sequence[str], style: object) -> None:
    """InvalidInputError where a style is none of `readable_styles`; "" is none at all."""
    if style not in ("", *styles):
        raise InvalidInputError(
            "style.unknown",
            "{field} must be a style that the model can read, got {value}; the styles are {choices}",
            field="style",
            value=repr(style),
            choices="、".join(styles),
        )


def with_style(prompt: str, style: str) -> str:
    """`prompt` in the style of that name, "" for none; the words go before its lines that begin with ネガティブ: ."""
    if style == "":
        return prompt
    positive, negative = split_negative(prompt)
    styled = f"{positive} {STYLES[style]}"
    return f"{styled}\nネガティブ: {negative}" if negative else styled
