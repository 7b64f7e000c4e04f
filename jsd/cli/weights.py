"""`jsd weights`: the model folders that are there, and the commands that check, get and make them."""

import argparse
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open

from jsd.beside import BUNDLE, weights_root
from jsd.cli.numbers import whole
from jsd.errors import InvalidInputError, JsdError, ModelFolderError
from jsd.i18n import _
from jsd.models.folder import choose_folder, snapshot, verify_folder
from jsd.models.record import OPENRAIL_RESTRICTIONS
from jsd.models.verify import part_kind, verify_part
from jsd.models.weights import MODELS, WEIGHT_STEMS, find_weights
from jsd.options import MAX_SEED
from jsd.prompting.tokenizer import printable
from jsd.rules import not_one_of, whole_number

# As in jsd.devices, which imports torch.
DTYPES = ("float32", "float16", "bfloat16")

PICKLES = (".ckpt", ".pt", ".pth", ".bin")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help=_("the model folders that are there, and the one in use"))
    verify = actions.add_parser("verify", help=_("name everything that keeps a folder from loading"))
    verify.add_argument("folder", metavar="FOLDER", help=_("a model folder, or that of a VAE or a safety checker"))
    fetch = actions.add_parser("fetch", help=_("download a full-size model; jsd weights list names them"))
    fetch.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default="rinna",
        help=_("the model: rinna or tohoku-sdxl") + " (%(default)s)",
    )
    fetch.add_argument("folder", metavar="FOLDER", nargs="?", help=_("to make (weights/MODEL of the repository)"))
    fetch.add_argument("--accept-licence", action="store_true", help=_("you accept the licence that this shows"))
    fetch.add_argument("--revision", default="main", metavar="NAME", help=_("branch, tag or commit") + " (%(default)s)")
    convert = actions.add_parser("convert", help=_("write a model anew, as a folder or as one file"))
    convert.add_argument("source", metavar="SOURCE", help=_("a model folder, or a .safetensors file"))
    convert.add_argument("folder", metavar="TARGET", help=_("to make: a folder, or a .safetensors file"))
    like = _("of a file that says nothing of itself: the model folder whose configs and vocabulary are its own")
    convert.add_argument("--like", type=Path, metavar="FOLDER", help=like)
    random = actions.add_parser("random", help=_("write a folder of random weights, to measure speed with"))
    random.add_argument("folder", metavar="FOLDER", help=_("to make"))
    of_model, of_seed = _("of which model") + " (%(default)s)", _("of the weights") + " (%(default)s)"
    random.add_argument("--size", choices=("mini", "full", "sdxl"), default="mini", help=of_model)
    random.add_argument("--seed", type=whole, default=0, metavar="N", help=of_seed)
    preview = actions.add_parser("preview", help=_("fit what draws previews to pictures, and write it into the folder"))
    preview.add_argument("folder", metavar="FOLDER", help=_("a model folder"))
    preview.add_argument("pictures", metavar="PICTURES", help=_("a folder of pictures"))
    for action in (convert, random):
        action.add_argument("--dtype", choices=DTYPES, help=_("of the weights; default: what runs fastest here"))


def run(args: argparse.Namespace) -> None:
    actions = {
        "list": _list,
        "verify": _verify,
        "fetch": _fetch,
        "convert": _convert,
        "random": _random,
        "preview": _preview,
    }
    actions[args.action](args)


def _list(args: argparse.Namespace) -> None:
    root = weights_root()
    places = [path for place in (root, BUNDLE / "weights") for path in place.glob("[!.]*") if path.is_dir()]
    folders = sorted(path for path in places if not (path / "config.json").is_file())  # that has a scorer, no model
    named = os.environ.get("JSD_WEIGHTS", "")
    try:
        chosen = choose_folder()
        used, last = chosen.path, f"* {chosen.reason}"
    except JsdError as error:
        used, last = None, str(error)
    shown = Path(named) if used is None else used
    if named != "" and shown.resolve() not in [folder.resolve() for folder in folders]:
        folders.append(shown)
    from jsd.models.fetch import FETCHABLE

    lines = [
        f"{'*' if used is not None and folder.resolve() == used.resolve() else ' '} {folder}  {_contents(folder)}"
        for folder in folders
    ]
    for name, model in FETCHABLE.items():
        if not (root / name).is_dir():
            account = _("needs an account") if model.needs_account else _("no account needed")
            command = f"jsd weights fetch {name} --accept-licence"
            lines.append(f"- {name}  {model.size_gb} GB  {model.licence}  {account}: {command}")
    for line in [*lines, last]:
        # A name may hold anything, JSD_WEIGHTS too: nothing in it may steer the terminal.
        print(printable(line))


def _contents(folder: Path) -> str:
    """Size and number formats of the weights that would be loaded; or which there are not."""
    found = {component: find_weights(folder / component, component) for component in WEIGHT_STEMS}
    lacking = [component for component in MODELS if found[component] is None]
    if lacking:
        return _(
            "cannot be used, there are no weights of {components}; all that is wrong: jsd weights verify {folder}",
            components=", ".join(lacking),
            folder=folder,
        )
    files = [path for weights in found.values() if weights is not None for path in weights.files]
    size_mb = sum(path.stat().st_size for path in files) / 1e6
    return f"{size_mb:,.1f} MB  {' '.join(sorted({word for path in files for word in _formats(path)}))}"


