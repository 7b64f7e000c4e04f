"""A request on its way through the pipeline, and the picture that comes of it."""

import warnings
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from jsd.conditioning import Conditioning
from jsd.errors import InvalidInputError, Note
from jsd.images import encode_image, save_image
from jsd.images.metadata import left_out
from jsd.images.saving import save_unused
from jsd.inputs import InputPictures
from jsd.models import record as provenance
from jsd.options import SamplingOptions
from jsd.prompting.prompts import Prompts
from jsd.sampling import Start

if TYPE_CHECKING:
    from jsd.scoring import Scorer


def recorded(options: SamplingOptions) -> dict[str, object]:
    """As a picture's file has them: files by their names, without folders."""
    values = {one.name: getattr(options, one.name) for one in fields(options)}
    for name in ("image", "mask"):
        if isinstance(values[name], Image.Image):
            values[name] = "in memory"
        elif values[name] is not None:
            values[name] = Path(values[name]).name
    values["loras"] = [Path(name).name for name in options.loras]
    return values


@dataclass(frozen=True, kw_only=True)
class GeneratedImage:
    """A picture; `options` (sizes and seed resolved, one output) draw it again, whatever batch it came in."""

    image: Image.Image
    seed: int
    options: SamplingOptions
    model: str
    device: str
    dtype: str
    seconds: dict[str, float]  # by phase: encode, denoise, decode; this picture's share of its batch
    notes: tuple[Note, ...] = ()  # what its author should know
    provenance: dict[str, object] = field(default_factory=dict)  # what else its file says: see `jsd.models.record`

    def __repr__(self) -> str:
        width, height = self.image.size
        return f"GeneratedImage({self.options.prompt!r}, seed={self.seed}, {width}x{height}, {len(self.notes)} notes)"

    def save(self, path: str | Path, *, with_metadata: bool = True) -> Path:
        """Write a .png, .jpg or .webp that says what made it, in the place of a file that is there."""
        metadata = self.metadata if with_metadata else None
        note = None if metadata is None else left_out(Path(path).suffix.removeprefix(".").lower(), metadata)
        if note is not None and note.code not in [one.code for one in self.notes]:
            warnings.warn(note, stacklevel=2)
        save_image(self.image, Path(path), quality=self.options.output_quality, metadata=metadata)
        return Path(path)

    def save_unused(self, folder: Path, *, with_metadata: bool = True) -> Path:
        """Write it into `folder` by its seed and format, in the place of no other file."""
        suffix = f".{self.options.output_format}"
        metadata = self.metadata if with_metadata else None
        data = encode_image(
            self.image, Path(f"picture{suffix}"), quality=self.options.output_quality, metadata=metadata
        )
        return save_unused(data, folder, f"jsd-{self.seed}", suffix)

    @property
    def metadata(self) -> dict[str, object]:
        """What made the picture, for its file: no folders and no times, so equal pictures are equal files."""
        names = {"model": self.model, "device": self.device.partition(":")[0], "dtype": self.dtype}
        return recorded(self.options) | names | self.provenance | {"pixels_sha256": provenance.pixel_digest(self.image)}


@dataclass(kw_only=True)
class Job:
    """A batch on its way: `latents` and `seconds` grow as it is denoised, `withheld` as it is finished."""

    seeds: tuple[int, ...]  # one per image
    options: tuple[SamplingOptions, ...]  # one per image, sizes and seed resolved
    requests: tuple[
        tuple[int, SamplingOptions], ...
    ]  # one per image: by which request it was asked for, and its number
    prompts: tuple[Prompts, ...]  # one per image: how its texts were read
    start: Start
    generators: list[torch.Generator]
    conditioning: Conditioning
    guidance_scale: float
    latents: Tensor  # (B, C, h, w) float32
    inputs: InputPictures
    lora_files: list[dict[str, object]]  # name, weight, SHA-256
    upscale: int
    scorer: "Scorer | None"  # chooses of the pictures of a request those that are returned
    other_notes: tuple[Note, ...] = ()  # on the scheduler, the size, what files cannot hold
    seconds: dict[str, float] = field(default_factory=dict)
    withheld: list[Note] = field(default_factory=list)  # the pictures that the safety checker flagged
    num_done: int | None = None  # steps; None before the first is begun

    def begin(self) -> None:
        """The scheduler and the noise remember what they have done: InvalidInputError at a second time."""
        if self.num_done is not None:
            raise InvalidInputError(
                "job.begun", "{field} can be denoised once, and this one was begun before; prepare another", field="job"
            )
        self.num_done = 0

    def check_done(self) -> None:
        """What has noise left is not the picture that its file would say it is."""
        if self.num_done != len(self.start.timesteps):
            raise InvalidInputError(
                "job.unfinished",
                "{field} must be denoised to its last step, and {value} of {num_steps} are done; go on with it, or "
                "prepare another",
                field="job",
                value=self.num_done or 0,
                num_steps=len(self.start.timesteps),
            )

    @property
    def notes(self) -> list[Note]:
        """What its author should know: of each different prompt, the pictures that come in, go out, are withheld."""
        said = {str(note): note for one in self.prompts for note in one.notes()}
        return [*said.values(), *self.inputs.notes, *self.other_notes, *self.withheld]

    def __repr__(self) -> str:
        return f"Job({len(self.options)} x {self.options[0].prompt!r}, {len(self.start.timesteps)} steps)"
