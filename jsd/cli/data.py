"""jsd data: build the corpus and its sprites from published packages, or describe it."""

import argparse
from pathlib import Path

from jsd.cli.arguments import check_folder
from jsd.i18n import _


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help=_("fetch the pinned packages and make pictures and captions from them"))
    sprites = actions.add_parser("sprites", help=_("fetch the pinned packages and pack what scenes are composed of"))
    sprites.add_argument(
        "--output", type=Path, default=Path("data/scenes"), metavar="FOLDER", help=_("gets the file") + " (%(default)s)"
    )
    describe = actions.add_parser("describe", help=_("count pictures and concepts, with sources and licences"))
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


def run(args: argparse.Namespace) -> None:
    from collections import Counter

    from jsd.training.corpora.corpus import Corpus, build_corpus
    from jsd.training.corpora.sprites import build_sprites
    from jsd.training.evaluation.prompt_sets import GROUPS, make_prompts

    if args.action == "sprites":
        check_folder(args.output, "output")
        check_folder(args.sources, "sources")
        print(build_sprites(list(Corpus.load(args.corpus).concepts), args.sources, args.output))
        return
    if args.action == "build":
        check_folder(args.corpus.absolute().parent, "corpus")
        check_folder(args.sources, "sources")
    corpus = build_corpus(args.corpus, args.sources) if args.action == "build" else Corpus.load(args.corpus)
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
