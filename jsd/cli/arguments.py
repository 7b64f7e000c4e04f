"""The arguments that several commands share: sampling options as flags, the model, the output folder."""

import argparse
import errno
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from jsd.engines import ENGINES
from jsd.engines import VARIABLE as ENGINE
from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.models.folder import PARTS, ModelFolder, choose_folder
from jsd.options import OPTIONS, SamplingOptions
from jsd.prompting.tokenizer import printable
from jsd.rules import Option
from jsd.serving.loras import FOLDER as LORAS

# As long as any that is made in an output folder.
LONGEST_NAME = "n" * 64
PICTURES = ("image", "mask")
FILES = (*PICTURES, "loras")
_PLACEHOLDERS = {int: "N", float: "X", tuple: "FILE", Image.Image: "FILE"}


def add_options(parser: argparse.ArgumentParser, names: Iterable[str] = tuple(OPTIONS)) -> None:
    """A flag for each of the options, --num-outputs for num_outputs; what is not given is not in the namespace."""
    for name in names:
        rule = OPTIONS[name]
        arguments: dict[str, Any] = {"help": described(rule), "default": argparse.SUPPRESS}
        if rule.type is bool:
            arguments["action"] = "store_true"
        else:
            arguments["metavar"] = "NAME" if rule.choices else _PLACEHOLDERS.get(rule.type, "TEXT")
        if name in FILES:
            arguments["type"] = os.path.expanduser
        if rule.type is tuple:  # --lora FILE, once for each
            parser.add_argument(f"--{name.removesuffix('s')}", dest=name, action="append", **arguments)
        elif rule.is_required:
            parser.add_argument(name, metavar=name.upper(), help=arguments["help"])
        else:
            parser.add_argument(f"--{name.replace('_', '-')}", **arguments)


def described(rule: Option) -> str:
    """What an option is for, its limits or choices, its default."""
    parts = [_(rule.help)]
    if rule.type in (int, float):
        parts.append(f"{rule.low}-{rule.high}")
    parts.append(", ".join(choice for choice in rule.choices if choice != ""))
    if rule.default not in (None, "", False, ()) and not rule.is_required:
        parts.append(f"({rule.default})")
    return " ".join(part for part in parts if part != "")


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options that were given on the command line, by name, for `SamplingOptions`."""
    given = {name: value for name, value in vars(args).items() if name in OPTIONS}
    # No name of a picture is no picture's name: of a variable of a script, say, that is not set.
    return {
        name: OPTIONS[name].parse(value) if isinstance(value, str) and name not in PICTURES else value
        for name, value in given.items()
    }


def make_options(values: Mapping[str, Any]) -> SamplingOptions:
    """The request; a picture that cannot be read is refused here, before a model is loaded."""
    from jsd.images.opening import check_picture

    options = SamplingOptions(**{"prompt": "", **values})
    for field in PICTURES:
        if getattr(options, field) is not None:
            check_picture(getattr(options, field), field)
    return options


def add_model_arguments(parser: argparse.ArgumentParser, *, has_engine: bool = True) -> None:
    add = parser.add_argument
    add_folder_arguments(parser)
    add("--device", metavar="NAME", help=_("cuda, mps or cpu; default: the fastest there is"))
    add("--dtype", metavar="NAME", help=_("float32, float16 or bfloat16; default: the fastest there is"))
    if has_engine:
        said = _("openvino: compiled for the CPU, by the extra of that name")
        add("--engine", metavar="|".join(ENGINES), help=f"{said} ({ENGINE}, {ENGINES[0]})")


def as_json(value: object) -> str:
    """Japanese as it is, where the output can hold it; what it cannot would be escaped as no reader of JSON knows."""
    is_utf8 = (sys.stdout.encoding or "").lower().replace("_", "-") in ("utf-8", "utf8")
    return json.dumps(value, ensure_ascii=not is_utf8, indent=2)


def add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    """The model's, and those of what may be added to it."""
    add = parser.add_argument
    add(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help=_("model folder (JSD_WEIGHTS, else weights/: rinna, tohoku-sdxl, mini)"),
    )
    for name, part in PARTS.items():
        help = f"{_(part.help)} ({part.variable})"
        add(f"--{name.replace('_', '-')}", type=Path, metavar="FOLDER", help=help)


def add_loras_argument(parser: argparse.ArgumentParser) -> None:
    said = _("a folder of LoRA files that requests may name")
    parser.add_argument("--loras", type=Path, metavar="FOLDER", help=f"{said} ({LORAS})")


def offer_loras(folder: Path | None) -> None:
    """To what is served by this process, and by those that it starts, whose working folders are others. `None`: what
    JSD_LORAS names."""
    named = os.environ.get(LORAS, "") if folder is None else str(folder)
    if named == "":
        return
    if not Path(named).is_dir():
        raise InvalidInputError(
            "serve.loras",
            "{field} must be a folder, and there is none at {value}; check the path",
            field=LORAS if folder is None else "loras",
            value=named,
        )
    os.environ[LORAS] = str(Path(named).resolve())


def chosen_model(args: argparse.Namespace) -> ModelFolder:
    return choose_folder(args.weights, {name: getattr(args, name) for name in PARTS})


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    said = _("for the pictures") + " (%(default)s)"
    parser.add_argument("--output-dir", type=Path, default=Path("outputs"), metavar="FOLDER", help=said)
    parser.add_argument("--no-metadata", action="store_true", help=_("do not write into the files what made them"))


def check_folder(folder: Path, field: str) -> None:
    """That `folder` can be made and written to, before minutes of work; a disk may still be full later."""
    absolute = folder.absolute()
    existing = next(path for path in (absolute, *absolute.parents) if os.path.lexists(path))
    to_make = absolute.parts[len(existing.parts) :]
    if existing.is_symlink() and not os.access(existing, os.F_OK):
        reason = _("it is a link that leads nowhere")
    elif not existing.is_dir():
        reason = _("it is not a folder")
    elif not os.access(existing, os.W_OK | os.X_OK):
        reason = _("it may not be written to")
    elif any(_is_too_long(path) for path in (*(existing / name for name in to_make), folder / LONGEST_NAME)):
        raise InvalidInputError(
            "generate.output_dir_long",
            "{field} must be no longer than the file system allows, files within it too, and "
            "{value} is; choose a shorter name",
            field=field,
            value=folder,
        )
    else:
        return
    raise InvalidInputError(
        "generate.output_dir",
        "{field} must be a folder that can be made and written to, got {value}, and {path} "
        "is not: {reason}; choose another",
        field=field,
        value=folder,
        path=existing,
        reason=reason,
    )


def _is_too_long(path: Path) -> bool:
    """As the file system says."""
    try:
        path.lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False


def say(sentence: object) -> None:
    # What it names may be a stranger's text: nothing in it may steer the terminal.
    print(f"jsd: {printable(str(sentence))}", file=sys.stderr)
