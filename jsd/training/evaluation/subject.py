"""What a LoRA file has learnt, and what it has left alone: drawings with it and without it, by the same seeds, of the
prompts as they stand (`jsd.prompting.designs`)."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jsd.atomic import write_json
from jsd.models.lora import lora_digest
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.prompting.designs import without_designs
from jsd.rules import split_weight
from jsd.training.corpora.records import Picture
from jsd.training.evaluation.drawings import how
from jsd.training.evaluation.judge import Judge
from jsd.training.evaluation.own import draw_texts
from jsd.training.logs import save_grid

FIRST_SEED = 2_000_000  # of no training picture, and of no other evaluation
COLUMNS = 8


def evaluate_lora(
    pipeline: Pipeline,
    lora: str,
    own: list[Picture],
    texts: list[str],  # that call the subject
    others: list[str],  # that must draw what they drew
    *,
    seeds: int,
    options: SamplingOptions,
    output: Path,
) -> dict[str, object]:
    """Write report.json and contact_sheet.png (without, then with) into `output`; returns the report.

    `subject`: the mean distance of a drawing to the nearest of its pictures, in the judge's features; of the pictures
    themselves that to the nearest other one. `others`: of each drawing to the one without the file by the same seed,
    over that between two prompts without the file: 0 is untouched, 1 is as far as another prompt's; and how near to
    the subject's pictures they came.
    """
    options = replace(options, upscale=1, long_prompt="truncate", disable_safety_checker=True)
    both = (("without", replace(options, loras=())), ("with", replace(options, loras=(lora,))))
    with without_designs(pipeline.tokenizer):
        asked = how(pipeline, options)
        subject, other = (
            {name: _stacked(draw_texts(pipeline, one, said, seeds, FIRST_SEED)) for name, one in both}
            for said in (texts, others)
        )
    size = pipeline.default_size
    pictures = np.stack([np.asarray(ImageOps.fit(one.image, size, Image.Resampling.LANCZOS)) for one in own])
    judge = Judge.fit(np.concatenate([pictures, other["without"]]))
    count = len(pictures)

    def nearest(drawn: np.ndarray) -> float:
        return round(float(judge.distances(drawn)[:, :count].min(axis=1).mean()), 3)

    between = judge.distances(pictures)[:, :count] + np.diag(np.full(count, np.inf))
    per_prompt = _moved(judge.distances(other["with"])[:, count:], judge.distances(other["without"])[:, count:], seeds)
    report: dict[str, object] = {
        "lora": Path(split_weight(lora)[0]).name,
        "lora_sha256": lora_digest(Path(split_weight(lora)[0])),
        "model_sha256": pipeline.provenance.get("model_sha256"),
        "seeds": seeds,
        **asked,
        "subject": {
            "without": nearest(subject["without"]),
            "with": nearest(subject["with"]),
            "its_pictures": round(float(between.min(axis=1).mean()), 3) if count > 1 else None,
        },
        "others": {
            "moved": round(float(per_prompt.mean()), 3),
            "to_subject_without": nearest(other["without"]),
            "to_subject_with": nearest(other["with"]),
            "each": {prompt: round(float(one), 3) for prompt, one in zip(others, per_prompt, strict=True)},
        },
    }
    output.mkdir(parents=True, exist_ok=True)
    rows = [*_rows(pictures), *_rows(subject["without"], subject["with"]), *_rows(other["without"], other["with"])]
    save_grid(rows, output / "contact_sheet.png", COLUMNS)
    write_json(output / "report.json", report)
    return report


def _stacked(drawn: Iterable[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(one) for one in drawn])


def _moved(of_with: np.ndarray, of_without: np.ndarray, seeds: int) -> np.ndarray:
    """Distances (N * seeds, N * seeds) to the drawings without the file -> (N), each prompt's own drawings' to them."""
    num = len(of_without) // seeds
    between = of_without.reshape(num, seeds, num, seeds).mean(axis=(1, 3))[~np.eye(num, dtype=bool)].mean()
    moved: np.ndarray = np.diag(of_with).reshape(num, seeds).mean(axis=1) / between
    return moved


def _rows(*groups: np.ndarray) -> list[Image.Image]:
    """So many of each group as a line of the sheet holds, one line below the other."""
    empty = [np.full_like(groups[0][0], 255)] * COLUMNS
    return [Image.fromarray(one) for group in groups for one in [*group[:COLUMNS], *empty][:COLUMNS]]
