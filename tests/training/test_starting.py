"""What a stage keeps of the weights that it started from."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_recipe import TOY

from jsd.training import modules
from jsd.training.starting import TrainOptions, keep_of_start


@pytest.mark.parametrize(("kept", "left"), [(0.25, 0.75), (0.0, 1.0)])
def test_a_share_of_what_a_stage_started_from_is_kept(toy_folder: Path, kept: float, left: float) -> None:
    start = modules.load("text_encoder", toy_folder).state_dict()
    learnt = torch.nn.ModuleDict({"text_encoder": modules.load("text_encoder", toy_folder)})
    with torch.no_grad():
        for weight in learnt.parameters():
            weight += 1
    stage = replace(TOY.stages["reread"], kept=kept)
    keep_of_start(learnt, TOY, stage, TrainOptions(toy_folder, toy_folder, start_from=toy_folder))
    for name, weight in learnt["text_encoder"].named_parameters():
        torch.testing.assert_close(weight, start[name] + left)