def _formats(path: Path) -> set[str]:
    ending = path.suffix.removeprefix(".")
    if ending != "safetensors":
        return {ending}
    try:
        with safe_open(path, framework="numpy") as tensors:
            return {ending, *(tensors.get_slice(name).get_dtype() for name in list(tensors.keys())[:1])}
    except (SafetensorError, OSError):
        return {ending, _("damaged")}


def _verify(args: argparse.Namespace) -> None:
    folder = snapshot(Path(args.folder))
    kind = part_kind(folder)
    problems = verify_folder(folder) if kind is None else verify_part(kind, folder)
    for problem in problems:
        print(printable(str(problem)))  # it may quote the folder's files
    if problems:
        raise ModelFolderError(
            "weights.not_whole",
            "the model folder {folder} has {count} problem(s), listed above; fetch or copy it again",
            folder=folder,
            count=len(problems),
        )
    print(
        _(
            "the model folder {folder} is whole: every file and tensor is there in its shape (values are not compared)",
            folder=folder,
        )
    )
    if kind is not None:
        print(_("it is no model, but goes with one: {option}", option=f"--{kind.replace('_', '-')} {folder}"))


def _fetch(args: argparse.Namespace) -> None:
    from jsd.models.fetch import FETCHABLE, fetch_folder

    if args.model not in FETCHABLE:
        raise not_one_of("MODEL", args.model, FETCHABLE)
    model = FETCHABLE[args.model]
    print(
        _(
            "{repo} is licensed under {licence}, text: {url} ; whoever gets the model or its outputs as a service from "
            "you must get the same use restrictions:",
            repo=model.repository,
            licence=model.licence,
            url=model.licence_url,
        )
    )
    print(_(OPENRAIL_RESTRICTIONS))
    folder = weights_root() / args.model if args.folder is None else Path(args.folder)
    fetch_folder(folder, accept_licence=args.accept_licence, repository=model.repository, revision=args.revision)
    print(_("written: {folder}", folder=folder))


def _convert(args: argparse.Namespace) -> None:
    from jsd.devices import dtype_name
    from jsd.models.convert import convert_folder
    from jsd.models.single import ENDING, read_single, write_single

    source, target = snapshot(Path(args.source)), Path(args.folder)
    for field, path in (("SOURCE", source), ("TARGET", target)):
        if path.suffix.lower() in PICKLES:
            raise InvalidInputError(
                "single.pickle",
                "{field} must be a folder or a .safetensors file, got {value}; files of this ending may run what they "
                "carry",
                field=field,
                value=path,
            )
    from_file, to_file = (path.suffix.lower() == ENDING for path in (source, target))
    if from_file and to_file:
        raise InvalidInputError(
            "single.both",
            "{field} must be a folder where SOURCE is a file, got {value}; name one without the ending .safetensors",
            field="TARGET",
            value=target,
        )
    if args.like is not None and not from_file:
        raise InvalidInputError(
            "single.like",
            "{field} is for a SOURCE that is a .safetensors file, got {value}; leave it out",
            field="--like",
            value=args.like,
        )
    left_out: list[str] = []
    if to_file:
        dtype, left_out = write_single(source, target, args.dtype)
    elif from_file:
        dtype = read_single(source, target, args.dtype, args.like)
    else:
        dtype = convert_folder(source, target, args.dtype)
    print(_("written: {folder} ({dtype})", folder=target, dtype=dtype_name(dtype)))
    if to_file:
        print(
            _(
                "the vocabulary is in the file's metadata, for jsd alone: A1111 and ComfyUI read prompts by CLIP's "
                "English one, so that Japanese does not reach this text encoder there"
            )
        )
    if left_out:
        print(_("not in the file, for it has no place for them: {names}", names=", ".join(left_out)))


def _random(args: argparse.Namespace) -> None:
    from jsd.devices import dtype_name
    from jsd.models.random import write_random_folder

    whole_number("seed", args.seed, 0, MAX_SEED)
    dtype = write_random_folder(args.folder, args.size, args.dtype, args.seed)
    print(_("written: {folder} ({dtype})", folder=args.folder, dtype=dtype_name(dtype)))
    print(_("every weight is random: good for measuring speed and memory, and its pictures mean nothing"))


def _preview(args: argparse.Namespace) -> None:
    from jsd.pipeline import Pipeline
    from jsd.preview import fit_preview, read_pictures

    folder = snapshot(Path(args.folder))
    pipeline = Pipeline.load(folder)
    pictures = read_pictures(Path(args.pictures), pipeline.default_size)
    fitted = fit_preview(pipeline.encode_image, pictures)
    path = fitted.save(folder)
    print(
        _("written: {path} (colours of 0 to 1 differ by {error:.3f}, root mean square)", path=path, error=fitted.error)
    )
