"""What is said to a user: in whose language, and that no sentence lacks its Japanese."""

import io
import re
import string
import subprocess
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from jsd import SamplingOptions
from jsd.errors import InvalidInputError
from jsd.i18n import CATALOGUE, language

ROOT = Path(__file__).parents[1]


def test_every_sentence_of_the_code_has_its_japanese(tmp_path: Path) -> None:
    """What `make messages` would extract is what the catalogue holds: neither more nor less."""
    plan = subprocess.run(["make", "--dry-run", "messages"], cwd=ROOT, capture_output=True, text=True, check=True)
    (extract,) = re.findall(r"pybabel (-q extract .*?)\s+--output-file", plan.stdout.replace("\\\n", ""), re.DOTALL)
    command = [str(ROOT / ".venv/bin/pybabel"), *extract.split(), "--output-file", str(tmp_path / "jsd.pot"), "jsd"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    extracted = {message.id for message in read_po(io.BytesIO((tmp_path / "jsd.pot").read_bytes())) if message.id}
    translated = {message.id for message in catalogue() if message.id and message.string}
    assert len(extracted) > 100
    assert extracted - translated == set(), "run: make messages, then fill in jsd/locale/ja.po"
    assert translated - extracted == set(), "run: make messages"


def test_a_translation_names_the_values_of_its_sentence() -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}

    # In Japanese some values go without saying.
    wrong = [str(m.id) for m in catalogue() if m.id and fields(str(m.string)) - fields(str(m.id))]
    assert wrong == []


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    compiled = io.BytesIO()
    write_mo(compiled, catalogue())
    assert CATALOGUE.read_bytes() == compiled.getvalue(), "run: make messages"


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


def test_an_error_has_one_code_and_a_sentence_in_each_language(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError) as caught:
        SamplingOptions(prompt="猫", num_outputs=5)
    english = str(caught.value)
    monkeypatch.setenv("JSD_LANG", "ja")
    assert caught.value.code == "options.whole"
    assert str(caught.value) != english and "num_outputs" in str(caught.value)


def catalogue() -> Catalog:
    return read_po(io.BytesIO(CATALOGUE.with_suffix(".po").read_bytes()), locale="ja")
