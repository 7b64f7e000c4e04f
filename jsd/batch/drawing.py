"""A row made into its record and the bytes of its files: the same whichever engine draws it, wherever."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from jsd.batch.rows import Row
from jsd.errors import JsdError
from jsd.images import encode_image
from jsd.lean import load_alone
from jsd.models.folder import ModelFolder
from jsd.options import OPTIONS
from jsd.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """What `Pipeline.load` takes."""

    folder: ModelFolder | Path
    device: str | None
    dtype: str | None

    def load(self) -> Pipeline:
        return load_alone(self.folder, self.device, self.dtype)


@dataclass(frozen=True, kw_only=True)
class FileChoice:
    """What becomes of a picture; `num_digits` are those of the row's number in its file's name."""

    with_metadata: bool
    num_digits: int

    def stem(self, row: Row) -> str:
        """The same at a second try of the row."""
        return f"{row.number:0{self.num_digits}d}-{row.key[:8]}"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """`record` is the row's line of the results file; `files` (name -> bytes) are not written yet."""

    record: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)


def draw_locally(
    rows: Sequence[Row], model: ModelChoice, files: FileChoice, check_model: Callable[[object], None]
) -> Generator[Drawn, None, None]:
    """Each row as it is drawn, in this process; `check_model` is asked about the model's digest first."""
    pipeline = model.load()
    check_model(pipeline.provenance["model_sha256"])
    for row in rows:
        yield draw_row(pipeline, row, files)


def draw_row(pipeline: Pipeline, row: Row, files: FileChoice) -> Drawn:
    """A batch of its own, so that its bytes do not depend on its neighbours; what it breaks is in its record."""
    try:
        return _draw(pipeline, row, files)
    except JsdError as error:
        why = {"code": error.code, "message": str(error)}
        return Drawn(record={"row": row.number, "key": row.key, "error": why})


def _draw(pipeline: Pipeline, row: Row, files: FileChoice) -> Drawn:
    began = perf_counter()
    job = pipeline.prepare(row.options)
    pipeline.run(job, progress=False)
    pictures = pipeline.finish(job)
    encoded = {}
    for picture in pictures:
        # Its place in the batch, not in `pictures`: the safety checker may have withheld some.
        number = f"-{job.seeds.index(picture.seed)}" if len(job.seeds) > 1 else ""
        path = Path(f"{files.stem(row)}{number}.{row.options.output_format}")
        metadata = picture.metadata if files.with_metadata else None
        encoded[path.name] = encode_image(picture.image, path, quality=row.options.output_quality, metadata=metadata)
    drawn = pictures[0].metadata
    record = {
        "row": row.number,
        "key": row.key,
        "files": list(encoded),
        "seeds": [picture.seed for picture in pictures],
        "options": {**{name: drawn[name] for name in OPTIONS}, "num_outputs": row.options.num_outputs},
        "model": drawn["model"],
        "model_sha256": drawn["model_sha256"],
        "dtype": drawn["dtype"],
        "notes": [note.record() for note in pictures[0].notes],
        "withheld": [note.record() for note in job.withheld],
        "seconds": round(perf_counter() - began, 3),
    }
    return Drawn(record=record, files=encoded)
