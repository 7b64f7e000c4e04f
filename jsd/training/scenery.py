"""Composed scenes as latents: made when they are first needed, kept in shards, drawn with captions made anew."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jsd.training.ahead import Ahead
from jsd.training.batches import CaptionedLatents
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.scenes import Scene, Scenes
from jsd.training.latents import add_weights, encode_pictures
from jsd.training.loop import save_atomically

SHARD = 1024  # scenes
FIRST_SHARDS = 4
DRAWN_PER_SHARD = 96 * 38  # scenes that a batch asks for, until there is a shard more
ENCODED = 64  # at once


def scenes_folder(output: Path, seed: int) -> Path:
    return output / f"scenes_{seed}"


class SceneLatents:
    """The scenes' latents (C, h, w), scaled, and what they show, by number."""

    def __init__(self, scenes: Scenes, vae: Any, size_px: int, folder: Path) -> None:
        self.scenes, self.vae, self.size_px = scenes, vae, size_px
        # Stages that draw other kinds of scenes, of other sprites or with another VAE, have their own.
        self.folder = folder / self._made_of()[:12]
        self.folder.mkdir(parents=True, exist_ok=True)
        self._shards: dict[int, dict[str, Any]] = {}

    def describe(self, number: int) -> Scene:
        """What the scene shows. Kept with its latents: to find a colour that a sprite takes costs a millisecond."""
        return Scene(*self._shard(number // SHARD)["scenes"][number % SHARD])

    def get(self, numbers: list[int]) -> Tensor:
        # float first: a CPU's autocast has no float16.
        return torch.stack([self._shard(number // SHARD)["latents"][number % SHARD].float() for number in numbers])

    def paint_ahead(self, shards: int, workers: int) -> None:
        """The first `shards`, where they are not there yet: painted by so many processes, encoded by this one."""
        missing = [index for index in range(shards) if not self._path(index).exists()]
        firsts = [index * SHARD + first for index in missing for first in range(0, SHARD, ENCODED)]
        chunks = Ahead(lambda i: self._painted(firsts[i]) if i < len(firsts) else None, workers)
        painted = (chunk for chunk in map(chunks, range(len(firsts))) if chunk is not None)
        for index in missing:
            self._write(index, painted)
        chunks.close()

    def _made_of(self) -> str:
        digest = hashlib.sha256(f"{self.size_px}/{self.vae.config.scaling_factor}/{self.scenes.digest}".encode())
        add_weights(digest, self.vae)
        return digest.hexdigest()

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:05}.pt"

    def _shard(self, index: int) -> dict[str, Any]:
        if index not in self._shards:
            if not self._path(index).exists():
                firsts = range(index * SHARD, (index + 1) * SHARD, ENCODED)
                self._write(index, map(self._painted, firsts))
            # Mapped: memory does not grow with the number of shards.
            self._shards[index] = torch.load(self._path(index), weights_only=True, mmap=True)
        return self._shards[index]

    def _write(self, index: int, painted: Iterator[tuple[list[Scene], NDArray[np.uint8]]]) -> None:
        """A shard of what is painted next: latents (N, C, h, w) in float16, and what they show."""
        latents, scenes = [], list[tuple[Any, ...]]()
        for _ in range(0, SHARD, ENCODED):
            shown, pictures = next(painted)
            latents.append(encode_pictures(pictures, self.vae, self.size_px))
            scenes += map(astuple, shown)
        scaled = (torch.cat(latents) * float(self.vae.config.scaling_factor)).half()
        save_atomically({"latents": scaled, "scenes": scenes}, self._path(index))

    def _painted(self, first: int) -> tuple[list[Scene], NDArray[np.uint8]]:
        """ENCODED scenes from that number on, and their pictures (N, H, W, 3)."""
        begun = [self.scenes.scene(number) for number in range(first, first + ENCODED)]
        return [scene for scene, _ in begun], np.stack([self.scenes.paint(*one) for one in begun])


class MixedLatents:
    """Batches of the corpus' own pictures and of scenes."""

    def __init__(
        self, pictures: CaptionedLatents, scenes: SceneLatents, phrases: Phrases, share: float, most: int
    ) -> None:
        """`share`: of the scenes; `most`: shards of them that there may be."""
        self.pictures, self.scenes, self.phrases, self.most = pictures, scenes, phrases, most
        self.num_scenes = round(share * pictures.stage.train_batch_size)  # of a batch

    def num_shards(self, step: int) -> int:
        """Of which the scenes of that step are."""
        return min(self.most, FIRST_SHARDS + step * self.num_scenes // DRAWN_PER_SHARD)

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """latents (B, C, h, w), input_ids (B, L)."""
        stage, seed = self.pictures.stage, self.pictures.seed
        rng = random.Random(f"{seed}/{stage.name}/{step}")
        num_scenes = self.num_scenes
        records = rng.choices(self.pictures.records, self.pictures.weights, k=stage.train_batch_size - num_scenes)
        numbers = [rng.randrange(self.num_shards(step) * SHARD) for _ in range(num_scenes)]
        texts = [self.phrases.of_record(record, rng) for record in records]
        texts += [self.phrases.of_scene(self.scenes.describe(number), rng) for number in numbers]
        texts = ["" if rng.random() < self.pictures.dropout else text for text in texts]
        own = self.pictures.latents[torch.tensor([record.index for record in records], dtype=torch.long)]
        input_ids = torch.tensor([self.pictures.tokenizer.encode(text) for text in texts])
        return torch.cat([own, self.scenes.get(numbers)]), input_ids
