"""Best of several: more pictures are drawn than were asked for; a scorer (`jsd.scoring`) says which are returned."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from jsd.errors import ModelFolderError, Note
from jsd.options import SamplingOptions
from jsd.prompting.emphasis import parse_emphasis
from jsd.prompting.negative import split_negative
from jsd.prompting.styles import with_style

if TYPE_CHECKING:
    from jsd.job import GeneratedImage
    from jsd.scoring import Scorer


def find_scorer() -> "Scorer | None":
    """The scorer beside the models, loaded once; None where there is none."""
    from jsd.scoring import scorer_folder

    try:
        return _load(scorer_folder(None))
    except ModelFolderError as error:
        if error.code != "scorer.absent":
            raise
        return None


@lru_cache(maxsize=1)
def _load(folder: Path) -> "Scorer":
    from jsd.scoring import load_scorer

    return load_scorer(folder)


def no_scorer() -> Note:
    return Note(
        "candidates.no_scorer",
        "num_candidates has pictures chosen by a scorer, and there is none in weights/clip_ja: they are drawn as they "
        "come; jsd weights list shows what there is",
    )


def caption_of(options: SamplingOptions) -> str:
    """What a picture should show, in words: without the signs of emphasis."""
    return with_style(parse_emphasis(split_negative(options.prompt)[0]).text, options.style)


def best(
    scorer: "Scorer", pictures: Sequence["GeneratedImage"], requests: Sequence[tuple[int, SamplingOptions]]
) -> Iterator["GeneratedImage"]:
    """Of each request's pictures as many as it asked for, the best first; each says its similarity to the prompt.

    `requests`: of each picture of the batch, from which some may have been withheld.
    """
    asked = [requests[one.provenance["batch"][0]] for one in pictures]  # type: ignore[index]
    for number, request in dict(asked).items():
        own = [one for one, (other, _) in zip(pictures, asked, strict=True) if other == number]
        scores = scorer.similarity([one.image for one in own], [caption_of(request)] * len(own)).tolist()
        for i in sorted(range(len(own)), key=lambda i: -scores[i])[: request.num_outputs]:
            said = {"similarity": round(scores[i], 4), "scorer": scorer.name, "candidates": len(own)}
            yield replace(own[i], provenance={**own[i].provenance, **said})
