"""The table of sentences: two languages that say the same, and no row that nobody says."""

import re
import string
from importlib import import_module
from pathlib import Path

import pytest

from jsd.errors import InvalidInputError
from jsd.messages import MESSAGES, language, message
from jsd.options import SamplingOptions

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
    areas = [{code.partition(".")[0] for code in import_module(f"jsd.messages.{module}").ROWS} for module in modules]
    assert sum(map(len, areas)) == len(set.union(*areas)) == len({code.partition(".")[0] for code in MESSAGES})


def test_codes_are_sorted() -> None:
    for path in (ROOT / "jsd" / "messages").glob("[!_]*.py"):
        codes = list(import_module(f"jsd.messages.{path.stem}").ROWS)
        assert codes == sorted(codes), path.name


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


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "JSD_LANG": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "JSD_LANG": "JA"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "JSD_LANG": "xx"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "en_GB.UTF-8", "JSD_LANG": ""}, "en"),
        ({"JSD_LANG": "xx"}, "en"),
    ],
)
def test_the_language_is_jsd_lang_else_the_locale(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JSD_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


def test_an_errors_code_is_the_same_in_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {}
    for name in ("en", "ja"):
        monkeypatch.setenv("JSD_LANG", name)
        with pytest.raises(InvalidInputError) as caught:
            SamplingOptions(prompt="猫", num_outputs=5)
        said[name] = (caught.value.code, str(caught.value))
    assert said["en"][0] == said["ja"][0]
    assert said["en"][1] != said["ja"][1]
