"""jsd data score, filter, latents: steps over the shards of an imported corpus, here or on a cluster."""

import argparse
import hashlib
import math
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from jsd.cli.arguments import check_folder
from jsd.cli.columns import aligned
from jsd.cli.engine import add_engine_arguments, check_engine
from jsd.cli.numbers import number, whole
from jsd.errors import InvalidInputError, JsdError
from jsd.i18n import _
from jsd.prompting.tokenizer import printable
from jsd.rules import whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsd.training.corpora.records import Noted
    from jsd.training.sharding import Task

MIN_PX, MAX_PX = 8, 4096


def add_sharded(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    score = actions.add_parser("score", help=_("how well each picture and its captions go together"))
    keep = actions.add_parser("filter", help=_("keep what goes together, once and safe"))
    latents = actions.add_parser("latents", help=_("encode the pictures once, for training"))
    for action in (score, keep, latents):
        action.add_argument("folder", type=Path, metavar="FOLDER", help=_("that jsd data import wrote"))
    add = score.add_argument
    add(
        "--output",
        type=Path,
        default=Path("scores.parquet"),
        metavar="FILE",
        help=_("gets key, similarity and more") + " (%(default)s)",
    )
    add("--scorer", type=Path, metavar="FOLDER", help=_("CLIP or SigLIP of transformers (weights/clip_ja)"))
    add("--checker", type=Path, metavar="FOLDER", help=_("model folder with a safety checker, for a score of it"))
    add = keep.add_argument
    add(
        "--scores",
        type=Path,
        default=Path("scores.parquet"),
        metavar="FILE",
        help=_("of jsd data score") + " (%(default)s)",
    )
    add(
        "--output", type=Path, default=Path("data/kept"), metavar="FOLDER", help=_("gets the corpus") + " (%(default)s)"
    )
    add(
        "--threshold", type=number, metavar="X", help=_("least similarity; default: where true and shuffled pairs part")
    )
    add(
        "--safety-threshold",
        type=number,
        default=0.0,
        metavar="X",
        help=_("highest score of the safety checker") + " (%(default)s)",
    )
    add("--keep-near-duplicates", action="store_true", help=_("do not drop pictures that look the same"))
    add = latents.add_argument
    add("--weights", type=Path, metavar="FOLDER", help=_("model folder whose VAE encodes"))
    add("--size", type=whole, metavar="PX", help=_("side of the pictures; default: the model's own"))
    for action in (score, latents):
        action.add_argument("--device", metavar="NAME", help=_("cuda, mps or cpu; default: the fastest there is"))
    for action in (score, keep, latents):
        add_engine_arguments(action)


def run_score(args: argparse.Namespace) -> None:
    from jsd.models.record import file_digest
    from jsd.scoring import scorer_folder
    from jsd.training.corpora.arrow import import_arrow
    from jsd.training.corpora.filtering import ScoreTask, area_under_curve
    from jsd.training.corpora.shards import Shards
    from jsd.training.sharding import gather

    check_engine(args)
    output = args.output.absolute()
    if output.is_dir():
        raise InvalidInputError(
            "scores.output",
            "{field} must be a file, and {value} is a folder; name one, as scores.parquet",
            field="output",
            value=args.output,
        )
    check_folder(output.parent, "output")
    shards = Shards.load_filled(args.folder.absolute())
    checker, folder = _checker(args.checker), scorer_folder(args.scorer)
    task = ScoreTask(shards, folder.absolute(), checker, args.device)
    about = [file_digest(folder / "model.safetensors") if (folder / "model.safetensors").is_file() else str(folder)]
    parts = gather(args.output, [*about, str(args.checker), shards.digest], len(shards.counts))
    _make(task, parts, args)
    arrow, parquet = import_arrow()
    table = arrow.concat_tables([parquet.read_table(part) for part in parts])
    from jsd.atomic import replacing_file

    args.output.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(args.output) as temporary:
        parquet.write_table(table, temporary)
    similarity, shuffled = (table[name].to_numpy() for name in ("similarity", "shuffled"))
    rows = [
        (_("pictures"), f"{len(table):,}"),
        (_("similarity of pictures and captions, on average"), f"{similarity.mean():.4f}"),
        (_("of shuffled pairs"), f"{shuffled.mean():.4f}"),
        (_("true above shuffled (AUC)"), f"{area_under_curve(similarity, shuffled):.4f}"),
    ]
    print(aligned(rows))
    print(args.output)


def run_filter(args: argparse.Namespace) -> None:
    import numpy as np

    from jsd.training.corpora.filtering import FilterTask, choose_threshold, draw_histogram, judge, read_scores
    from jsd.training.corpora.shards import (
        LEFT_OUT_FILE,
        Shards,
        check_apart,
        close_output,
        open_output,
        shard_path,
        write_left_out,
    )

    check_engine(args)
    check_folder(args.output, "output")
    check_apart(args.folder, args.output)
    shards = Shards.load_filled(args.folder.absolute())
    table = read_scores(args.scores, shards)
    similarity = table["similarity"].to_numpy().astype(float)
    has_shuffled = "shuffled" in table.column_names
    shuffled = table["shuffled"].to_numpy().astype(float) if has_shuffled else similarity[:0]
    threshold = _threshold(args, choose_threshold(similarity, shuffled) if has_shuffled else None)
    max_safety = _finite("safety_threshold", args.safety_threshold)
    out = judge(table, threshold, max_safety, not args.keep_near_duplicates)
    ends = np.cumsum([0, *shards.counts])
    kept = tuple(
        np.array([row - first for row in range(first, last) if row not in out], np.int64)
        for first, last in pairwise(ends)
    )
    description = {
        "source": str(args.folder.absolute()),
        "digest": shards.digest,
        "left_out": hashlib.sha256(repr(sorted(out)).encode()).hexdigest(),
    }
    open_output(args.output, description)
    _make(FilterTask(shards, kept), [shard_path(args.output, index) for index in range(len(kept))], args)
    noted = [out[row] for row in sorted(out)]
    write_left_out(args.output, noted)
    close_output(args.output, description, [len(one) for one in kept])
    draw_histogram(similarity, shuffled, threshold).save(args.output / "histogram.png")
    print(
        _(
            "{kept:,} of {pictures:,} pictures in {folder}",
            kept=len(table) - len(out),
            pictures=len(table),
            folder=args.output,
        )
    )
    print(_("threshold {threshold:.4f}", threshold=threshold))
    tell_noted(noted)
    for name in ("histogram.png", LEFT_OUT_FILE):
        print(args.output / name)


def run_latents(args: argparse.Namespace) -> None:
    from jsd.models.configs import read_json
    from jsd.models.folder import choose_folder
    from jsd.sizes import sample_size
    from jsd.training import modules
    from jsd.training.corpora.shards import Shards
    from jsd.training.streaming import LatentsTask, latents_paths

    check_engine(args)
    shards = Shards.load_filled(args.folder.absolute())
    model = choose_folder(args.weights).path.absolute()
    if not (model / "vae" / "config.json").is_file():
        raise InvalidInputError(
            "latents.vae",
            "{field} must be a model folder with a vae/, and {value} has none; try weights/mini",
            field="weights",
            value=model,
        )
    vae = modules.load("vae", model)
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    size = args.size
    if size is None:
        size = factor * min(sample_size(read_json(model / "unet" / "config.json")))
    whole_number("size", size, MIN_PX, MAX_PX)
    paths = latents_paths(shards, vae, size)
    paths[0].parent.mkdir(parents=True, exist_ok=True)
    _make(LatentsTask(shards, model, size, args.device), paths, args)
    size_bytes = sum(path.stat().st_size for path in paths)
    print(_("{pictures:,} pictures of {size} px in {bytes:,} bytes", pictures=len(shards), size=size, bytes=size_bytes))
    print(paths[0].parent)


def tell_noted(noted: "Sequence[Noted]") -> None:
    """Each reason with its count and its first names."""
    from jsd.training.corpora.shards import summed

    for reason, taken, count, names in summed(noted):
        said = _("made plain") if taken else _("left out")
        shown = printable(", ".join(names))
        print(f"{said}, {_(reason)}: {count:,}  {shown}{' …' if count > len(names) else ''}")


def _make(task: "Task", paths: list[Path], args: argparse.Namespace) -> None:
    """The files of all shards; a JsdError names those that could not be made, after all others are."""
    from tqdm import tqdm

    from jsd.devices import MODEL_FITS, out_of_memory
    from jsd.training.sharding import Engine, make_files

    engine = Engine(args.engine, args.workers, args.ray_address, getattr(args, "device", None))
    with tqdm(total=len(paths), unit=_("shard")) as bar, out_of_memory(MODEL_FITS):
        failures = make_files(task, paths, engine, bar.update)
    if failures:
        raise JsdError(
            "shards.failed",
            "{count} of {total} shards could not be worked on, the others are kept: {reasons}",
            count=len(failures),
            total=len(paths),
            reasons="; ".join(failures.values()),
        )


def _threshold(args: argparse.Namespace, chosen: float | None) -> float:
    if args.threshold is not None:
        return _finite("threshold", args.threshold)
    if chosen is None:
        raise InvalidInputError(
            "scores.shuffled",
            "{field} must be given, since {value} has no column shuffled to choose it from; give a number",
            field="threshold",
            value=args.scores,
        )
    return chosen


def _finite(field: str, value: float | str) -> float:
    if isinstance(value, str) or not math.isfinite(value):
        raise InvalidInputError(
            "scores.number", "{field} must be a number, got {value}; give one, as 0.2", field=field, value=repr(value)
        )
    return value


def _checker(folder: Path | None) -> Path | None:
    from jsd.models.verify import verify_part
    from jsd.models.weights import CHECKER, has_safety_checker

    if folder is not None and not has_safety_checker(folder):
        raise InvalidInputError(
            "scores.checker",
            "{field} must be a model folder with a safety_checker, and {value} has none; leave it out, or fetch one: "
            "jsd weights fetch",
            field="checker",
            value=folder,
        )
    if folder is None:
        return None
    for problem in verify_part(CHECKER, folder):
        raise problem
    return folder.absolute()  # a worker's working folder is another
