"""What a run leaves to look at: samples of whatever captions people have."""

from pathlib import Path

import pytest
from PIL import Image

from jsd import Pipeline
from jsd.prompting.emphasis import parse_emphasis, without_emphasis
from jsd.training.logs import draw_samples


@pytest.mark.parametrize("text", ["駅（12:30）", "(1:100)", "[[猫]", "＼(^o^)／", r"\(猫\)", r"\\(猫:9", "猫", ""])
def test_a_caption_is_no_prompt_and_its_brackets_are_letters(text: str) -> None:
    read = parse_emphasis(without_emphasis(text))
    assert read.text == text and set(read.weights) <= {1.0}


def test_no_caption_stops_a_run_at_its_samples(toy_folder: Path, tmp_path: Path) -> None:
    draw_samples(Pipeline.load(toy_folder, "cpu", "float32"), ["駅（12:30）", "猫" * 500, ""], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (128, 32)
