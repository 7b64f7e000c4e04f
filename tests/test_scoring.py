"""A scorer is a folder of transformers' classes; each of those that are named in the documents loads."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from toy_scorers import write_clip, write_own, write_siglip

from jsd.cli import main
from jsd.errors import ModelFolderError
from jsd.scoring import load_scorer

IMAGES = [Image.new("RGB", size, colour) for size, colour in (((40, 64), "red"), ((64, 64), "blue"))]
CAPTIONS = ["赤い猫", "青い背景に立つ鳥居、夏の海とこいのぼりと富士山と桜の水彩画"]


@pytest.mark.parametrize("write", [write_own, write_clip, write_siglip])
def test_a_scorer_of_each_class_gives_cosines_of_pairs(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    scorer = load_scorer(write(tmp_path / "scorer"))
    pictures, texts = scorer.image_features(IMAGES), scorer.text_features(CAPTIONS)
    assert torch.allclose(pictures.norm(dim=1), torch.ones(2)) and torch.allclose(texts.norm(dim=1), torch.ones(2))
    assert torch.allclose(scorer.similarity(IMAGES, CAPTIONS), (pictures @ texts.T).diagonal(), atol=1e-6)
    alone = scorer.text_features(CAPTIONS[:1])
    assert torch.allclose(alone, texts[:1], atol=1e-5), "a caption's vector must not depend on its neighbours"
    assert not torch.allclose(pictures[0], pictures[1])


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "weights/clip_ja"),
        ({"config.json": {"model_type": "clyp", "auto_map": {"AutoModel": "modeling_clyp.CLYPModel"}}}, "clyp"),
        ({"config.json": {"model_type": "bert"}}, "copy them again"),
        ({"config.json": {"model_type": "clip"}}, "copy them again"),
        ({"config.json": {"model_type": "unheard"}}, "copy them again"),
        ({"config.json": {"model_type": "clip", "text_config": {"num_hidden_layers": 10**9}}}, "500 layers"),
    ],
)
def test_what_is_no_scorer_is_one_line(tmp_path: Path, files: dict[str, object], word: str) -> None:
    for name, value in files.items():
        (tmp_path / name).write_text(json.dumps(value))
    with pytest.raises(ModelFolderError) as caught:
        load_scorer(tmp_path)
    assert word in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [write_own, write_clip])
def test_a_scorer_that_was_half_copied_is_one_line(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    weights = write(tmp_path / "scorer") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelFolderError, match="copy them again"):
        load_scorer(tmp_path / "scorer")


def test_what_the_scorer_does_not_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert main(["score", str(tmp_path / "a.png"), "簪"]) == 0
    assert "簪" in capsys.readouterr().err
    assert main(["score", str(tmp_path / "a.png"), "富士山と桜と海の絵、" * 5]) == 0
    assert "is ignored" in capsys.readouterr().err
    assert main(["score", str(tmp_path / "a.png"), "猫"]) == 0
    assert capsys.readouterr().err == ""
