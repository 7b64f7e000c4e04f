"""The filter: how well each picture and its caption go together, and which of them stay.

rinna's corpus was "filtered by Japanese CLIP" (model card of rinna/japanese-stable-diffusion). A score is the cosine of
a picture and its captions, in proportion to their weights; beside it stands that of the picture and another record's
caption, so that true and shuffled pairs can be told apart by a threshold that the corpus itself gives.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from jsd.devices import choose_placement
from jsd.errors import InvalidInputError, first_line
from jsd.i18n import N_, _
from jsd.models.folder import ModelFolder
from jsd.safety import find_checker
from jsd.scoring import Scorer, load_scorer
from jsd.training.corpora.arrow import import_arrow
from jsd.training.corpora.records import Noted, Record
from jsd.training.corpora.shards import Shards

BATCH_SIZE = 32
HASH_PX, HASH_SIDE = 32, 8
BANDS = 4  # of 16 bits: hashes that differ in fewer bits than bands agree in one
NEAR_BITS = BANDS - 1
BELOW, UNSAFE, NEAR = N_("caption does not fit"), N_("unsafe"), N_("near duplicate")
BINS, PLOT = 60, (720, 360)
TRUE, SHUFFLED = (46, 110, 190), (220, 120, 40)


@dataclass(frozen=True)
class ScoreTask:
    """A shard -> a parquet file: key, similarity, shuffled, phash, safety (null without a checker), shard."""

    shards: Shards
    scorer: Path | None
    checker: Path | None  # a model folder that has one
    device: str | None  # None: the fastest where the work is done

    def start(self) -> Callable[[int], bytes]:
        device = choose_placement(self.device).device
        scorer = load_scorer(self.scorer, device)
        checker = None if self.checker is None else find_checker(ModelFolder(self.checker), device)

        def score(index: int) -> bytes:
            arrow, parquet = import_arrow()
            records = list(self.shards.records(index))
            captions = _Captions(scorer, records)
            columns: dict[str, list[Any]] = {name: [] for name in ("similarity", "shuffled", "phash", "safety")}
            for first in range(0, len(records), BATCH_SIZE):
                some = records[first : first + BATCH_SIZE]
                images = [self.shards.image(index, one.key, one.image) for one in some]
                features = scorer.image_features(images)  # (B, D)
                for row, (image, one) in enumerate(zip(images, features, strict=True), start=first):
                    columns["similarity"].append(captions.similarity(row, one))
                    columns["shuffled"].append(captions.similarity(captions.other[row], one))
                    columns["phash"].append(perceptual_hash(image))
                    columns["safety"].append(None if checker is None else checker.judge(image).score)
            types = {"phash": arrow.uint64()}
            table = arrow.table(
                {"key": arrow.array([one.key for one in records], arrow.string())}
                | {name: arrow.array(some, types.get(name, arrow.float32())) for name, some in columns.items()}
                | {"shard": arrow.array([index] * len(records), arrow.int32())}
            )
            file = io.BytesIO()
            parquet.write_table(table, file)
            return file.getvalue()

        return score


class _Captions:
    """The captions of a shard's records as vectors, and for each record another one whose captions are others."""

    def __init__(self, scorer: Scorer, records: Sequence[Record]) -> None:
        self.texts = [one.captions for one in records]
        self.weights = [one.weights or (1.0,) * len(one.captions) for one in records]
        distinct = list(dict.fromkeys(text for some in self.texts for text in some))
        parts = [
            scorer.text_features(distinct[first : first + BATCH_SIZE]) for first in range(0, len(distinct), BATCH_SIZE)
        ]
        self.features = dict(zip(distinct, torch.cat(parts), strict=True)) if parts else {}
        order = np.random.default_rng(0).permutation(len(records))
        self.other = {int(row): self._another(order, place) for place, row in enumerate(order)}

    def _another(self, order: NDArray[np.int64], place: int) -> int:
        own = set(self.texts[order[place]])
        for step in range(1, len(order)):
            row = int(order[(place + step) % len(order)])
            if own.isdisjoint(self.texts[row]):
                return row
        return int(order[place])

    def similarity(self, row: int, picture: torch.Tensor) -> float:
        cosines = [float(picture @ self.features[text]) for text in self.texts[row]]
        return float(np.average(cosines, weights=self.weights[row]))


