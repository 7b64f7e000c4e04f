"""The request that drew a picture, from the record in its file and the files that lie beside it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsd.errors import ImageFileError, InvalidInputError
from jsd.images.metadata import read_picture_file
from jsd.options import MAX_SEED, OPTIONS, SamplingOptions
from jsd.rules import split_weight, whole_number

# Pillow's name of a file's format -> ours
FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


def read_record(path: Path) -> dict[str, Any]:
    """ImageFileError where it is no picture of ours."""
    file = read_picture_file(path)
    if file.record is None:
        raise ImageFileError(
            "rerun.no_record",
            "{field} must be a picture by jsd, and {value} holds no record of ours; jsd info shows what it says",
            field="FILE",
            value=path,
        )
    return {"output_format": FORMATS.get(file.format, "png"), **file.record}


def recorded_request(
    record: Mapping[str, Any],
    beside: Path,
    *,
    chosen: Mapping[str, Any],
    pictures: Mapping[str, Path | None],
    loras: Sequence[str] = (),
) -> SamplingOptions:
    """With `chosen` options in place of its own. The files that it names are `pictures` and `loras` where these are
    given, else those of their names in the folder `beside`: a record may not choose a folder of this machine. The
    weight of a LoRA is the record's, and one in `loras` must say the same."""
    # A file from before there was an upscaler names none.
    known = {"upscale": 1} | {key: value for key, value in record.items() if key in OPTIONS}
    # A file is of one picture, whatever it says.
    known |= {"num_outputs": 1, "num_candidates": 1}
    options = SamplingOptions(**{"prompt": None, **known, **chosen})
    files: dict[str, Any] = {}
    whole_number("seed", options.seed, 0, MAX_SEED)
    for field in ("image", "mask"):
        name, given = getattr(options, field), pictures.get(field)
        if name is None and given is not None:
            raise InvalidInputError(
                "rerun.no_picture",
                "{field} is for a picture that was drawn from one, and this was not, got {value}; leave it out",
                field=f"--{field}",
                value=given,
            )
        if name is None:
            continue
        path = beside / Path(str(name)).name if given is None else given
        if not path.is_file():
            raise InvalidInputError(
                "rerun.picture_missing",
                "{field} must be the picture that it was drawn from ({value}), and there is none at "
                "{path}; pass its path",
                field=field,
                value=name,
                path=path,
            )
        files[field] = path
    return replace(options, **files, loras=tuple(_loras(options.loras, beside, loras)))


def _loras(recorded: Sequence[str], beside: Path, loras: Sequence[str]) -> Iterator[str]:
    """The file of each "NAME:WEIGHT" of a record: by its place where all are given, for two may have one name."""
    names = [split_weight(Path(one).name) for one in recorded]
    given = [(Path(file), None if file == one else weight) for one in loras for file, weight in [split_weight(one)]]
    known = [name for name, _weight in names]
    surplus = [str(path) for path, _weight in given if path.name not in known]
    if surplus:
        raise InvalidInputError(
            "rerun.no_lora",
            "{field} must be files that the picture was drawn with ({choices}), got {value}; leave it out",
            field="loras",
            choices=", ".join(known) or "-",
            value=surplus[0],
        )
    are_all = [name for name, _ in names] == [path.name for path, _ in given]
    for place, (name, weight) in enumerate(names):
        here = given[place : place + 1] if are_all else [one for one in given if one[0].name == name]
        path, said = here[0] if here else (beside / name, None)
        if not path.is_file():
            raise InvalidInputError(
                "rerun.lora_missing",
                "{field} must be the file that it was drawn with ({value}), and there is none at {path}; pass its path",
                field="loras",
                value=name,
                path=path,
            )
        if said not in (None, weight):
            raise InvalidInputError(
                "rerun.lora_weight",
                "{field} must have the weight that the picture was drawn with, {weight}, or none, got {value}; leave "
                "it out",
                field="loras",
                weight=weight,
                value=said,
            )
        yield f"{path}:{weight}"
