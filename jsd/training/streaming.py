"""Latents of a corpus of any size: written once as files in float16, one for each shard, and streamed to training.

    CORPUS/latents/KEY/00000.npy   (N, C, h, w) float16, not scaled, in the shard's order; KEY: of the VAE, the size

Shards are shuffled, a few at a time make a buffer, and the records of a buffer are shuffled: what a step sees follows
from the seed and the step alone, so that a run goes on where it stopped without reading what it has seen.
"""

import hashlib
import io
import math
import random
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from jsd.devices import choose_placement
from jsd.errors import CheckpointError, CorpusError, Note
from jsd.i18n import _
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training import modules
from jsd.training.corpora.records import HELD_OUT, Record, times
from jsd.training.corpora.shards import Shards
from jsd.training.latents import BATCH_SIZE, add_weights, encode_pictures
from jsd.training.recipes import Stage
from jsd.training.sharding import Engine, make_files

LATENTS = "latents"
BUFFER_SHARDS = 4


@dataclass(frozen=True)
class LatentsTask:
    """A shard -> its latents as a .npy file."""

    shards: Shards
    model: Path  # a folder with a vae/
    size_px: int
    device: str | None  # None: the fastest where the work is done

    def start(self) -> Callable[[int], bytes]:
        vae = (
            modules.load("vae", self.model)
            .to(choose_placement(self.device).device)
            .to(memory_format=torch.channels_last)
        )

        def encode(index: int) -> bytes:
            images = [
                square(self.shards.image(index, one.key, one.image), self.size_px) for one in self.shards.records(index)
            ]
            size = max(1, BATCH_SIZE * 128**2 // self.size_px**2)  # 32 of 512 px would take 13 GB
            parts = [
                encode_pictures(np.stack(images[first : first + size]), vae, self.size_px).half().numpy()
                for first in range(0, len(images), size)
            ]
            file = io.BytesIO()
            np.save(file, np.concatenate(parts) if parts else np.zeros((0, 0, 0, 0), np.float16))
            return file.getvalue()

        return encode


def square(image: Image.Image, size_px: int) -> NDArray[np.uint8]:
    """(size_px, size_px, 3): the middle of the picture."""
    return np.asarray(ImageOps.fit(image, (size_px, size_px), Image.Resampling.LANCZOS))


def latents_paths(shards: Shards, vae: Any, size_px: int) -> list[Path]:
    """Where the latents of each shard are, or will be."""
    whole = hashlib.sha256(f"{size_px}/{shards.digest}".encode())
    add_weights(whole, vae)
    folder = shards.folder / LATENTS / whole.hexdigest()[:16]
    return [folder / f"{index:05}.npy" for index in range(len(shards.counts))]


def make_latents(task: LatentsTask, vae: Any) -> list[Path]:
    """The files of all shards, those that are lacking made here."""
    paths = latents_paths(task.shards, vae, task.size_px)
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(paths), desc=_("latents"), unit=_("shard")) as bar:
        failures = make_files(task, paths, Engine(), bar.update)
    if failures:
        raise CorpusError("shards.unread", "the latents lack shards: {reasons}", reasons="; ".join(failures.values()))
    return paths


def check_own_pictures(stage: Stage) -> None:
    """That the stage can be taught by pictures and captions alone."""
    if stage.objective not in ("denoising", "contrastive") or stage.scenes > 0 or stage.text_weight > 0:
        raise CheckpointError(
            "train.own",
            "the stage {stage} is taught by the embedded model's own corpus, not by other pictures; train stage2 with "
            "--start-from weights/mini, or --recipe lora",
            stage=stage.name,
        )


def warn_cut(captions: Iterable[str], tokenizer: JapaneseTokenizer) -> None:
    """Of captions that are not read to their ends."""
    is_cut = [tokenizer.describe(text).tail_start is not None for text in captions]
    if any(is_cut):
        warnings.warn(
            Note(
                "train.cut",
                "{count} of {total} captions are longer than the {limit} tokens that the model reads, and are learnt "
                "without their ends; put what matters first",
                count=sum(is_cut),
                total=len(is_cut),
                limit=tokenizer.model_max_length,
            ),
            stacklevel=2,
        )