@lru_cache
def _cosines() -> NDArray[np.float64]:
    """(8, 32): the lowest rows of the discrete cosine transform."""
    at = np.arange(HASH_PX)
    table: NDArray[np.float64] = np.cos(np.pi / HASH_PX * (at[None] + 0.5) * np.arange(HASH_SIDE)[:, None])
    return table


def perceptual_hash(image: Image.Image) -> int:
    """64 bits: which of the lowest 8x8 frequencies of the luminance lie above their median (pHash, Zauner 2010).

    A plain picture has none of them: its bits are a digest of its colour.
    """
    grey = np.asarray(image.convert("L").resize((HASH_PX, HASH_PX), Image.Resampling.BOX), float)
    low = np.round(_cosines() @ grey @ _cosines().T, 3).ravel()  # zero is zero on every CPU
    if not low[1:].any():
        return int.from_bytes(hashlib.sha256(image.convert("RGB").resize((1, 1)).tobytes()).digest()[:8])
    return int("".join("01"[int(value > np.median(low))] for value in low), 2)


def near_duplicates(hashes: Sequence[int], similarities: Sequence[float]) -> dict[int, int]:
    """row -> the row that stays, of those whose hashes differ in at most three bits: the best fitting one."""
    kept: dict[tuple[int, int], list[int]] = {}
    found: dict[int, int] = {}
    for row in sorted(range(len(hashes)), key=lambda row: -similarities[row]):
        bands = [(band, hashes[row] >> (16 * band) & 0xFFFF) for band in range(BANDS)]
        near = (other for band in bands for other in kept.get(band, ()))
        first = next((other for other in near if (hashes[row] ^ hashes[other]).bit_count() <= NEAR_BITS), None)
        if first is not None:
            found[row] = first
            continue
        for band in bands:
            kept.setdefault(band, []).append(row)
    return found


def choose_threshold(similarity: NDArray[np.float64], shuffled: NDArray[np.float64]) -> float:
    """Where the share of true pairs above is largest against that of shuffled ones (Youden's J)."""
    values = np.sort(np.concatenate([similarity, shuffled]))
    steps = (values[1:] + values[:-1]) / 2
    above = [1 - np.searchsorted(np.sort(one), steps) / len(one) for one in (similarity, shuffled)]
    return float(steps[np.argmax(above[0] - above[1])]) if len(steps) else float("-inf")


