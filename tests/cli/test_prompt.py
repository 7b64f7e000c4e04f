"""`jsd prompt`, as a user runs it."""

import json
from pathlib import Path
from time import perf_counter

import pytest

from cli.conftest import Jsd


@pytest.fixture
def model(toy_folder: Path) -> list[str]:
    return ["--weights", str(toy_folder)]


def test_it_shows_tokens_pieces_and_what_is_unread(jsd: Jsd, model: list[str], toy_folder: Path) -> None:
    said = jsd("prompt", "猫の🐱", model)
    tokens, pieces, unread, cut_off, warning = said.out
    assert tokens.split() == ["tokens", "5", "/", "16"]
    assert pieces.split() == ["pieces", "▁", "猫", "の", "🐱", "</s>"]
    assert unread.split() == ["unread", "🐱"] and cut_off.split() == ["cut", "off", "-"]
    assert "🐱" in warning and said.err == [f"{toy_folder} (--weights)"]


def test_it_speaks_japanese(jsd: Jsd, model: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_LANG", "ja")
    lines = jsd("prompt", "猫の🐱\nネガティブ: 桜", model).out
    said = "".join(word for line in lines for word in line.split() if word != "</s>").replace("prompt:", "")
    assert not any(letter.isascii() and letter.isalpha() for letter in said), said


def test_a_long_prompt_is_shown_in_its_parts_or_with_its_tail(jsd: Jsd, model: list[str]) -> None:
    lines = jsd("prompt", "猫と桜、" * 5, model).out
    assert [line.split()[0] for line in lines[:3]] == ["tokens", "pieces", "pieces"] and lines[0].endswith("/ 32")
    assert jsd("prompt", "猫 " * 30 + "終わり", "--long-prompt", "truncate", model).out[3].endswith("終わり")


def test_a_weight_follows_its_piece(jsd: Jsd, model: list[str]) -> None:
    assert "猫:1.5 の" in "\n".join(jsd("prompt", "（猫：１．５）の絵", model).out)


def test_json_is_the_whole_report(jsd: Jsd, model: list[str]) -> None:
    report = json.loads("\n".join(jsd("prompt", "猫🐱\nネガティブ：桜", "--style", "油絵", "--json", model).out))
    assert (report["read"], report["negative_prompt"]["read"]) == ("猫🐱 油絵", "桜")
    assert (report["num_tokens"], report["model_max_length"]) == (len(report["windows"][0]["pieces"]) + 1, 16)
    assert report["unread"] == [{"text": "🐱", "start": 1}]


def test_a_style_that_is_not_there_is_refused_with_the_choices(jsd: Jsd, model: list[str]) -> None:
    said = jsd("prompt", "猫", "--style", "油彩", model)
    assert said.code == 2 and "油絵" in said.err[-1]


def test_a_tokenizer_folder_alone_is_enough(jsd: Jsd, toy_folder: Path, tmp_path: Path) -> None:
    assert "3 / 16" in jsd("prompt", "猫", "--weights", toy_folder / "tokenizer").out[0]
    assert jsd("prompt", "猫", "--weights", tmp_path / "nowhere").refuses("weights")


@pytest.mark.parametrize("text", ["\0\x1b[31m", "\u202e猫", "a\nb", "猫\u2028" * 9, ""])
def test_control_characters_never_reach_the_terminal(jsd: Jsd, model: list[str], text: str) -> None:
    said = jsd("prompt", text, model)
    assert said.code == 0 and not set("".join(said.out)) & {"\0", "\x1b", "\u202e", "\u2028"}


@pytest.mark.parametrize("text", ["猫" * 350_000, "(" * 1_000_000, "🐱" * 250_000], ids=["kanji", "brackets", "unread"])
def test_a_prompt_of_a_megabyte_is_refused_at_once(text: str, jsd: Jsd, model: list[str]) -> None:
    began = perf_counter()
    said = jsd("prompt", text, model)
    assert said.refuses("prompt", "10000") and len(said.err[0]) < 200
    assert perf_counter() - began < 2, "it was read before it was refused"


@pytest.mark.parametrize("text", ["猫、" * 5000, "(猫:1.1)" * 1400, "苺🐱" * 5000, "(" * 10_000, "ネガティブ:\n" * 999])
@pytest.mark.parametrize("how", ["chunk", "truncate"])
def test_the_longest_prompt_is_read_within_seconds(jsd: Jsd, model: list[str], text: str, how: str) -> None:
    began = perf_counter()
    assert jsd("prompt", text, "--long-prompt", how, model).code in (0, 2)
    assert perf_counter() - began < 20, "the cost must grow with the length, not its square"


def test_what_is_no_utf_8_is_bad_input(jsd: Jsd, model: list[str]) -> None:
    said = jsd("prompt", "猫\udcff", model)  # what Python makes of such an argument
    assert said.code == 2 and "U+DCFF" in said.err[-1] and said.err[-1].startswith("jsd: prompt must be")


def test_a_tilde_that_the_shell_left_is_the_home(
    jsd: Jsd, toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "toy").symlink_to(toy_folder)
    assert jsd("prompt", "猫", "--weights=~/toy").code == 0
    said = jsd("generate", "猫", "--weights=~/toy", "--image=~/nothing.png", "--lora=~/nothing.safetensors")
    assert said.refuses(f"{tmp_path}/nothing.png")
