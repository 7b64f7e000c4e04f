"""Every sentence said to a user, in English and in Japanese, by code.

Codes are `area.what`, sorted; `{name}` is filled from the values of the error or warning. The language is
`JSD_LANG` (`en` or `ja`), else the locale's, else English.
"""

import os

# code -> (English, Japanese). Rule, value, remedy, in one line.
MESSAGES: dict[str, tuple[str, str]] = {
    "extra.missing": (
        "this needs the package {package}, which is not installed; run: pip install 'jsd[{extra}]'",
        "パッケージ {package} がインストールされていません。次を実行してください: pip install 'jsd[{extra}]'",
    ),
}


def language() -> str:
    """The user's language: "ja" or "en"."""
    for name in ("JSD_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "ja" if value.lower().startswith("ja") else "en"
    return "en"


def message(code: str, **params: object) -> str:
    """The sentence of `code` in the user's language, with `params` filled in."""
    english, japanese = MESSAGES[code]
    return (japanese if language() == "ja" else english).format(**params)
