"""`jsd weights`: the model folders that are there, and the commands that check, get and make them."""

import argparse
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open

from jsd.cli.numbers import check_whole, whole
from jsd.errors import JsdError, ModelFolderError
from jsd.messages import message
from jsd.models.folder import MODELS, WEIGHT_STEMS, choose_folder, verify_folder, weights_files, weights_root
from jsd.options import MAX_SEED
from jsd.prompting.tokenizer import printable

# As in jsd.devices, which imports torch.
DTYPES = ("float32", "float16", "bfloat16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help=message("action.list"))
    verify = actions.add_parser("verify", help=message("action.verify"))
    verify.add_argument("folder", metavar="FOLDER", help=message("help.folder"))
    fetch = actions.add_parser("fetch", help=message("action.fetch"))
    fetch.add_argument("folder", metavar="FOLDER", nargs="?", help=message("help.rinna_folder"))
    fetch.add_argument("--accept-licence", action="store_true", help=message("help.accept_licence"))
    fetch.add_argument("--revision", default="main", metavar="NAME", help=f"{message('help.revision')} (%(default)s)")
    convert = actions.add_parser("convert", help=message("action.convert"))
    convert.add_argument("source", metavar="SOURCE", help=message("help.source_folder"))
    convert.add_argument("folder", metavar="FOLDER", help=message("help.folder_to_make"))
    random = actions.add_parser("random", help=message("action.random"))
    random.add_argument("folder", metavar="FOLDER", help=message("help.folder_to_make"))
    of_model, of_seed = f"{message('help.of_model')} (%(default)s)", f"{message('help.weights_seed')} (%(default)s)"
    random.add_argument("--size", choices=("mini", "full"), default="mini", help=of_model)
    random.add_argument("--seed", type=whole, default=0, metavar="N", help=of_seed)
    preview = actions.add_parser("preview", help=message("action.preview"))
    preview.add_argument("folder", metavar="FOLDER", help=message("help.folder"))
    preview.add_argument("pictures", metavar="PICTURES", help=message("help.pictures"))
    for action in (convert, random):
        action.add_argument("--dtype", choices=DTYPES, help=message("help.component_dtype"))


def run(args: argparse.Namespace) -> None:
    actions = {"list": _list, "verify": _verify, "fetch": _fetch, "convert": _convert, "random": _random}
    (actions | {"preview": _preview})[args.action](args)


def _list(args: argparse.Namespace) -> None:
    root = weights_root()
    folders = sorted(path for path in root.glob("[!.]*") if path.is_dir())
    named = os.environ.get("JSD_WEIGHTS", "")
    if named != "" and Path(named) not in folders:
        folders.append(Path(named))
    try:
        chosen, reason = choose_folder()
    except JsdError as error:
        chosen, reason = None, str(error)
    for folder in folders:
        # A name may hold anything, JSD_WEIGHTS too: nothing in it may steer the terminal.
        print(printable(f"{'*' if folder == chosen else ' '} {folder}  {_contents(folder)}"))
    print(printable(f"* {reason}" if chosen is not None else reason))


def _contents(folder: Path) -> str:
    """Size and number formats of the weights that would be loaded; or which there are not."""
    lacking = [component for component in MODELS if not weights_files(folder, component)]
    if lacking:
        return message("weights.lacking", components=", ".join(lacking), folder=folder)
    files = [file for component in WEIGHT_STEMS for file in weights_files(folder, component)[:1]]
    size_mb = sum(file.path.stat().st_size for file in files) / 1e6
    formats = set()
    for file in files:
        formats.add(file.path.suffix.removeprefix("."))
        if file.is_safetensors:
            try:
                with safe_open(file.path, framework="numpy") as tensors:
                    formats |= {tensors.get_slice(name).get_dtype() for name in list(tensors.keys())[:1]}
            except (SafetensorError, OSError):
                formats.add(message("weights.damaged"))
    return f"{size_mb:,.1f} MB  {' '.join(sorted(formats))}"


def _verify(args: argparse.Namespace) -> None:
    problems = verify_folder(args.folder)
    for problem in problems:
        print(problem)
    if problems:
        raise ModelFolderError("weights.not_whole", folder=args.folder, count=len(problems))
    print(message("weights.whole", folder=args.folder))


def _fetch(args: argparse.Namespace) -> None:
    from jsd.models.fetch import REPOSITORY, fetch_folder

    print(message("fetch.licence", repo=REPOSITORY))
    print(message("fetch.restrictions"))
    folder = weights_root() / "rinna" if args.folder is None else Path(args.folder)
    fetch_folder(folder, accept_licence=args.accept_licence, revision=args.revision)
    print(message("weights.written", folder=folder))


def _convert(args: argparse.Namespace) -> None:
    from jsd.devices import dtype_name
    from jsd.models.convert import convert_folder

    dtype = convert_folder(args.source, args.folder, args.dtype)
    print(message("weights.written_in", folder=args.folder, dtype=dtype_name(dtype)))


def _random(args: argparse.Namespace) -> None:
    from jsd.devices import dtype_name
    from jsd.models.random import write_random_folder

    check_whole("seed", args.seed, 0, MAX_SEED)
    dtype = write_random_folder(args.folder, args.size, args.dtype, args.seed)
    print(message("weights.written_in", folder=args.folder, dtype=dtype_name(dtype)))
    print(message("weights.are_random"))


def _preview(args: argparse.Namespace) -> None:
    from jsd.pipeline import Pipeline
    from jsd.preview import fit_preview, read_pictures

    pipeline = Pipeline.load(args.folder)
    pictures = read_pictures(Path(args.pictures), pipeline.default_size)
    fitted = fit_preview(pipeline.encode_image, pictures)
    path = fitted.save(Path(args.folder))
    print(message("preview.fitted", path=path, count=fitted.num_pictures, error=fitted.error))
