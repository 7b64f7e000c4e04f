"""Composed scenes as latents: made when they are first needed, kept in shards, drawn with captions made anew."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jsd.training.batches import CaptionedLatents
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.scenes import Scene, Scenes
from jsd.training.latents import encode_pictures
from jsd.training.loop import save_atomically

SHARD = 1024  # scenes
FIRST_SHARDS, STEPS_PER_SHARD, MAX_SHARDS = 4, 96, 384  # a new shard every so many steps
ENCODED = 32  # at once


class SceneLatents:
    """The scenes' latents (C, h, w), scaled, by number."""

    def __init__(self, scenes: Scenes, vae: Any, size_px: int, folder: Path) -> None:
        self.scenes, self.vae, self.size_px, self.folder = scenes, vae, size_px, folder
        folder.mkdir(parents=True, exist_ok=True)
        self._shards: dict[int, Tensor] = {}
        self._described: dict[int, Scene] = {}

    def describe(self, number: int) -> Scene:
        """What the scene shows. Kept: to find a colour that a sprite takes costs a millisecond."""
        if number not in self._described:
            self._described[number] = self.scenes.scene(number)[0]
        return self._described[number]

    def get(self, numbers: list[int]) -> Tensor:
        # float first: a CPU's autocast has no float16.
        return torch.stack([self._shard(number // SHARD)[number % SHARD].float() for number in numbers])

    def _shard(self, index: int) -> Tensor:
        if index not in self._shards:
            path = self.folder / f"{index:05}.pt"
            if not path.exists():
                save_atomically(self._encode(range(index * SHARD, (index + 1) * SHARD)), path)
            # Mapped: memory does not grow with the number of shards.
            self._shards[index] = torch.load(path, weights_only=True, mmap=True)
        return self._shards[index]

    def _encode(self, numbers: range) -> Tensor:
        """(N, C, h, w) in float16."""
        found = []
        for first in range(0, len(numbers), ENCODED):
            pictures = np.stack([self._paint(number) for number in numbers[first : first + ENCODED]])
            found.append(encode_pictures(pictures, self.vae, self.size_px))
        return (torch.cat(found) * float(self.vae.config.scaling_factor)).half()

    def _paint(self, number: int) -> NDArray[np.uint8]:
        self._described[number], canvas = self.scenes.scene(number)
        return self.scenes.paint(self._described[number], canvas)


class MixedLatents:
    """Batches of the corpus' own pictures and of scenes."""

    def __init__(self, pictures: CaptionedLatents, scenes: SceneLatents, phrases: Phrases, share: float) -> None:
        """`share`: of the scenes."""
        self.pictures, self.scenes, self.phrases, self.share = pictures, scenes, phrases, share

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """latents (B, C, h, w), input_ids (B, L)."""
        stage, seed = self.pictures.stage, self.pictures.seed
        rng = random.Random(f"{seed}/{stage.name}/{step}")
        num_scenes = round(self.share * stage.train_batch_size)
        records = rng.choices(self.pictures.records, self.pictures.weights, k=stage.train_batch_size - num_scenes)
        shards = min(MAX_SHARDS, FIRST_SHARDS + step // STEPS_PER_SHARD)
        numbers = [rng.randrange(shards * SHARD) for _ in range(num_scenes)]
        texts = [self.phrases.of_record(record, rng) for record in records]
        texts += [self.phrases.of_scene(self.scenes.describe(number), rng) for number in numbers]
        texts = ["" if rng.random() < self.pictures.dropout else text for text in texts]
        own = self.pictures.latents[torch.tensor([record.index for record in records])]
        input_ids = torch.tensor([self.pictures.tokenizer.encode(text) for text in texts])
        return torch.cat([own, self.scenes.get(numbers)]), input_ids
