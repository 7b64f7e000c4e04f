"""runs/prune.py: a UNet without the parts that say least is the same UNet with nothing in their places."""

from pathlib import Path

import pytest
import torch

from jsd.pipeline import Pipeline
from runs.prune import moved, parts_of, prune


@pytest.fixture(scope="module")
def pipeline(toy_folder: Path) -> Pipeline:
    return Pipeline.load(toy_folder, "cpu", "float32")


@torch.inference_mode()
def test_the_other_weights_are_the_same(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    unet, config = pipeline.unet, pipeline.unet.config
    latents = torch.randn(1, config.in_channels, 8, 8, generator=torch.Generator().manual_seed(0))
    told = torch.randn(1, 16, config.cross_attention_dim, generator=torch.Generator().manual_seed(1))
    before = unet(latents, 500, told).sample
    pruned = prune(unet)
    for part, instead in parts_of(unet).values():
        monkeypatch.setattr(part, "forward", instead)
    torch.testing.assert_close(pruned(latents, 500, told).sample, unet(latents, 500, told).sample)
    assert not torch.allclose(before, unet(latents, 500, told).sample, atol=1e-3)
    assert pruned.num_parameters() < unet.num_parameters()


def test_each_part_says_how_far_it_moves_what_is_predicted(pipeline: Pipeline) -> None:
    found = moved(pipeline, ["猫", "犬"])
    assert list(found) == list(parts_of(pipeline.unet))
    assert all(len(percents) == 10 and min(percents) > 0 for percents in found.values())
