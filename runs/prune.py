"""A model folder whose UNet is without its mid block and without the text in its lowest way down.

python -m runs.prune SOURCE DESTINATION [--prompts FILE]

Prints how far each of them moves what the UNet predicts, in percent of what the text moves (mean squares, at ten noise
levels). BK-SDM (arXiv 2305.15798) takes the mid block out, too. The smaller UNet wants some more steps of training.
"""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.prompting.prompts import read_prompts
from jsd.schedulers import make_scheduler

PROMPTS = Path("jsd/training/evaluation/sets/natural.txt")
NUM_PROMPTS, NUM_STEPS, GUIDANCE = 24, 10, 4.0


def unchanged(hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Tensor:
    return hidden_states


def unchanged_in_a_tuple(hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor]:
    return (hidden_states,)


def parts_of(unet: Any) -> dict[str, tuple[Any, Callable[..., Any]]]:
    """name -> the part, and what stands in for it."""
    if unet.mid_block is None or not getattr(unet.down_blocks[-1], "attentions", None):
        raise SystemExit("the UNet has no such parts: those of weights/mini were taken out after commit 0a84b93")
    return {
        "mid block": (unet.mid_block, unchanged),
        "text in the lowest way down": (unet.down_blocks[-1].attentions[0], unchanged_in_a_tuple),
    }


@torch.inference_mode()
def moved(pipeline: Pipeline, prompts: list[str]) -> dict[str, list[float]]:
    """part -> percent of the text's mean square at each noise level, the noisiest first."""
    unet = pipeline.unet
    readings = [
        read_prompts(pipeline.tokenizer, SamplingOptions(prompt=text, long_prompt="truncate")).prompt
        for text in (*prompts, "")
    ]
    embeddings, _pooled = pipeline.text_encoders.encode(readings, 1)  # (N + 1, L, D)
    texts, nothing = embeddings[:-1], embeddings[-1:].expand_as(embeddings[:-1])
    scheduler = make_scheduler("DPMSolverMultistep", pipeline.scheduler_config, NUM_STEPS)
    size = unet.config.sample_size
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(len(prompts), unet.config.in_channels, size, size, generator=generator)
    found: dict[str, list[float]] = {name: [] for name in parts_of(unet)}
    for t in scheduler.timesteps:
        told, untold = (unet(latents, t, one).sample for one in (texts, nothing))
        for name, (part, instead) in parts_of(unet).items():
            forward, part.forward = part.forward, instead
            without = unet(latents, t, texts).sample
            part.forward = forward
            found[name].append(100 * float((without - told).square().mean() / (told - untold).square().mean()))
        latents = scheduler.step(untold + GUIDANCE * (told - untold), t, latents).prev_sample
    return found


def prune(unet: Any) -> Any:
    """The UNet without these parts; every other weight is the same."""
    blocks = [*unet.config.down_block_types[:-1], "DownBlock2D"]
    pruned = type(unet).from_config({**unet.config, "mid_block_type": None, "down_block_types": blocks})
    names = pruned.state_dict().keys()
    pruned.load_state_dict({name: tensor for name, tensor in unet.state_dict().items() if name in names})
    return pruned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("destination", type=Path, metavar="DESTINATION")
    parser.add_argument("--prompts", type=Path, default=PROMPTS, help="default: %(default)s")
    args = parser.parse_args()
    pipeline = Pipeline.load(args.source, "cpu", "float32")
    lines = [line for line in args.prompts.read_text("utf-8").splitlines() if ": " in line and line[0] != "#"]
    prompts = [line.partition(": ")[2].partition(" = ")[0] for line in lines[:: -(-len(lines) // NUM_PROMPTS)]]
    for name, percents in moved(pipeline, prompts).items():
        print(f"{name}: {' '.join(f'{percent:.1f}' for percent in percents)} % of what the text moves")
    shutil.copytree(args.source, args.destination)
    shutil.rmtree(args.destination / "unet")
    prune(pipeline.unet).save_pretrained(args.destination / "unet")


if __name__ == "__main__":
    main()
