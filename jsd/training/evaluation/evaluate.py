"""Draw prompts x seeds, ask the judge, write a report: JSON, a table, a contact sheet."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from jsd.atomic import write_json
from jsd.i18n import _
from jsd.images import save_image
from jsd.images.tensors import image_to_tensor, tensor_to_images
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.words import read_colours
from jsd.training.evaluation.colours import has_colour
from jsd.training.evaluation.drawings import Drawing, how
from jsd.training.evaluation.gallery import in_colour, painted
from jsd.training.evaluation.judge import Judge, cut_in_two
from jsd.training.evaluation.measures import measures
from jsd.training.evaluation.prompt_sets import Prompt

BATCH_SIZE = 16
# Training draws its noise from seeds that start at 0 << 32; these are pictures that no stage has drawn.
FIRST_SEED = 1_000_000
TOP_K = 5


def draw(pipeline: Pipeline, prompts: list[Prompt], seeds: int, options: SamplingOptions) -> list[Drawing]:
    """Every prompt with so many seeds of its own. The model is measured, not the safety checker that it may have."""
    options = replace(options, upscale=1, long_prompt="truncate", disable_safety_checker=True)
    requests = [
        (prompt, replace(options, prompt=prompt.text, seed=FIRST_SEED + number * seeds + k))
        for number, prompt in enumerate(prompts)
        for k in range(seeds)
    ]
    drawings = []
    for first in tqdm(range(0, len(requests), BATCH_SIZE), desc=_("drawing")):
        batch = requests[first : first + BATCH_SIZE]
        for (prompt, _options), drawn in zip(batch, pipeline.generate([one[1] for one in batch]), strict=True):
            drawings.append(Drawing(prompt, drawn.seed, np.asarray(drawn.image)))
    return drawings


def ranks(
    corpus: Corpus, judge: Judge, drawings: list[Drawing], coloured: Mapping[str | None, tuple[Corpus, Judge]] = {}
) -> np.ndarray:
    """(N,) the rank, from 0, of the first right concept; each concept is as near as its nearest picture.

    Where the prompt names a style, the nearest picture of that concept must have it; otherwise the rank is the last.
    Where it names a colour, `coloured[colour]` judges.
    """
    found = np.empty(len(drawings), dtype=np.int64)
    for colour in dict.fromkeys(drawing.prompt.colour for drawing in drawings):
        gallery, judge_of_it = coloured.get(colour, (corpus, judge))
        chosen = [number for number, drawing in enumerate(drawings) if drawing.prompt.colour == colour]
        distances = judge_of_it.distances(np.stack([drawings[number].picture for number in chosen]))  # (n, G)
        for number, row in zip(chosen, distances, strict=True):
            prompt = drawings[number].prompt
            found[number] = (
                _rank(gallery, row, prompt.right, prompt.style)
                if prompt.second is None
                else _rank_of_two(corpus, judge, drawings[number])
            )
    return found


def _rank(corpus: Corpus, distances: np.ndarray, right: frozenset[str], style: str | None) -> int:
    """distances (G,) to the gallery."""
    seen: dict[str, None] = {}
    for index in np.argsort(distances):
        record = corpus.records[index]
        seen.setdefault(record.code)
        if record.code in right:
            return len(corpus.concepts) if style not in (None, record.style) else len(seen) - 1
    return len(corpus.concepts)


def _rank_of_two(corpus: Corpus, judge: Judge, drawing: Drawing) -> int:
    """The worse rank of both things, each in its half; of the best way to halve the picture and to assign them."""
    one, other = drawing.prompt.right, drawing.prompt.second
    assert other is not None
    ways = []
    for halves in cut_in_two(drawing.picture):
        first, second = judge.distances(np.stack(halves))
        ways += [
            max(_rank(corpus, first, a, None), _rank(corpus, second, b, None)) for a, b in ((one, other), (other, one))
        ]
    return min(ways)


def accuracy(drawings: list[Drawing], found: np.ndarray) -> dict[str, dict[str, float]]:
    """group -> top-1 and top-5 in percent, the number of drawings, and in how many percent the colour asked is seen."""
    table = {}
    for group in dict.fromkeys(drawing.prompt.group for drawing in drawings):
        chosen = [number for number, drawing in enumerate(drawings) if drawing.prompt.group == group]
        of_group = found[chosen]
        table[group] = {
            "top1": round(100 * float((of_group == 0).mean()), 1),
            "top5": round(100 * float((of_group < TOP_K).mean()), 1),
            "drawings": len(of_group),
        }
        coloured = [
            has_colour(drawings[number].picture, colour)
            for number in chosen
            if (colour := drawings[number].prompt.colour) is not None
        ]
        if coloured:
            table[group]["colour"] = round(100 * float(np.mean(coloured)), 1)
    return table


def by_style(drawings: list[Drawing], found: np.ndarray) -> dict[str, dict[str, float]]:
    """style -> as in `accuracy`, of the drawings whose prompt names one."""
    styled = [
        (replace(drawing, prompt=replace(drawing.prompt, group=drawing.prompt.style)), rank)
        for drawing, rank in zip(drawings, found, strict=True)
        if drawing.prompt.style is not None
    ]
    return accuracy([drawing for drawing, rank in styled], np.array([rank for drawing, rank in styled]))


def mismatched(drawings: list[Drawing]) -> list[Drawing]:
    """Each drawing with another prompt of its group: what the judge says by chance."""
    return [
        Drawing(other.prompt, drawing.seed, drawing.picture)
        for group in dict.fromkeys(d.prompt.group for d in drawings)
        for same in [[d for d in drawings if d.prompt.group == group]]
        # Past the other seeds of the same prompt.
        for drawing, other in zip(same, same[len(same) // 2 :] + same[: len(same) // 2], strict=True)
        if other.prompt != drawing.prompt
    ]


def evaluate(
    pipeline: Pipeline,
    corpus: Corpus,
    prompts: list[Prompt],
    *,
    of: dict[str, str],  # where the prompts are from, for the report
    seeds: int,
    options: SamplingOptions,
    output: Path,
) -> dict[str, object]:
    """Write report.json and contact_sheet.png into `output`; returns the report."""
    drawings = draw(pipeline, prompts, seeds, options)
    judge = Judge.fit(np.asarray(corpus.pictures))
    colours = read_colours()
    coloured: dict[str | None, tuple[Corpus, Judge]] = {
        name: in_colour(corpus, judge, colours[name])
        for name in dict.fromkeys(prompt.colour for prompt in prompts)
        if name is not None
    }
    found = ranks(corpus, judge, drawings, coloured)
    shuffled = mismatched(drawings)
    right = _references(pipeline, corpus, drawings)
    references = [replace(drawing, picture=picture) for drawing, picture in zip(drawings, right, strict=True)]
    report: dict[str, object] = {
        "model": None if pipeline.folder is None else os.path.relpath(pipeline.folder),
        "model_sha256": pipeline.provenance.get("model_sha256"),  # a folder that is trained on keeps its name
        **of,
        "seeds": seeds,
        **how(pipeline, options),
        "gallery": {"pictures": len(corpus.records), "concepts": len(corpus.concepts)},
        "accuracy": accuracy(drawings, found),
        "styles": by_style(drawings, found),
        "chance": accuracy(shuffled, ranks(corpus, judge, shuffled, coloured)),
        "ceiling": accuracy(references, ranks(corpus, judge, references, coloured)),
        **measures(corpus, drawings),
        "drawings": [
            {"group": d.prompt.group, "prompt": d.prompt.text, "seed": d.seed, "rank": int(rank)}
            for d, rank in zip(drawings, found, strict=True)
        ],
    }
    output.mkdir(parents=True, exist_ok=True)
    save_image(contact_sheet(corpus, drawings, found), output / "contact_sheet.png")
    write_json(output / "report.json", report)
    return report


def _references(pipeline: Pipeline, corpus: Corpus, drawings: list[Drawing]) -> Iterator[np.ndarray]:
    """For each drawing what would be right, through the VAE: a picture of the corpus, in the colour that is asked for
    if it takes it, or two side by side."""
    colours = read_colours()
    for drawing in drawings:
        picture = _right(corpus, drawing.prompt.right, drawing.prompt.style)
        if drawing.prompt.colour is not None:
            in_it = painted(picture, colours[drawing.prompt.colour])
            picture = picture if in_it is None else in_it
        if drawing.prompt.second is not None:
            picture = _side_by_side(picture, _right(corpus, drawing.prompt.second, None))
        size = (drawing.picture.shape[1], drawing.picture.shape[0])
        pixel_values = image_to_tensor(Image.fromarray(picture).resize(size))
        (image,) = tensor_to_images(pipeline.decode_latents(pipeline.encode_image(pixel_values)))
        yield np.asarray(image)


def _right(corpus: Corpus, codes: frozenset[str], style: str | None) -> np.ndarray:
    found = next(record for record in corpus.records if record.code in codes and style in (None, record.style))
    return np.array(corpus.pictures[found.index])


def _side_by_side(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    height, width = one.shape[:2]
    both = Image.new("RGB", (width, height), "white")
    for number, picture in enumerate((one, other)):
        small = Image.fromarray(picture).resize((width // 2, height // 2), Image.Resampling.LANCZOS)
        both.paste(small, (number * width // 2, height // 4))
    return np.asarray(both)


def contact_sheet(
    corpus: Corpus, drawings: list[Drawing], found: np.ndarray, per_group: int = 24, columns: int = 8
) -> Image.Image:
    """The first drawings of each group over a small picture of what is right, framed green (top-5) or red."""
    groups = dict.fromkeys(drawing.prompt.group for drawing in drawings)
    cells = [cell for group in groups for cell in _cells(corpus, drawings, found, group, per_group)]
    size = cells[0].width
    sheet = Image.new("RGB", (columns * size, -(-len(cells) // columns) * cells[0].height), "white")
    for number, cell in enumerate(cells):
        sheet.paste(cell, (number % columns * size, number // columns * cell.height))
    return sheet


def _cells(
    corpus: Corpus, drawings: list[Drawing], found: np.ndarray, group: str, per_group: int
) -> Iterator[Image.Image]:
    of_group = [(d, rank) for d, rank in zip(drawings, found, strict=True) if d.prompt.group == group]
    for drawing, rank in of_group[:: max(1, len(of_group) // per_group)][:per_group]:
        right = _right(corpus, drawing.prompt.right, drawing.prompt.style)
        size = drawing.picture.shape[1]
        cell = Image.fromarray(drawing.picture)
        cell.paste(Image.fromarray(right).resize((size // 3, size // 3)), (0, 0))
        ImageDraw.Draw(cell).rectangle((0, 0, size - 1, size - 1), outline="green" if rank < TOP_K else "red", width=2)
        yield cell