def area_under_curve(right: NDArray[np.float64], wrong: NDArray[np.float64]) -> float:
    """How often a right pair scores above a wrong one: the ROC's AUC (Mann and Whitney), ties count half."""
    order = np.sort(wrong)
    below, upto = (np.searchsorted(order, right, side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(wrong))


def read_scores(path: Path, shards: Shards) -> Any:
    """The table of `jsd data score`, or of anybody, a row for each record in the order of the shards."""
    arrow, parquet = import_arrow()
    try:
        table = parquet.read_table(path)
    except (OSError, arrow.ArrowException) as error:
        reason = first_line(error) if path.is_file() else _("there is no such file")
        raise _wrong_scores(path, reason) from error
    lacking = {"key", "similarity"} - set(table.column_names)
    if lacking:
        raise _wrong_scores(path, f"no column {', '.join(sorted(lacking))}")
    rows = {key: row for row, key in enumerate(table["key"].to_pylist())}
    keys = [key for index in range(len(shards.counts)) for key in shards.table(index, ["key"])["key"].to_pylist()]
    without = [key for key in keys if key not in rows]
    if without:
        raise _wrong_scores(path, f"{len(without)}: {', '.join(without[:3])}")
    return table.take([rows[key] for key in keys])


def _wrong_scores(path: Path, reason: str) -> InvalidInputError:
    return InvalidInputError(
        "scores.wrong",
        "{field} must be a parquet file with the columns key and similarity and a row for each picture, and {value} is "
        "none: {reason}; run: jsd data score",
        field="scores",
        value=path,
        reason=reason,
    )


def judge(table: Any, threshold: float, max_safety: float, drop_near: bool) -> dict[int, Noted]:
    """row -> why it is left out."""
    keys, similarity = table["key"].to_pylist(), table["similarity"].to_numpy().astype(float).tolist()
    out = {
        row: Noted(keys[row], BELOW, f"{value:.4f}") for row, value in enumerate(similarity) if not value >= threshold
    }
    if "safety" in table.column_names:
        scores = table["safety"].to_pylist()
        unsafe = [row for row, score in enumerate(scores) if score is not None and score > max_safety]
        out.update({row: Noted(keys[row], UNSAFE, f"{scores[row]:g}") for row in unsafe if row not in out})
    if drop_near and "phash" in table.column_names:
        left = [row for row in range(len(keys)) if row not in out]
        hashes = table["phash"].to_pylist()
        near = near_duplicates([hashes[row] for row in left], [similarity[row] for row in left])
        out.update({left[row]: Noted(keys[left[row]], NEAR, keys[left[other]]) for row, other in near.items()})
    return out


@dataclass(frozen=True)
class FilterTask:
    """A shard -> the same with the rows that stay, a parquet file again."""

    shards: Shards
    kept: tuple[NDArray[np.int64], ...]  # rows of each shard

    def start(self) -> Callable[[int], bytes]:
        def keep(index: int) -> bytes:
            _, parquet = import_arrow()
            file = io.BytesIO()
            parquet.write_table(self.shards.table(index).take(self.kept[index]), file, row_group_size=100)
            return file.getvalue()

        return keep


def draw_histogram(similarity: NDArray[np.float64], shuffled: NDArray[np.float64], threshold: float) -> Image.Image:
    """True pairs in blue, shuffled ones in orange, the threshold as a line."""
    width, height = PLOT
    image = Image.new("RGB", PLOT, "white")
    draw = ImageDraw.Draw(image, "RGBA")
    similarity, shuffled = (one[np.isfinite(one)] for one in (similarity, shuffled))
    both = np.concatenate([similarity, shuffled])
    low, high = (float(both.min()), float(both.max()) + 1e-6) if len(both) > 0 else (0.0, 1.0)
    left, right, bottom = 30, width - 30, height - 40

    def at(value: float) -> float:
        return left + (right - left) * (value - low) / (high - low)

    counts = [np.histogram(one, BINS, (low, high))[0] / max(1, len(one)) for one in (similarity, shuffled)]
    top = max(float(one.max()) for one in counts) or 1.0
    edges = np.linspace(low, high, BINS + 1)
    for shares, colour in zip(counts, (TRUE, SHUFFLED), strict=True):
        for share, start, end in zip(shares, edges[:-1], edges[1:], strict=True):
            draw.rectangle((at(start), bottom - (bottom - 40) * share / top, at(end) - 1, bottom), (*colour, 140))
    draw.line((left, bottom, right, bottom), "black")
    if low <= threshold <= high:
        draw.line((at(threshold), 30, at(threshold), bottom), (200, 0, 0), 2)
    draw.text((left, 8), f"true pairs ({len(similarity)})", TRUE)
    draw.text((left + 200, 8), f"shuffled pairs ({len(shuffled)})", SHUFFLED)
    draw.text((left + 420, 8), f"threshold {threshold:.4f}", (200, 0, 0))
    for value in np.linspace(low, high, 5):
        draw.text((at(float(value)) - 12, bottom + 8), f"{value:.2f}", "black")
    return image
