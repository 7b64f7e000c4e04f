"""The LoRA files that a server's clients may name: those of one folder, which its operator chose."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jsd.errors import InvalidInputError
from jsd.options import OPTIONS
from jsd.rules import split_weight

FOLDER = "JSD_LORAS"


def lora_names() -> list[str]:
    folder = os.environ.get(FOLDER, "")
    return sorted(path.name for path in Path(folder).glob("*.safetensors")) if folder != "" else []


def served_loras(names: str) -> tuple[str, ...]:
    """ "a.safetensors, b.safetensors:0.7" of a request -> the same in the folder JSD_LORAS; others are refused."""
    there, found = lora_names(), []
    for asked in OPTIONS["loras"].check(OPTIONS["loras"].parse(names)):
        name, weight = split_weight(asked)
        if name not in there:
            raise InvalidInputError(
                "lora.not_served",
                "{field} must be files that this server offers ({choices}), got {value}; choose one of these, or "
                "start the server with --loras FOLDER",
                field="loras",
                choices=", ".join(there) if there else "-",
                value=repr(name),
            )
        found.append(f"{Path(os.environ[FOLDER]) / name}:{weight}")
    return tuple(found)


@contextmanager
def names_alone() -> Iterator[None]:
    """What is refused within speaks of the files as `served_loras` was asked for them: where they lie is no client's
    business."""
    try:
        yield
    except InvalidInputError as error:
        if error.field != "loras" or FOLDER not in os.environ:
            raise
        place = f"{Path(os.environ[FOLDER])}{os.sep}"
        said = {name: str(value).replace(place, "") for name, value in error.params.items()}
        raise InvalidInputError(error.code, error.sentence, **said) from None
