"""A model folder made ready, and a request made into pictures: prepare, denoise, finish."""

import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from jsd import sampling, upscaling, vae
from jsd.candidates import best, find_scorer, no_scorer
from jsd.conditioning import TextEncoders
from jsd.devices import MODEL_FITS, choose_placement, dtype_name, out_of_memory, synchronize
from jsd.engines import TORCH, choose_engine, loader
from jsd.errors import GenerationError, Note, UnsafeImagesError
from jsd.i18n import _
from jsd.images.metadata import left_out
from jsd.images.tensors import image_to_tensor, mask_to_latents, tensor_to_images
from jsd.inputs import load_inputs
from jsd.job import GeneratedImage, Job, recorded
from jsd.models import record as provenance
from jsd.models.configs import GUIDANCE_SCALE
from jsd.models.folder import ModelFolder, choose_folder, open_model_folder
from jsd.models.lora import Adapters
from jsd.models.weights import FACTOR
from jsd.options import Requests, SamplingOptions, as_requests, shared_options
from jsd.prompting.designs import in_design
from jsd.prompting.prompts import Prompts, read_prompts, shared_num_windows
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.safety import SafetyChecker, check_required, find_checker, safety_status, withhold
from jsd.sampling import DenoisingState
from jsd.schedulers import make_scheduler, scheduler_note
from jsd.sizes import SizeLimits

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Pipeline:
    tokenizer: JapaneseTokenizer
    text_encoder: Any  # transformers.CLIPTextModel
    unet: Any  # diffusers.UNet2DConditionModel
    vae: Any  # diffusers.AutoencoderKL
    scheduler_config: dict[str, Any]
    folder: Path | None = None
    parts: Mapping[str, Path] = field(default_factory=dict)  # what was added to the folder: see jsd.models.folder
    guidance_scale: float = GUIDANCE_SCALE  # of requests that name none
    safety_checker: SafetyChecker | None = None
    text_encoder_2: Any = None  # of SDXL: transformers.CLIPTextModelWithProjection
    upscaler: Any = None  # jsd.upscaling.Upscaler
    zero_empty_negative: bool = False  # SDXL's force_zeros_for_empty_prompt
    engine: str = TORCH

    @classmethod
    def load(
        cls,
        folder: ModelFolder | Path | str | None = None,
        device: str | None = None,
        dtype: str | torch.dtype | None = None,
        engine: str | None = None,
        **parts: Path | str | None,
    ) -> "Pipeline":
        """See `jsd.models.folder.choose_folder`, `jsd.devices` and `jsd.engines`; `parts`: folders by the names `vae`,
        `preview_vae`, `safety_checker`."""
        engine = choose_engine(engine)
        placement = choose_placement(device, dtype, engine)
        chosen = open_model_folder(choose_folder(folder, parts))
        with out_of_memory(MODEL_FITS):
            networks = loader(engine)(chosen.path, placement.device, placement.dtype, chosen.parts.get("vae"))
        pipeline = cls(
            engine=engine,
            tokenizer=chosen.tokenizer,
            **networks,
            scheduler_config=chosen.scheduler_config,
            folder=chosen.path,
            parts=chosen.parts,
            guidance_scale=chosen.guidance_scale,
            zero_empty_negative=chosen.zero_empty_negative,
            safety_checker=find_checker(chosen, placement.device),
        )
        check_required(pipeline.safety_checker)
        logger.info("model %s, %s", chosen, placement)
        return pipeline

    def __post_init__(self) -> None:
        networks = {"unet": self.unet, "text_encoder": self.text_encoder, "text_encoder_2": self.text_encoder_2}
        self.adapters = Adapters({name: network for name, network in networks.items() if network is not None})
        self.text_encoders = TextEncoders(
            first=self.text_encoder,
            second=self.text_encoder_2,
            zero_empty_negative=self.zero_empty_negative,
            guidance_width=self.unet.config.get("time_cond_proj_dim"),
        )

    def __repr__(self) -> str:
        name = "unnamed" if self.folder is None else self.folder.name
        return f"Pipeline({name}, {self.device}, {dtype_name(self.dtype)})"

    def introduction(self, reason: str) -> list[str]:
        """What is said once it is loaded; `reason`: why this folder (see `jsd.models.folder.choose_folder`)."""
        where = {"folder": self.folder, "reason": reason, "device": self.device, "dtype": dtype_name(self.dtype)}
        said = [_("model {folder} ({reason}), on {device} in {dtype}", **where)]
        chosen = {} if self.engine == TORCH else {"engine": self.engine}
        said += [f"{name}: {one}" for name, one in {**chosen, **self.parts}.items()]
        if self.safety_checker is None:
            said.append(_("this model has no safety checker: nothing checks its pictures"))
        return said

    @property
    def device(self) -> torch.device:
        return torch.device(self.unet.device)

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.unet.dtype
        return dtype

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.latent_channels)

    @property
    def default_size(self) -> tuple[int, int]:
        """(width, height) that the model was trained on, px."""
        return self.size_limits.default

    @property
    def upscale(self) -> int:
        """Of requests that name none."""
        return 1 if self.upscaler is None else FACTOR

    def upscale_of(self, options: SamplingOptions) -> int:
        return self.upscale if options.upscale is None else options.upscale

    @property
    def size_limits(self) -> SizeLimits:
        return SizeLimits.of(self.unet.config, self.vae.config)

    @cached_property
    def provenance(self) -> dict[str, object]:
        """Which weights, under which licence, by which libraries. Reads every file of the folder, once."""
        folder = {} if self.folder is None else provenance.folder_record(self.folder, self.parts.get("vae"))
        return provenance.library_versions(self.engine) | folder

    def generate(self, options: Requests, *, progress: bool | None = None, **values: Any) -> list[GeneratedImage]:
        """Draw one request, or several as one batch; `values` are fields of `SamplingOptions` of each.

        Without the pictures that the safety checker flags; UnsafeImagesError where it flags all of them. Each note is a
        warning too. `progress` None: a bar where standard error is a terminal. Threads draw one after another.
        """
        with self.adapters.lock:
            job = self.prepare([replace(one, **values) for one in as_requests(options)])
            self.run(job, progress=progress)
            pictures = self.finish(job)
        for note in job.notes:
            warnings.warn(note, stacklevel=2)
        return pictures

    def run(self, job: Job, *, progress: bool | None = None) -> None:
        """All steps of `denoise`, with a bar: see `generate`."""
        shown = progress if progress is not None else sys.stderr is not None and sys.stderr.isatty()
        for _state in tqdm(self.denoise(job), total=len(job.start.timesteps), disable=not shown, leave=False):
            pass

    @out_of_memory()
    def prepare(self, options: Requests) -> Job:
        """Check the request against the model, read its prompts and pictures, draw its noise.

        The requests of a batch may differ in `jsd.options.PER_IMAGE`, nothing else.
        """
        began = perf_counter()
        requests = as_requests(options)
        shared = shared_options(requests)
        check_required(self.safety_checker, shared)
        self.adapters.apply(shared.loras)
        upscale = self.upscale_of(shared)
        inputs = load_inputs(shared, self.size_limits, upscale)
        width, height = inputs.size
        guidance = self.guidance_scale if shared.guidance_scale is None else shared.guidance_scale
        resolved: dict[str, Any] = {"width": width, "height": height, "upscale": upscale, "guidance_scale": guidance}
        resolved |= {"num_outputs": 1, "num_candidates": 1}
        scorer = find_scorer() if shared.num_candidates > 1 else None
        rows = [
            (seed, replace(one, **resolved, seed=seed), in_design(self.tokenizer, read, one, seed), (number, one))
            for number, one in enumerate(requests)
            for read in [read_prompts(self.tokenizer, one)]
            for seed in one.seeds(one.num_outputs if scorer is None else one.num_drawn)
        ]
        seeds, each, prompts, asked = zip(*rows, strict=True)
        num_windows = shared_num_windows(prompts, guided=self.text_encoders.is_guided(guidance))
        conditioning = self.text_encoders.condition(
            prompts, num_windows, guidance_scale=guidance, size=inputs.size, dtype=self.dtype
        )
        scheduler = make_scheduler(shared.scheduler, self.scheduler_config, shared.num_inference_steps)
        generators = sampling.noise_generators(seeds)
        shape = (self.latent_channels, height // self.size_limits.factor, width // self.size_limits.factor)
        noise = sampling.initial_noise(generators, shape).to(self.device)
        if inputs.image is None:
            start = sampling.start_from_noise(scheduler, noise)
        else:
            start = sampling.start_from_image(
                scheduler,
                noise,
                self.encode_image(image_to_tensor(inputs.image)),
                shared.prompt_strength,
                None if inputs.mask is None else mask_to_latents(inputs.mask, self.size_limits.factor).to(self.device),
            )
        synchronize(self.device)
        return Job(
            seeds=seeds,
            options=each,
            prompts=prompts,
            start=start,
            generators=generators,
            conditioning=conditioning,
            guidance_scale=guidance,
            latents=start.latents,
            inputs=inputs,
            lora_files=self.adapters.records,
            requests=asked,
            upscale=upscale,
            scorer=scorer,
            other_notes=self._other_notes(shared, guidance, each, prompts),
            seconds={"encode": perf_counter() - began},
        )

    def _other_notes(
        self, shared: SamplingOptions, guidance: float, each: Sequence[SamplingOptions], prompts: Sequence[Prompts]
    ) -> tuple[Note, ...]:
        """On the scheduler, the size, the choice; and, of the longest text, on what a JPEG cannot hold."""
        is_distilled = self.text_encoders.is_distilled
        notes = [scheduler_note(shared.scheduler, shared.loras, guidance, is_distilled=is_distilled)]
        notes += [*self.adapters.notes, *self.text_encoders.notes(each[0], prompts)]
        notes += [] if self.upscaler is not None else upscaling.notes(self.upscale_of(shared))
        notes += [no_scorer()] if shared.num_candidates > 1 and find_scorer() is None else []
        if shared.output_format == "jpg":
            pairs = zip(each, prompts, strict=True)
            said = (recorded(one) | self.provenance | read.provenance() for one, read in pairs)
            notes.append(left_out("jpg", max(said, key=lambda metadata: len(str(metadata)))))
        return tuple(note for note in notes if note is not None)

    def denoise(self, job: Job) -> Iterator[DenoisingState]:
        """A state after each step; a caller that stops iterating stops the work."""
        job.begin()
        began, one = perf_counter(), job.options[0]
        with out_of_memory():
            self.adapters.apply(one.loras)
            for state in sampling.denoise(
                self.unet,
                job.start,
                guidance_interval=(one.guidance_start, one.guidance_end),
                **vars(job.conditioning),
                guidance_scale=job.guidance_scale,
                generators=job.generators,
            ):
                job.latents, job.num_done = state.latents, state.step
                yield state
                if self.adapters.records is not job.lora_files:  # another job has been prepared meanwhile
                    self.adapters.apply(one.loras)
        synchronize(self.device)
        job.seconds["denoise"] = perf_counter() - began

    def finish(self, job: Job) -> list[GeneratedImage]:
        """The denoised batch as pictures."""
        return list(self.finish_each(job))

    def finish_each(self, job: Job) -> Iterator[GeneratedImage]:
        """The pictures of the denoised batch, each as soon as it is decoded, or where a scorer chooses the best of
        them. Those that the safety checker flags go into `job.withheld` instead; UnsafeImagesError in the end where
        all did."""
        found = self._finished(job)
        yield from found if job.scorer is None else best(job.scorer, list(found), job.requests)

    def _finished(self, job: Job) -> Iterator[GeneratedImage]:
        job.check_done()
        if not bool(torch.isfinite(job.latents).all()):
            raise GenerationError(
                "generation.latents",
                "latents must be finite numbers, and the UNet in {dtype} gave others; use dtype "
                "float32, or check the weights with jsd weights verify",
                dtype=dtype_name(self.dtype),
            )
        shared = self.provenance | provenance.input_digests(image=job.inputs.image, mask=job.inputs.mask)
        shared |= {"lora_files": job.lora_files} if job.lora_files else {}
        shared |= {"safety_checker": safety_status(self.safety_checker, job.options[0])}
        earlier = {phase: seconds / len(job.options) for phase, seconds in job.seconds.items()}
        job.seconds["decode"], job.withheld = 0.0, []
        for index, (one, read) in enumerate(zip(job.options, job.prompts, strict=True)):
            began = perf_counter()
            picture = self._decode_picture(job, index)
            withheld = withhold(self.safety_checker, picture, one)
            if withheld is None:
                picture = job.inputs.restore(upscaling.enlarge_image(self.upscaler, picture, job.upscale))
            seconds = perf_counter() - began
            job.seconds["decode"] += seconds
            if withheld is not None:
                job.withheld.append(withheld)
                continue
            yield GeneratedImage(
                image=picture,
                seed=job.seeds[index],
                options=one,
                model="unnamed" if self.folder is None else self.folder.resolve().name,
                device=str(self.device),
                dtype=dtype_name(self.dtype),
                seconds={**earlier, "decode": seconds},
                notes=(*read.notes(), *job.inputs.notes, *job.other_notes),
                # Rounding differs between batches of different sizes: to draw it again takes the same.
                provenance={**shared, **read.provenance(), "batch": [index, len(job.options)]},
            )
        if len(job.withheld) == len(job.options):
            raise UnsafeImagesError(job.withheld)

    def _decode_picture(self, job: Job, index: int) -> Image.Image:
        (picture,) = tensor_to_images(self.decode_latents(job.latents[index : index + 1]))
        # getbbox: of what is not black.
        if picture.getbbox() is None and (job.inputs.image is None or job.inputs.image.getbbox() is not None):
            raise GenerationError(
                "generation.black",
                "a picture must not be all black, and this one is, computed in {dtype}; use another "
                "seed, or dtype float32",
                dtype=dtype_name(self.dtype),
            )
        if job.inputs.image is not None and job.inputs.mask is not None:
            return Image.composite(picture, job.inputs.image, job.inputs.mask)
        return picture

    @out_of_memory()
    def encode_image(self, pixel_values: Tensor) -> Tensor:
        """pixel_values (B, 3, H, W) in [-1, 1] -> latents (B, C, h, w) float32, scaled: the mean."""
        return vae.encode_image(self.vae, pixel_values, upcast=self._vae_overflows)

    @out_of_memory()
    def decode_latents(self, latents: Tensor) -> Tensor:
        """latents (B, C, h, w), scaled -> images (B, 3, H, W) float32 in [0, 1]."""
        return vae.decode_latents(self.vae, latents, upcast=self._vae_overflows)

    @property
    def _vae_overflows(self) -> bool:
        """In float16: SDXL's, where its config says so. Stable Diffusion v1's says so by diffusers' default alone."""
        return self.text_encoder_2 is not None and bool(self.vae.config.get("force_upcast", False))
