"""How well a model draws the captions of somebody's own pictures, judged by a scorer of pictures and captions."""

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from jsd.atomic import write_json
from jsd.batch.rows import read_text
from jsd.errors import CorpusError, InvalidInputError, Note
from jsd.i18n import _
from jsd.images.opening import load_image
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.prompting.emphasis import parse_emphasis, without_emphasis
from jsd.scoring import Scorer
from jsd.training.corpora.records import Record
from jsd.training.corpora.shards import Shards
from jsd.training.evaluation.drawings import how
from jsd.training.logs import save_grid
from jsd.training.streaming import shown

FIRST_SEED = 3_000_000  # of no training picture, and of no other evaluation
CAPTIONS, COLUMNS, SHOWN_PX = 40, 8, 128
EVERY = "all"  # of prompts in no group, and of all groups together
_LINE = re.compile(r"(?:(?P<group>\w+): )?(?P<text>[^\t]+?)(?: = [^\t]*)?(?:\t.*)?")


def evaluate_own(
    pipeline: Pipeline, shards: Shards, scorer: Scorer, *, seeds: int, options: SamplingOptions, output: Path
) -> dict[str, Any]:
    """Draw captions from all over the corpus; write report.json and contact_sheet.png; returns the report.

    Of the drawings and of the pictures themselves: the mean similarity to the own caption and to the others', and how
    often the own caption is the nearest of all, or of the five nearest; chance is one, or five, of their number.
    """
    records = _spaced(shards)
    texts = [one.captions[0] for one in records]
    drawn = list(draw_texts(pipeline, options, list(map(without_emphasis, texts)), seeds))
    captions = scorer.text_features(texts)  # (N, D)
    rows = [number // seeds for number in range(len(drawn))]
    pictures = scorer.image_features([load_image(one.image) for one in records])
    report = {
        "corpus": str(shards.folder),
        "model_sha256": pipeline.provenance.get("model_sha256"),
        "scorer": scorer.name,
        "captions": len(texts),
        "seeds": seeds,
        **how(pipeline, options),
        "drawings": _found(scorer.image_features(drawn) @ captions.T, rows),
        "pictures": _found(pictures @ captions.T, range(len(records))),
    }
    output.mkdir(parents=True, exist_ok=True)
    save_grid(drawn[:: max(1, seeds)], output / "contact_sheet.png", COLUMNS)
    write_json(output / "report.json", report)
    return report


def _spaced(shards: Shards) -> list[Record]:
    """One of each caption, from all over; of those that no training shows where there are any."""
    rows = {index: np.flatnonzero(shown(shards, index) == 0) for index in shards.filled}
    if not any(map(len, rows.values())):
        rows = {index: np.arange(shards.counts[index]) for index in shards.filled}
    total, first = sum(map(len, rows.values())), 0
    wanted = {number * total // CAPTIONS for number in range(CAPTIONS)}
    found: dict[str, Record] = {}
    for index, own in rows.items():
        here = {int(own[number - first]) for number in wanted if first <= number < first + len(own)}
        first += len(own)
        for row, record in enumerate(shards.records(index) if here else ()):
            if row in here:
                found.setdefault(record.captions[0], record)
    if len(found) < 2:
        raise CorpusError(
            "evaluate.captions",
            "{folder} must have pictures with two captions at least, to tell them apart, and has {count}; import more",
            folder=shards.folder,
            count=len(found),
        )
    return list(found.values())


def read_texts(path: Path) -> list[tuple[str, str]]:
    """(group, prompt) of each line: «prompt», or as `prompt_sets` has them; # begins a comment."""
    found = []
    for number, line in enumerate(map(str.rstrip, read_text(path, "prompts").splitlines()), start=1):
        said = _LINE.fullmatch(line)
        if said is not None and not line.startswith("#"):
            text = said["text"].strip()
            try:  # before hours of drawing
                parse_emphasis(SamplingOptions(prompt=text).prompt)
            except InvalidInputError as error:
                raise InvalidInputError(
                    "evaluate.line",
                    "{field} must be a file of prompts that can be drawn, and line {line} of {value} cannot: {reason}",
                    field="prompts",
                    line=number,
                    value=path,
                    reason=str(error),
                ) from error
            found.append((said["group"] or EVERY, text))
    texts = {text for _, text in found}
    if len(texts) < 2:
        raise InvalidInputError(
            "evaluate.prompts",
            "{field} must be a file of two different prompts at least, a line each, and {value} has {count}; add some",
            field="prompts",
            value=path,
            count=len(texts),
        )
    return found


def evaluate_prompts(
    pipeline: Pipeline,
    prompts: list[tuple[str, str]],
    scorer: Scorer,
    *,
    of: str,
    seeds: int,
    options: SamplingOptions,
    output: Path,
) -> dict[str, Any]:
    """Draw (group, prompt)s, ask of each drawing how near it is to its own prompt and to all others of the file; write
    report.json and contact_sheet.png; returns the report. No corpus is needed."""
    texts = list(dict.fromkeys(text for _, text in prompts))
    features = scorer.text_features(texts)  # (N, D)
    shown, seen = [], []
    for image in draw_texts(pipeline, options, [prompt[1] for prompt in prompts], seeds):
        seen.append(scorer.image_features([image]))
        shown.append(image.resize((SHOWN_PX, SHOWN_PX)))
    similarity = torch.cat(seen) @ features.T  # (P * seeds, N)
    rows = [texts.index(text) for _, text in prompts for _ in range(seeds)]
    groups = [group for group, _ in prompts for _ in range(seeds)]
    found = {}
    for group in dict.fromkeys([EVERY, *groups]):
        own = [number for number, one in enumerate(groups) if group in (EVERY, one)]
        found[group] = {**_found(similarity[own], [rows[number] for number in own]), "drawings": len(own)}
    report = {
        "prompts": of,
        "model_sha256": pipeline.provenance.get("model_sha256"),
        "scorer": scorer.name,
        "different_prompts": len(texts),
        "seeds": seeds,
        **how(pipeline, options),
        "groups": found,
    }
    output.mkdir(parents=True, exist_ok=True)
    save_grid(shown[:: max(1, seeds)], output / "contact_sheet.png", COLUMNS)
    write_json(output / "report.json", report)
    return report


def draw_texts(
    pipeline: Pipeline, options: SamplingOptions, texts: Sequence[str], seeds: int, first_seed: int = FIRST_SEED
) -> Iterator[Image.Image]:
    """The seeds of a text one after the other. The model is measured, not the safety checker that it may have."""
    options = replace(options, long_prompt="truncate", disable_safety_checker=True)
    for number, text in enumerate(tqdm(texts, desc=_("drawing"))):
        for k in range(seeds):
            one = replace(options, prompt=text, seed=first_seed + number * seeds + k)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Note)
                drawn = pipeline.generate(one, progress=False)
            yield from (picture.image for picture in drawn)


def _found(similarity: Tensor, rows: Sequence[int]) -> dict[str, float]:
    """similarity (D, N) of drawings to texts; `rows`: the number of each drawing's own text."""
    own = similarity[range(len(rows)), rows]  # (D,)
    places = (similarity >= own[:, None]).sum(dim=1) - 1  # a scorer to which all texts are one has found nothing
    others = (similarity.sum() - own.sum()) / (similarity.numel() - len(own))
    return {
        "similarity": round(float(own.mean()), 4),
        "to_other_captions": round(float(others), 4),
        "top1": round(100 * float((places < 1).float().mean()), 1),
        "top5": round(100 * float((places < 5).float().mean()), 1),
    }
