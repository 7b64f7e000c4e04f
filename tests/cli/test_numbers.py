"""What is no number is answered like a number out of range: the same sentence, in the user's language."""

from pathlib import Path

import pytest
from PIL import Image

from jsd.cli import main, numbers
from jsd.images import save_image

# command, what it needs besides, option, a value out of range
NUMBERS = [
    ("generate", ["猫"], "--width", "0"),
    ("generate", ["猫"], "--height", "0"),
    ("generate", ["猫"], "--num-outputs", "5"),
    ("generate", ["猫"], "--num-inference-steps", "0"),
    ("generate", ["猫"], "--num-inference-steps", "501"),
    ("generate", ["猫"], "--guidance-scale", "0.5"),
    ("generate", ["猫"], "--seed", "-1"),
    ("generate", ["猫"], "--prompt-strength", "1.5"),
    ("generate", ["猫"], "--safety-threshold", "2.0"),
    ("generate", ["猫"], "--output-quality", "101"),
    ("batch", ["nowhere.txt"], "--workers", "0"),
    ("batch", ["nowhere.txt"], "--output-quality", "101"),
    ("rerun", ["a.png"], "--output-quality", "101"),
    ("weights", ["random", "new"], "--seed", "-1"),
    ("serve", [], "--port", "65536"),
    ("web", [], "--port", "65536"),
    ("train", ["--stage", "vae"], "--seed", "-1"),
    ("train", ["--stage", "vae"], "--max-train-steps", "0"),
    ("train", ["--stage", "vae"], "--learning-rate", "-1.0"),
    ("train", ["--stage", "vae"], "--train-batch-size", "0"),
    ("train", ["--stage", "vae"], "--checkpointing-steps", "0"),
    ("evaluate", [], "--seeds", "101"),
    ("evaluate", [], "--num-inference-steps", "0"),
    ("evaluate", [], "--guidance-scale", "0.5"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a picture that can be drawn again."""
    monkeypatch.chdir(tmp_path)
    save_image(Image.new("RGB", (16, 8)), tmp_path / "a.png", metadata={"prompt": "猫 油絵", "seed": 0})
    return tmp_path


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(("command", "needed", "option", "value"), NUMBERS)
def test_what_is_no_number_gets_the_sentence_of_one_out_of_range(
    command: str,
    needed: list[str],
    option: str,
    value: str,
    language: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    lines = []
    for given in (value, "abc"):
        assert main([command, *needed, option, given]) == 2
        lines += capsys.readouterr().err.splitlines()
    of_number, of_text = lines
    assert "'abc'" in of_text and of_text.replace("'abc'", value) == of_number
    assert [path.name for path in folder.iterdir()] == ["a.png"]


@pytest.mark.parametrize("text", ["２５", " 25 ", "25"])
def test_a_number_may_be_in_any_digits(text: str) -> None:
    assert (numbers.whole(text), numbers.number(text)) == (25, 25.0)