class StreamedLatents:
    """Batches of a corpus whose latents are on the disk, made first where they are not there yet."""

    def __init__(
        self, task: LatentsTask, vae: Any, stage: Stage, tokenizer: JapaneseTokenizer, seed: int, dropout: float
    ) -> None:
        shards = self.shards = task.shards
        self.paths = make_latents(task, vae)
        self.scaling_factor = float(vae.config.scaling_factor)
        self.stage, self.tokenizer, self.seed, self.dropout = stage, tokenizer, seed, dropout
        self._repeats = [shown(shards, index) for index in range(len(self.paths))]
        self._sizes = [int(one.sum()) for one in self._repeats]
        self.total = sum(self._sizes)
        self._tell_held_out()
        first = shards.table(shards.filled[0], ["captions"])["captions"].to_pylist()
        warn_cut((text for some in first for text in some), tokenizer)
        # Two: a batch may reach from one buffer into the next.
        self._records = lru_cache(maxsize=2 * BUFFER_SHARDS)(self._read)
        self._order = lru_cache(maxsize=2)(self._shuffled)
        self._epoch = lru_cache(maxsize=2)(self._planned)

    def _tell_held_out(self) -> None:
        count, total = sum(int((one == 0).sum()) for one in self._repeats), len(self.shards)
        if count == total:
            raise CorpusError(
                "train.all_held_out",
                "{folder} must hold pictures to train on, and the source keeps all {total} for a test (split: "
                "{splits}); import others too",
                folder=self.shards.folder,
                total=total,
                splits=", ".join(HELD_OUT),
            )
        if count > 0:
            warnings.warn(
                Note(
                    "train.held_out",
                    "{count} of {total} pictures are not trained on: their source, or their name, keeps them for a "
                    "test (split: {splits})",
                    count=count,
                    total=total,
                    splits=", ".join(HELD_OUT),
                ),
                stacklevel=2,
            )

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """latents (B, C, h, w), scaled; input_ids (B, L); concepts (B,): pictures of one caption are no negatives."""
        rng = random.Random(f"{self.seed}/{self.stage.name}/{step}")
        size = self.stage.train_batch_size
        found, texts, concepts = [], [], []
        for position in range(step * size, (step + 1) * size):
            shard, row = self.place(position)
            record = self._records(shard)[row]
            found.append(np.load(self.paths[shard], mmap_mode="r")[row])
            concepts.append(int.from_bytes(hashlib.sha256(record.captions[0].encode()).digest()[:7]))
            texts.append("" if rng.random() < self.dropout else record.caption(rng))
        latents = torch.from_numpy(np.stack(found)).float() * self.scaling_factor
        return latents, torch.tensor([self.tokenizer.encode(text) for text in texts]), torch.tensor(concepts)

    def place(self, position: int) -> tuple[int, int]:
        """(shard, row) of the record that is shown at that place of the endless sequence."""
        epoch, within = divmod(position, self.total)
        buffers, ends = self._epoch(epoch)
        number = int(np.searchsorted(ends, within, side="right"))
        at = within - (int(ends[number - 1]) if number else 0)
        order, counted = self._order(epoch, number)
        shown = int(order[at])
        place = int(np.searchsorted(counted, shown, side="right"))
        shard = buffers[number][place]
        row = shown - (int(counted[place - 1]) if place else 0)
        return shard, int(np.searchsorted(self._repeats[shard].cumsum(), row, side="right"))

    def _planned(self, epoch: int) -> tuple[list[list[int]], NDArray[np.int64]]:
        """The buffers of an epoch, shards each, and where each ends."""
        order = [int(one) for one in np.random.default_rng((self.seed, epoch)).permutation(len(self.paths))]
        buffers = [order[first : first + BUFFER_SHARDS] for first in range(0, len(order), BUFFER_SHARDS)]
        return buffers, np.cumsum([sum(self._sizes[shard] for shard in one) for one in buffers])

    def _shuffled(self, epoch: int, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The order of a buffer's records, and where each of its shards ends."""
        counted = np.cumsum([self._sizes[shard] for shard in self._epoch(epoch)[0][number]])
        return np.random.default_rng((self.seed, epoch, number)).permutation(int(counted[-1])), counted

    def _read(self, shard: int) -> list[Record]:
        rows = self.shards.table(shard, ["key", "captions", "weights"]).to_pylist()
        return [Record(row["key"], b"", tuple(row["captions"]), tuple(row["weights"] or ())) for row in rows]


def shown(shards: Shards, index: int) -> NDArray[np.int64]:
    """How often each record of a shard is shown in an epoch; what the source keeps for a test never is."""
    names = [name for name in ("repeats", "split") if name in shards.columns(index)]
    rows = shards.table(index, ["key", *names]).to_pylist()
    counts = [0 if row.get("split") in HELD_OUT else max(1, math.floor(times(row.get("repeats")))) for row in rows]
    return np.array(counts, np.int64)
