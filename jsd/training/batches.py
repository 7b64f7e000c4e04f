"""What each stage sees at a step: a function of the seed and the step, the same after a resume."""

import random

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.corpora.captions import caption
from jsd.training.corpora.corpus import Corpus, Record
from jsd.training.corpora.styles import DEFAULT_STYLE
from jsd.training.recipes import Stage

CROP_PX = 64


def training_records(corpus: Corpus, with_japan: bool) -> list[Record]:
    """Never the unseen pairs; the Japan split where the stage shows it."""
    return [record for record in corpus.records if not record.unseen and (with_japan or not record.japan)]


def decoded_pictures(
    corpus: Corpus, records: list[Record], latents: Tensor, batch_size: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """Random pictures: their `latents` (B, C, h, w), pixel_values (B, 3, H, W) in [-1, 1]."""
    rng = np.random.default_rng((seed, step))
    chosen = [records[i].index for i in rng.integers(len(records), size=batch_size)]
    return latents[chosen], pixel_values(corpus.pictures[chosen])


def crops(corpus: Corpus, records: list[Record], batch_size: int, seed: int, step: int) -> Tensor:
    """pixel_values (B, 3, 64, 64) in [-1, 1]: random crops of random pictures."""
    rng = np.random.default_rng((seed, step))
    chosen = rng.integers(len(records), size=batch_size)
    size = corpus.pictures.shape[1]
    corners = rng.integers(0, size - CROP_PX + 1, size=(batch_size, 2))
    batch = np.stack(
        [
            corpus.pictures[records[i].index, y : y + CROP_PX, x : x + CROP_PX]
            for i, (y, x) in zip(chosen, corners, strict=True)
        ]
    )
    return pixel_values(batch)


def pixel_values(pictures: NDArray[np.uint8], device: str | torch.device = "cpu") -> Tensor:
    """(B, H, W, 3) bytes -> (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


class CaptionedLatents:
    """Pictures as precomputed latents, each with a caption drawn anew at every step."""

    def __init__(
        self, corpus: Corpus, latents: Tensor, stage: Stage, tokenizer: JapaneseTokenizer, seed: int, dropout: float
    ) -> None:
        """`latents` (N, C, h, w), scaled, one for each record of the corpus."""
        assert stage.language is not None
        self.records = training_records(corpus, stage.with_japan)
        self.latents, self.stage, self.tokenizer, self.seed, self.dropout = latents, stage, tokenizer, seed, dropout
        self.words = corpus.words(stage.language)
        self.numbers = {code: number for number, code in enumerate(corpus.concepts)}
        self.weights = [
            stage.default_style_weight if r.style == DEFAULT_STYLE and r.background is None else 1.0
            for r in self.records
        ]
        self._ids: dict[str, list[int]] = {}

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """latents (B, C, h, w), input_ids (B, L), concepts (B,)."""
        assert self.stage.language is not None
        rng = random.Random(f"{self.seed}/{self.stage.name}/{step}")
        chosen = rng.choices(self.records, weights=self.weights, k=self.stage.train_batch_size)
        input_ids = [
            self.encode(
                ""
                if rng.random() < self.dropout
                else caption(self.words[r.code], r.style, r.background, self.stage.language, rng)
            )
            for r in chosen
        ]
        latents = self.latents[torch.tensor([record.index for record in chosen])]
        return latents, torch.tensor(input_ids), torch.tensor([self.numbers[record.code] for record in chosen])

    def encode(self, text: str) -> list[int]:
        if text not in self._ids:
            self._ids[text] = self.tokenizer.encode(text)
        return self._ids[text]
