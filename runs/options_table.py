"""`jsd.options.OPTIONS` -> the tables of docs/options.md and docs/options.ja.md.

python -m runs.options_table
"""

from PIL import Image

from jsd.i18n import _, in_language
from jsd.options import OPTIONS
from jsd.rules import Option
from runs.blocks import DOCS, ROOT, write_block

PAGES = {"en": DOCS / "options.md", "ja": DOCS / "options.ja.md"}
HEADS = {
    "en": ("option", "type", "limits", "default", "what it does"),
    "ja": ("オプション", "型", "範囲", "既定値", "働き"),
}
# type of an option -> its name
TYPES: dict[type, dict[str, str]] = {
    str: {"en": "text", "ja": "文字列"},
    int: {"en": "whole number", "ja": "整数"},
    float: {"en": "number", "ja": "数値"},
    bool: {"en": "yes or no", "ja": "はい・いいえ"},
    Image.Image: {"en": "picture", "ja": "画像"},
    tuple: {"en": "list of texts", "ja": "文字列のリスト"},
}
REQUIRED = {"en": "required", "ja": "必須"}
UNSET = {"en": "unset", "ja": "未指定"}
EMPTY = {"en": "empty", "ja": "空"}


def options_block(language: str) -> str:
    with in_language(language):
        heads = HEADS[language]
        rows = [heads, ("---",) * len(heads), *(_cells(rule, language) for rule in OPTIONS.values())]
        return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(rule: Option, language: str) -> tuple[str, ...]:
    limits = ", ".join(f"`{choice}`" for choice in rule.choices if choice != "")
    if rule.type in (int, float):
        limits = f"{rule.low}{' to ' if language == 'en' else '〜'}{rule.high}"
    default = f"`{rule.default}`"
    if rule.is_required:
        default = REQUIRED[language]
    elif rule.default in (None, "", ()):
        default = (EMPTY if rule.default == "" else UNSET)[language]
    return f"`{rule.name}`", TYPES[rule.type][language], limits, default, _(rule.help)


def main() -> None:
    for language, path in PAGES.items():
        write_block(path, "options", options_block(language))
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
