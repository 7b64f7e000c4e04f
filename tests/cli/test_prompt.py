"""`jsd prompt`, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

from jsd.cli import main


def test_it_shows_tokens_pieces_and_what_is_unread(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "猫の🐱", "--weights", str(toy_folder)]) == 0
    output = capsys.readouterr()
    tokens, pieces, unread, cut_off, warning = output.out.splitlines()
    assert tokens.split() == ["tokens", "5", "/", "16"]
    assert pieces.split() == ["pieces", "▁", "猫", "の", "🐱", "</s>"]
    assert unread.split() == ["unread", "🐱"]
    assert cut_off.split() == ["cut", "off", "-"]
    assert "cannot read" in warning
    assert output.err == f"{toy_folder} (--weights)\n"


def test_it_speaks_japanese(
    toy_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSD_LANG", "ja")
    assert main(["prompt", "猫の🐱\nネガティブ: 桜", "--weights", str(toy_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["トークン", "区切り", "読めない文字", "切り捨て"]
    assert "ネガティブプロンプト" in lines
    said = "".join(word for line in lines for word in line.split() if word != "</s>").replace("prompt:", "")
    assert not any(letter.isascii() and letter.isalpha() for letter in said), said


def test_it_shows_the_tail_that_falls_off(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["猫 " * 30 + "終わり", "--long-prompt", "truncate", "--weights", str(toy_folder)]
    assert main(["prompt", *words]) == 0
    assert capsys.readouterr().out.splitlines()[3].endswith("終わり")


def test_a_long_prompt_is_shown_in_its_parts(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "猫と桜、" * 5, "--weights", str(toy_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["tokens", "pieces", "pieces"]
    assert lines[0].endswith("/ 32") and "2 parts" in lines[-1]


def test_a_weight_follows_its_piece(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "（猫：１．５）の絵", "--weights", str(toy_folder)]) == 0
    assert "猫:1.5 の" in capsys.readouterr().out


def test_the_negative_line_is_a_prompt_of_its_own(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "猫\nネガティブ：桜", "--json", "--weights", str(toy_folder)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["read"], report["negative_prompt"]["read"]) == ("猫", "桜")


def test_the_words_of_a_style_are_shown(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "猫", "--style", "油絵", "--json", "--weights", str(toy_folder)]) == 0
    assert json.loads(capsys.readouterr().out)["read"] == "猫 油絵"


def test_a_style_that_is_not_there_is_refused(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "猫", "--style", "油彩", "--weights", str(toy_folder)]) == 2
    assert "油絵" in capsys.readouterr().err.splitlines()[-1], "the styles there are must be named"


def test_json_is_the_whole_report(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "猫🐱", "--json", "--weights", str(toy_folder)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["text"], report["num_tokens"], report["model_max_length"]) == ("猫🐱", 4, 16)
    assert report["unread"] == [{"text": "🐱", "start": 1}]


def test_a_tokenizer_folder_alone_is_enough(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "猫", "--weights", str(toy_folder / "tokenizer")]) == 0
    assert "3 / 16" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["\0\x1b[31m", "\u202e猫", "a\nb", "猫\u2028" * 9, ""])
def test_control_characters_never_reach_the_terminal(
    toy_folder: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert main(["prompt", text, "--weights", str(toy_folder)]) == 0
    assert not set(capsys.readouterr().out) & {"\0", "\x1b", "\u202e", "\u2028"}


@pytest.mark.parametrize("text", ["猫" * 350_000, "(" * 1_000_000, "🐱" * 250_000], ids=["kanji", "brackets", "unread"])
def test_a_prompt_of_a_megabyte_is_refused_at_once(
    text: str, toy_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began = perf_counter()
    assert main(["prompt", text, "--weights", str(toy_folder)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsd: prompt must be at most 10000 characters") and len(line) < 200
    assert perf_counter() - began < 2, "it was read before it was refused"


@pytest.mark.parametrize("text", ["猫、" * 5000, "(猫:1.1)" * 1400, "苺🐱" * 5000, "(" * 10_000, "ネガティブ:\n" * 999])
@pytest.mark.parametrize("how", ["chunk", "truncate"])
def test_the_longest_prompt_is_read_within_seconds(toy_folder: Path, text: str, how: str) -> None:
    began = perf_counter()
    assert main(["prompt", text, "--long-prompt", how, "--weights", str(toy_folder)]) in (0, 2)
    assert perf_counter() - began < 20, "the cost must grow with the length, not its square"


def test_a_lone_surrogate_is_bad_input(toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # What Python makes of an argument that is not UTF-8.
    assert main(["prompt", "猫\udcff", "--weights", str(toy_folder)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("jsd: prompt must be valid Unicode text: U+DCFF at character 2")


def test_a_folder_that_is_not_there_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompt", "猫", "--weights", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("jsd: weights must be a model folder")


def test_it_does_not_import_torch(toy_folder: Path) -> None:
    program = "import sys; from jsd.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", program, "prompt", "猫", "--weights", str(toy_folder)]
    assert subprocess.run(command, capture_output=True).returncode == 0
