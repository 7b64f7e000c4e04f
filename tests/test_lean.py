"""A program that draws imports what it needs; what it left out can be had afterwards."""

import subprocess
import sys
from pathlib import Path

from jsd.lean import HOLLOW

LEFT_OUT = (*HOLLOW, "sympy", "torch._inductor", "torch.distributed.tensor", "diffusers.pipelines")
PROGRAM = """
import sys, warnings
from jsd.cli import main
assert main(["generate", "猫", "--num-inference-steps", "1", "--weights", *sys.argv[1:]]) == 0
print("imported:", [name for name in {names} if name in sys.modules])

import torch
from jsd.lean import load_alone
pipeline = load_alone(sys.argv[1], "cpu", "float32")
from diffusers.models import AutoencoderKL, UNet2DConditionModel
from diffusers.models.unets import UNet1DModel
from transformers import BertModel, CLIPTextModel
from transformers.models.clip import CLIPModel
assert type(pipeline.unet) is UNet2DConditionModel and type(pipeline.vae) is AutoencoderKL
assert type(pipeline.text_encoder) is CLIPTextModel and torch.distributed.is_available()
warnings.simplefilter("ignore")
double = torch.compile(lambda x: 2 * x, backend="eager")
print("compiled:", double(torch.ones(1)).item(), "torch._dynamo" in sys.modules)
"""


def test_a_drawing_leaves_out_what_it_does_not_need_and_it_can_be_had_afterwards(
    toy_folder: Path, tmp_path: Path
) -> None:
    program = PROGRAM.format(names=LEFT_OUT)
    command = [sys.executable, "-c", program, str(toy_folder), "--output-dir", str(tmp_path), "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "imported: []" in done.stdout, done.stdout + done.stderr[-2000:]
    assert "compiled: 2.0 True" in done.stdout, done.stderr[-2000:]
