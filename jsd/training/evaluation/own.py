"""How well a model draws the captions of somebody's own pictures, judged by a scorer of pictures and captions."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from jsd.atomic import write_text
from jsd.errors import CorpusError
from jsd.images.opening import load_image
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.scoring import Scorer
from jsd.training.corpora.records import Record
from jsd.training.corpora.shards import Shards
from jsd.training.logs import save_grid

FIRST_SEED = 3_000_000  # of no training picture, and of no other evaluation
CAPTIONS, COLUMNS = 40, 8


def evaluate_own(
    pipeline: Pipeline,
    shards: Shards,
    scorer: Scorer,
    *,
    seeds: int,
    num_inference_steps: int,
    guidance_scale: float | None,
    output: Path,
) -> dict[str, Any]:
    """Draw captions from all over the corpus; write report.json and contact_sheet.png; returns the report.

    Of the drawings and of the pictures themselves: the mean similarity to the own caption and to the others', and how
    often the own caption is the nearest of all, or of the five nearest; chance is one, or five, of their number.
    """
    records = _spaced(shards)
    texts = [one.captions[0] for one in records]
    options = SamplingOptions(
        prompt="",
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        long_prompt="truncate",
        disable_safety_checker=True,
    )
    drawn: list[Image.Image] = []
    for number, text in enumerate(texts):
        for k in range(seeds):
            one = replace(options, prompt=text, seed=FIRST_SEED + number * seeds + k)
            drawn += [picture.image for picture in pipeline.generate(one, progress=False)]
    captions = scorer.text_features(texts)  # (N, D)
    pictures = scorer.image_features([load_image(one.image) for one in records])
    report = {
        "corpus": str(shards.folder),
        "model_sha256": pipeline.provenance.get("model_sha256"),
        "scorer": scorer.name,
        "captions": len(texts),
        "seeds": seeds,
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "drawings": _found(scorer.image_features(drawn) @ captions.T, seeds),
        "pictures": _found(pictures @ captions.T, 1),
    }
    output.mkdir(parents=True, exist_ok=True)
    save_grid(drawn[:: max(1, seeds)], output / "contact_sheet.png", COLUMNS)
    write_text(output / "report.json", json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return report


def _spaced(shards: Shards) -> list[Record]:
    """One of each caption, from all over."""
    wanted = {number * len(shards) // CAPTIONS for number in range(CAPTIONS)}
    found: dict[str, Record] = {}
    first = 0
    for index, count in enumerate(shards.counts):
        if any(first <= number < first + count for number in wanted):
            for row, record in enumerate(shards.records(index)):
                if first + row in wanted:
                    found.setdefault(record.captions[0], record)
        first += count
    if len(found) < 2:
        raise CorpusError(
            "evaluate.captions",
            "{folder} must have pictures with two captions at least, to tell them apart, and has {count}; import more",
            folder=shards.folder,
            count=len(found),
        )
    return list(found.values())


def _found(similarity: Tensor, seeds: int) -> dict[str, float]:
    """(N * seeds, N) -> of each row's own caption."""
    rows = [number // seeds for number in range(len(similarity))]
    own = similarity[range(len(rows)), rows]  # (N * seeds,)
    places = (similarity > own[:, None]).sum(dim=1)
    others = (similarity.sum() - own.sum()) / (similarity.numel() - len(own))
    return {
        "similarity": round(float(own.mean()), 4),
        "to_other_captions": round(float(others), 4),
        "top1": round(100 * float((places < 1).float().mean()), 1),
        "top5": round(100 * float((places < 5).float().mean()), 1),
    }
