"""jsd data: pictures of anybody made into a corpus, looked at, scored, filtered; or the embedded model's own built."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jsd.cli.arguments import check_folder, say
from jsd.cli.columns import aligned
from jsd.cli.numbers import whole
from jsd.cli.sharded import add_sharded, run_filter, run_latents, run_score, tell_noted
from jsd.i18n import _
from jsd.rules import whole_number

if TYPE_CHECKING:
    from jsd.training.corpora.records import Noted, Record

MAX_COUNT = 10**9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_import(
        actions.add_parser("import", help=_("make a corpus of a folder of pictures, WebDataset or parquet files"))
    )
    build = actions.add_parser("build", help=_("fetch the pinned packages and make pictures and captions from them"))
    build.add_argument(
        "--from-sprites",
        type=Path,
        metavar="FOLDER",
        help=_("paint them of the sprites in it instead, without a network, as jsd data sprites makes them"),
    )
    sprites = actions.add_parser("sprites", help=_("fetch the pinned packages and pack what scenes are composed of"))
    _add_output(sprites, Path("data/scenes"), _("gets the file"))
    describe = actions.add_parser(
        "describe", help=_("count pictures, sizes, captions; of the embedded model's also licences")
    )
    describe.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help=_("that jsd data import wrote"))
    describe.add_argument(
        "--weights", type=Path, metavar="FOLDER", help=_("model folder whose vocabulary reads the captions")
    )
    add_sharded(actions)
    for action in (build, sprites):
        action.add_argument(
            "--sources",
            type=Path,
            default=Path("data/sources"),
            metavar="FOLDER",
            help=_("where packages are kept") + " (%(default)s)",
        )
    for action in (build, sprites, describe):
        action.add_argument(
            "--corpus",
            type=Path,
            default=Path("data/mini"),
            metavar="FOLDER",
            help=_("of the corpus, as jsd data build makes it") + " (%(default)s)",
        )


def _add_output(parser: argparse.ArgumentParser, default: Path, said: str) -> None:
    parser.add_argument("--output", type=Path, default=default, metavar="FOLDER", help=f"{said} (%(default)s)")


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help=_(
            "folder of pictures with .txt files or metadata.jsonl, .tar or .parquet files, a corpus of jsd data "
            "build, or sprites.zip for composed scenes"
        ),
    )
    _add_output(parser, Path("data/mine"), _("gets the corpus"))
    parser.add_argument("--image-column", metavar="NAME", help=_("of parquet files: the pictures"))
    parser.add_argument(
        "--caption-column", metavar="NAME", help=_("where captions stand, if it is not text or caption")
    )
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help=_("of composed scenes") + " (%(default)s)")
    said = _("of composed scenes: how many")
    parser.add_argument("--count", type=whole, default=1000, metavar="N", help=f"{said} (%(default)s)")
    parser.add_argument(
        "--corpus",
        type=Path,
        default=Path("data/mini"),
        metavar="FOLDER",
        help=_("whose concepts scenes show") + " (%(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    if args.action == "import":
        _import(args)
    elif args.action == "describe" and args.folder is not None and not _is_embedded(args.folder):
        _describe(args)
    else:
        if args.action == "describe" and args.folder is not None:
            args.corpus = args.folder
        {"score": run_score, "filter": run_filter, "latents": run_latents}.get(args.action, _built)(args)


def _is_embedded(folder: Path) -> bool:
    """A corpus that jsd data build made."""
    return (folder / "pictures.npy").is_file()


def _import(args: argparse.Namespace) -> None:
    from jsd.training.corpora.shards import LEFT_OUT_FILE, check_apart, fingerprint, import_pictures

    check_folder(args.output, "output")
    for field in ("seed", "count"):
        whole_number(field, getattr(args, field), 0, MAX_COUNT)
    items = _source(args)
    check_apart(args.source, args.output)
    names = ("image_column", "caption_column", "seed", "count")
    description = {
        "source": str(args.source.absolute()),
        "files": fingerprint(args.source),
        **{name: getattr(args, name) for name in names},
    }
    from tqdm import tqdm

    with tqdm(unit=_("picture"), desc=str(args.source)) as bar:

        def tell(num_read: int) -> None:
            bar.update(num_read - bar.n)

        shards, noted = import_pictures(items, description, args.output, tell)
    print(_("{pictures:,} pictures in {folder}", pictures=len(shards), folder=args.output))
    tell_noted(noted)
    if noted:
        print(args.output / LEFT_OUT_FILE)
    if len(shards) == 0:
        say(_("no picture can be used; put NAME.txt with its caption beside each, or see docs/own-pictures.md"))


def _source(args: argparse.Namespace) -> "Iterator[Record | Noted]":
    if _is_embedded(args.source):
        from jsd.training.corpora.made import read_corpus

        return read_corpus(args.source)
    if args.source.name == "sprites.zip":
        from jsd.training.corpora.made import compose_scenes

        return compose_scenes(args.source, args.corpus, args.seed, args.count)
    from jsd.training.corpora.readers import read_source

    return read_source(args.source, args.image_column, args.caption_column)


def _describe(args: argparse.Namespace) -> None:
    from jsd.models.folder import choose_folder
    from jsd.training.corpora.describing import SHEET, describe, write_sheet
    from jsd.training.corpora.shards import Shards

    shards = Shards.load_filled(args.folder)
    print(aligned(list(describe(shards, choose_folder(args.weights).tokenizer))))
    print(write_sheet(shards, args.folder / SHEET))


def _built(args: argparse.Namespace) -> None:
    from collections import Counter

    from jsd.training.corpora.corpus import Corpus, build_corpus, repaint_corpus
    from jsd.training.corpora.sprites import SPRITES_FILE, Sprites, build_sprites
    from jsd.training.evaluation.prompt_sets import GROUPS, make_prompts

    if args.action == "sprites":
        check_folder(args.output, "output")
        check_folder(args.sources, "sources")
        print(build_sprites(list(Corpus.load(args.corpus).concepts.values()), args.sources, args.output))
        return
    if args.action == "build":
        check_folder(args.corpus.absolute().parent, "corpus")
        check_folder(args.sources, "sources")
    if args.action == "describe":
        corpus = Corpus.load(args.corpus)
    elif args.from_sprites is not None:
        corpus = repaint_corpus(args.corpus, Sprites.load(args.from_sprites / SPRITES_FILE))
    else:
        corpus = build_corpus(args.corpus, args.sources)
    records = corpus.records
    pairs = {(record.code, record.style) for record in records}
    unseen = {(record.code, record.style) for record in records if record.unseen}
    counted = {"pictures": len(records), "concepts": len(corpus.concepts), "folder": args.corpus}
    print(_("{pictures} pictures of {concepts} concepts in {folder}", **counted))
    print(_("Japan split: {concepts} concepts", concepts=sum(one.japan for one in corpus.concepts.values())))
    print(
        _("sound words: {concepts} concepts", concepts=sum(bool(one.onomatopoeia) for one in corpus.concepts.values()))
    )
    print(_("unseen pairs: {unseen} of {pairs} (concept, style) pairs", unseen=len(unseen), pairs=len(pairs)))
    prompts = make_prompts(corpus, "ja", "test")
    for group in GROUPS:
        rights = [prompt.right for prompt in prompts if prompt.group == group]
        concepts = len(set().union(*rights))
        print(
            _(
                "prompts of the test split, {group}: {prompts} for {concepts} concepts",
                group=group,
                prompts=len(rights),
                concepts=concepts,
            )
        )
    for (source, licence), count in Counter((record.source, record.licence) for record in records).items():
        print(_("{count:6} pictures from {source}, {licence}", count=count, source=source, licence=licence))
