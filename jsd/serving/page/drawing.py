"""A request on its way to its pictures, in turn with other visitors', and what there is to tell of it meanwhile."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

from PIL import Image

from jsd.errors import Note
from jsd.job import GeneratedImage
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.preview import Preview
from jsd.safety import blank_unsafe
from jsd.serving.loras import names_alone
from jsd.serving.page.line import Line

# Between two previews: what a browser can show, and far less than what drawing costs.
PREVIEW_SECONDS = 0.2


@dataclass(frozen=True)
class Waiting:
    ahead: int  # visitors
    seconds: float | None  # None: nothing was drawn yet to tell by


@dataclass(frozen=True)
class Step:
    number: int  # 0: the drawing begins
    num_steps: int
    seconds: float | None  # still to come
    preview: Image.Image | None


@dataclass(frozen=True)
class Done:
    seeds: tuple[int, ...]  # of the pictures that came of it
    notes: tuple[Note, ...]
    seconds: float


def draw(
    pipeline: Pipeline, preview: Preview, line: Line, options: SamplingOptions
) -> Iterator[Waiting | Step | GeneratedImage | Done]:
    """Closing it, which cancelling does, stops the work and gives the place up."""
    width, height = pipeline.default_size
    if options.image is None:  # what is refused is refused before waiting
        width, height = pipeline.size_limits.fit(None, options.width, options.height)
    work = options.num_drawn * options.num_inference_steps * (options.width or width) * (options.height or height)
    with line.join(work) as place:
        while (ahead := line.ahead(place)) > 0:
            yield Waiting(ahead, line.seconds(place))
            line.wait(place)
        line.begin(place)
        began = shown_at = perf_counter()
        yield Step(0, 1, None, None)
        with names_alone():
            job = pipeline.prepare(options)
            for state in pipeline.denoise(job):
                place.done = state.step / state.num_steps
                if perf_counter() - shown_at >= PREVIEW_SECONDS:
                    shown_at = perf_counter()
                    left = (shown_at - began) * (1 - place.done) / place.done
                    shown = blank_unsafe(pipeline.safety_checker, preview.draw(state.predicted), job.options)
                    yield Step(state.step, state.num_steps, left, shown)
            seeds = []
            for picture in pipeline.finish_each(job):
                seeds.append(picture.seed)
                yield picture
        yield Done(tuple(seeds), tuple(job.notes), perf_counter() - began)
