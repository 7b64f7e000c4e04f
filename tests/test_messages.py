"""The table of sentences: two languages that say the same, and no row that nobody says."""

import re
import string
from importlib import import_module
from pathlib import Path

import pytest

from jsd.messages import MESSAGES, message

ROOT = Path(__file__).parents[1]
SOURCE = "\n".join(
    path.read_text("utf-8")
    for path in [*(ROOT / "jsd").rglob("*.py"), *(ROOT / "runs").glob("*.py"), ROOT / "predict.py"]
    if "messages" not in path.relative_to(ROOT).as_posix()
)


def placeholders(sentence: str) -> set[tuple[str | None, str | None]]:
    return {(name, spec) for _, name, spec, _ in string.Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("code", MESSAGES)
def test_both_languages_name_the_same_values(code: str) -> None:
    english, japanese = MESSAGES[code]
    assert placeholders(english) == placeholders(japanese)


def test_an_area_is_in_one_module() -> None:
    modules = [path.stem for path in (ROOT / "jsd" / "messages").glob("[!_]*.py")]
    areas = [
        {code.partition(".")[0] for code in import_module(f"jsd.messages.{module}").ROWS} for module in modules
    ]
    assert sum(map(len, areas)) == len(set.union(*areas)) == len({code.partition(".")[0] for code in MESSAGES})


@pytest.mark.parametrize("code", MESSAGES)
def test_a_sentence_is_one_line(code: str) -> None:
    assert [sentence for sentence in MESSAGES[code] if sentence.strip() != sentence or "\n" in sentence] == []


def test_every_sentence_is_said_somewhere() -> None:
    """By its code, by a code that is put together (f"web.{name}"), or word for word, as Cog wants its descriptions."""
    put_together = set(re.findall(r'f"(\w+)\.\{', SOURCE))
    unsaid = [
        code
        for code, (english, _) in MESSAGES.items()
        if not re.search(f"""["']{re.escape(code)}["']""", SOURCE)
        and code.partition(".")[0] not in put_together
        and english not in SOURCE
    ]
    assert unsaid == []


@pytest.mark.parametrize(("language", "words"), [("en", "must be"), ("ja", "してください")])
def test_the_language_is_the_users(language: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    assert words in message("options.number", field="guidance_scale", low=1, high=20, value=0)
