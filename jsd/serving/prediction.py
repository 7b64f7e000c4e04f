"""What happens between Cog's inputs and Cog's files: a model held ready, and one prediction after the other."""

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from cog import CancelationException
from PIL import Image
from tqdm import tqdm

from jsd.devices import device_of_environment, unusable_gpu
from jsd.errors import InvalidInputError, JsdError, UnsafeImagesError
from jsd.images.tensors import tensor_to_images
from jsd.job import GeneratedImage, Job
from jsd.lean import load_alone
from jsd.models.fetch import fetch_if_asked
from jsd.models.folder import choose_folder
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.preview import load_preview
from jsd.safety import blank_unsafe, safety_status
from jsd.serving.loras import names_alone
from jsd.serving.pictures import picture_folder, save_picture, sweep
from jsd.serving.settings import NOTES, max_cost

# Of the model that drew: what its licence asks to be passed on.
MODEL_METRICS = ("model_sha256", "licence", "licence_url", "use_restrictions")


RecordMetric = Callable[[str, object], None]


class _Unlocked:
    """For tqdm: Cog raises a cancel anywhere, runs each prediction in another thread, and a lock would stay taken."""

    def acquire(self, *_: object, **__: object) -> bool:
        return True

    def release(self) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class _Bar(tqdm):  # type: ignore[misc]
    monitor_interval = 0  # a thread of its own


_Bar.set_lock(_Unlocked())


class Service:
    """The files of a prediction live until the next one begins: Cog reads the last after `draw` has ended."""

    def __init__(self, pipeline: Pipeline, bound: float | None = None) -> None:
        """`bound`: the most that a request may cost, as `jsd.serving.settings` counts."""
        self.pipeline = pipeline
        self.bound = bound
        self.preview = load_preview(pipeline)
        self.files = picture_folder()

    @classmethod
    def load(cls) -> "Service":
        """The chosen model folder (see `choose_folder`), warm: the first prediction waits for nothing."""
        bound = max_cost()
        idle = None if device_of_environment() is not None else unusable_gpu()
        if idle is not None:  # a service that took the CPU would time out, request by request
            raise JsdError(idle.code, idle.sentence, **idle.params)
        fetch_if_asked()
        folder = choose_folder()
        pipeline = load_alone(folder)
        service = cls(pipeline, bound)
        service.warm_up()
        print(*pipeline.introduction(folder.reason), sep="\n")
        # What is there now stays: without a look at each object of torch's the worker ends in a second, not in four.
        gc.collect()
        gc.freeze()
        return service

    def warm_up(self) -> None:
        """One step at the model's own size, its picture decoded and judged, the files of the folder hashed."""
        job = self.pipeline.prepare(SamplingOptions(prompt="", num_inference_steps=1, seed=0))
        for state in self.pipeline.denoise(job):
            self.preview.draw(state.predicted)
        (picture,) = tensor_to_images(self.pipeline.decode_latents(job.latents))
        if self.pipeline.safety_checker is not None:
            self.pipeline.safety_checker.judge(picture)
        _ = self.pipeline.provenance

    def is_healthy(self) -> bool:
        """Whether the device computes: after a fault, CUDA gives nothing but errors until the process ends."""
        try:
            return bool(torch.ones(1, device=self.pipeline.device).add(1).eq(2).all())
        except RuntimeError:
            return False

    def draw(
        self,
        options: SamplingOptions,
        record_metric: RecordMetric,
        *,
        preview_every: int,
        context: Mapping[str, str] | None = None,
    ) -> Iterator[Path]:
        """A preview every so many steps (0: none), then each picture as it is ready. Logs and records meanwhile."""
        self.files.cleanup()
        sweep()
        self.files = picture_folder()
        try:
            with names_alone():
                self._check_cost(options)
                job = self.pipeline.prepare(options)
                notes = [] if context is None else json.loads(context.get(NOTES, "[]"))
                _report(job, self.pipeline, record_metric, [*notes, *map(str, job.notes)])
                yield from self._previews(job, preview_every)
                for number, picture in enumerate(self._finished(job, record_metric)):
                    path = Path(self.files.name) / f"output-{number}.{options.output_format}"
                    save_picture(picture.image, path, quality=options.output_quality, metadata=picture.metadata)
                    yield path
                for phase, seconds in job.seconds.items():
                    record_metric(f"seconds.{phase}", seconds)
        except (CancelationException, GeneratorExit):
            self.files.cleanup()
            raise

    def _check_cost(self, options: SamplingOptions) -> None:
        if self.bound is None:
            return
        picture = options.image.size if isinstance(options.image, Image.Image) else None
        width, height = self.pipeline.size_limits.fit(
            picture, options.width, options.height, self.pipeline.upscale_of(options)
        )
        cost = width * height * options.num_drawn * options.num_inference_steps / 1e6
        if cost > self.bound:
            raise InvalidInputError(
                "serve.cost",
                "{field} x num_outputs x width x height may be {limit} million on this server, and is {value}; ask for "
                "fewer steps, fewer pictures or smaller ones",
                field="num_inference_steps",
                limit=f"{self.bound:g}",
                value=f"{cost:.4g}",
            )

    def _finished(self, job: Job, record_metric: RecordMetric) -> Iterator[GeneratedImage]:
        """The pictures that may be returned; then, even where there are none, why the others may not."""
        try:
            if job.scorer is None:
                yield from self.pipeline.finish_each(job)
            else:  # which chooses among them
                chosen = list(self.pipeline.finish_each(job))
                withheld = [one.params["seed"] for one in job.withheld]
                record_metric("seeds", [*(picture.seed for picture in chosen), *withheld])
                yield from chosen
        except UnsafeImagesError:
            _report_withheld(job, record_metric)
            raise
        _report_withheld(job, record_metric)

    def _previews(self, job: Job, every: int) -> Iterator[Path]:
        """Denoise; the last step has no preview, the picture itself comes next."""
        # Without a description, and with a total: the form that Replicate's clients read progress from.
        for state in _Bar(self.pipeline.denoise(job), total=len(job.start.timesteps)):
            if every > 0 and state.step % every == 0 and state.step < state.num_steps:
                path = Path(self.files.name) / f"preview-{state.step}.png"
                picture = self.preview.draw(state.predicted)
                save_picture(blank_unsafe(self.pipeline.safety_checker, picture, job.options), path)
                yield path


def _report(job: Job, pipeline: Pipeline, record_metric: RecordMetric, notes: Sequence[str]) -> None:
    print(f"Using seed: {job.options[0].seed}", flush=True)
    for note in notes:
        print(note)
    for name, value in (job.prompts[0].metrics() | {"warnings": list(notes)}).items():
        record_metric(name, value)
    record_metric("seeds", list(job.seeds))
    record_metric("safety_checker", safety_status(pipeline.safety_checker, job.options[0]))
    for name in MODEL_METRICS:
        if name in pipeline.provenance:
            record_metric(name, pipeline.provenance[name])


def _report_withheld(job: Job, record_metric: RecordMetric) -> None:
    for one in job.withheld:
        print(one)
    if job.withheld:
        record_metric("withheld", [one.record() for one in job.withheld])
