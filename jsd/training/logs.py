"""What a run leaves to look at: losses as JSON lines and for TensorBoard, pictures as PNG grids."""

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from jsd.atomic import write_json
from jsd.errors import MissingExtraError, Note
from jsd.images.tensors import tensor_to_images
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.prompting.emphasis import without_emphasis
from jsd.training.corpora.corpus import Corpus
from jsd.training.loop import train
from jsd.training.recipes import Recipe, Stage
from jsd.training.starting import TrainOptions, description

SAMPLE_SEED = 1
NUM_RECONSTRUCTED = 16


class Log:
    """`folder`/run.json, `folder`/log.jsonl, and `folder`/tensorboard where TensorBoard is installed.

    `writes`: of several processes that train, one does.
    """

    def __init__(self, folder: Path, writes: bool = True) -> None:
        self._folder, self._writes = folder, writes
        self._file = (folder / "log.jsonl" if writes else Path(os.devnull)).open("a", encoding="utf-8")
        self._board: Any = None
        if not writes:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            print(MissingExtraError("tensorboard", "train"))
        else:
            self._board = SummaryWriter(folder / "tensorboard")

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def describe(self, run: dict[str, object]) -> None:
        if self._writes:
            write_json(self._folder / "run.json", run)

    def write(self, step: int, values: dict[str, float]) -> None:
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def picture(self, step: int, path: Path, draw: Callable[[Path], None]) -> None:
        """What `draw` writes into `path`, if it does."""
        path.parent.mkdir(exist_ok=True)
        draw(path)
        if self._board is not None and path.is_file():
            self._board.add_image("samples", np.asarray(Image.open(path)), step, dataformats="HWC")


def train_logged(
    recipe: Recipe, stage: Stage, options: TrainOptions, folder: Path, run: Any, modules: nn.ModuleDict, settings: Any
) -> tuple[Any, dict[str, object]]:
    """Train the `modules` of a run with its log in `folder`: their average, and what run.json says in the end."""
    said = description(recipe, stage, options)
    with Log(folder, options.processes.is_first) as log:
        log.describe(said)
        ema, steps, seconds = train(
            stage,
            modules,
            run.loss,
            folder,
            settings=settings,
            checkpointing_steps=options.checkpointing_steps,
            max_train_seconds=options.max_train_seconds,
            autocast=options.autocast,
            processes=options.processes,
            log=log.write,
            sample=lambda step: log.picture(step, folder / "samples" / f"{step:06}.png", run.sample),
        )
    return ema, {**said, "steps": steps, "seconds": round(seconds, 1)}


def save_grid(pictures: list[Image.Image], path: Path, columns: int) -> None:
    width, height = pictures[0].size
    rows = -(-len(pictures) // columns)
    grid = Image.new("RGB", (columns * width, rows * height), "white")
    for number, picture in enumerate(pictures):
        grid.paste(picture, (number % columns * width, number // columns * height))
    grid.save(path)


def draw_samples(pipeline: Pipeline, prompts: Sequence[str], path: Path) -> None:
    """The prompts, captions perhaps, all with one seed: pictures that look alike show that the text is not read."""
    asked = SamplingOptions(prompt="", seed=SAMPLE_SEED, upscale=1, long_prompt="truncate", disable_safety_checker=True)
    requests = [replace(asked, prompt=without_emphasis(prompt)) for prompt in prompts]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Note)
        drawn = [one.image for request in requests for one in pipeline.generate(request)]
    save_grid(drawn, path, columns=4)


@torch.no_grad()
def reconstruct(corpus: Corpus, vae: Any, path: Path) -> None:
    """Pictures of the corpus above what the VAE makes of them."""
    chosen = np.linspace(0, len(corpus.pictures) - 1, NUM_RECONSTRUCTED).astype(int)
    pictures = torch.tensor(corpus.pictures[chosen]).permute(0, 3, 1, 2).float() / 255  # (B, 3, H, W) in [0, 1]
    latents = vae.encode(pictures.to(vae.device) * 2 - 1).latent_dist.mean  # (B, C, h, w)
    decoded = (vae.decode(latents).sample.float().cpu() / 2 + 0.5).clamp(0, 1)
    save_grid(tensor_to_images(torch.cat([pictures, decoded])), path, columns=NUM_RECONSTRUCTED)
