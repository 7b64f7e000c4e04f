"""jsd evaluate: draw the prompts, ask the judge, write the report."""

import argparse
import os
from pathlib import Path
from typing import Any

from jsd.cli.arguments import check_folder
from jsd.cli.numbers import number, whole
from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.options import SamplingOptions
from jsd.rules import whole_number

MAX_SEEDS = 100
MAX_TEXTS = 8  # of a LoRA file's own captions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--weights",
        type=Path,
        metavar="FOLDER",
        help=_("model folder (JSD_WEIGHTS, else weights/: rinna, tohoku-sdxl, mini)"),
    )
    corpus, output = Path("data/mini"), Path("outputs/evaluation")
    add(
        "--corpus",
        type=Path,
        default=corpus,
        metavar="FOLDER",
        help=_("a corpus of jsd data build or import; with --lora, its pictures") + " (%(default)s)",
    )
    add("--sprites", type=Path, metavar="FOLDER", help=_("of jsd data sprites: their designs count as right, too"))
    add(
        "--prompts",
        type=Path,
        metavar="FILE",
        help=_("other prompts, a line each; for the judge of drawings: group: prompt = emoji"),
    )
    add(
        "--lora",
        type=os.path.expanduser,
        metavar="FILE",
        help=_("how a LoRA file draws its own pictures (--corpus), and whether others stay"),
    )
    add(
        "--scorer",
        type=Path,
        metavar="FOLDER",
        help=_("the judge of --prompts or of an imported --corpus (weights/clip_ja)"),
    )
    add("--language", choices=("ja", "en"), default="ja", help=_("of the prompts") + " (%(default)s)")
    add("--split", choices=("dev", "test"), default="test", help=_("dev to choose, test to report") + " (%(default)s)")
    add("--seeds", type=whole, default=1, metavar="N", help=_("drawings of each prompt") + " (%(default)s)")
    add("--num-inference-steps", type=whole, default=25, metavar="N", help=_("Denoising steps.") + " (%(default)s)")
    add("--guidance-scale", type=number, metavar="W", help=_("Weight of the prompt. Unset: the model's own."))
    start, end = (
        _("Guidance begins at this share of the way from noise to picture."),
        _("Guidance ends at this share of the way from noise to picture."),
    )
    add("--guidance-start", type=number, default=0.0, metavar="S", help=start + " (%(default)s)")
    add("--guidance-end", type=number, default=1.0, metavar="S", help=end + " (%(default)s)")
    add(
        "--output",
        type=Path,
        default=output,
        metavar="FOLDER",
        help=_("for report and contact sheet") + " (%(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    from jsd.pipeline import Pipeline
    from jsd.training.corpora.corpus import Corpus
    from jsd.training.corpora.readers import STATE_FILE
    from jsd.training.corpora.sprites import SPRITES_FILE, Sprites
    from jsd.training.evaluation.evaluate import evaluate
    from jsd.training.evaluation.gallery import with_designs
    from jsd.training.evaluation.prompt_sets import make_prompts, read_prompts

    whole_number("seeds", args.seeds, 1, MAX_SEEDS)
    _options(args)
    check_folder(args.output, "output")
    if args.lora is not None:
        _check_no_scorer(args)
        _evaluate_lora(args)
        return
    is_imported = (args.corpus / STATE_FILE).is_file()
    if args.prompts is not None and (args.scorer is not None or is_imported or not args.corpus.is_dir()):
        _evaluate_prompts(args)
        return
    if is_imported:
        _evaluate_own(args)
        return
    _check_no_scorer(args)
    corpus = Corpus.load(args.corpus)
    if args.sprites is not None:
        corpus = with_designs(corpus, Sprites.load(args.sprites / SPRITES_FILE))
    if args.prompts is None:
        prompts, of = make_prompts(corpus, args.language, args.split), {"language": args.language, "split": args.split}
    else:
        prompts, of = read_prompts(args.prompts, corpus), {"prompts": args.prompts.name}
    report = evaluate(
        Pipeline.load(args.weights),
        corpus,
        prompts,
        of=of,
        seeds=args.seeds,
        options=_options(args),
        output=args.output,
    )
    labels = {"accuracy": _("accuracy"), "styles": _("by style"), "chance": _("chance"), "ceiling": _("ceiling")}
    for row, label in labels.items():
        cells = [f"{group} {v['top1']} / {v['top5']} ({v['drawings']})" for group, v in report[row].items()]  # type: ignore[attr-defined]
        if cells:
            print(_("{row}, top-1 / top-5 in percent (drawings): {cells}", row=label, cells=", ".join(cells)))
    print(args.output / "report.json")


def _check_no_scorer(args: argparse.Namespace) -> None:
    if args.scorer is not None:
        raise InvalidInputError(
            "evaluate.scorer",
            "{field} judges --prompts or an imported --corpus, not a corpus of jsd data build, and not --lora; got "
            "{value}; leave it out",
            field="scorer",
            value=args.scorer,
        )


def _options(args: argparse.Namespace) -> SamplingOptions:
    names = ("num_inference_steps", "guidance_scale", "guidance_start", "guidance_end")
    return SamplingOptions(prompt="", **{name: getattr(args, name) for name in names})


def _evaluate_prompts(args: argparse.Namespace) -> None:
    from jsd.pipeline import Pipeline
    from jsd.scoring import load_scorer
    from jsd.training.evaluation.own import evaluate_prompts, read_texts

    prompts = read_texts(args.prompts)
    scorer = load_scorer(args.scorer)
    report = evaluate_prompts(
        Pipeline.load(args.weights),
        prompts,
        scorer,
        of=args.prompts.name,
        seeds=args.seeds,
        options=_options(args),
        output=args.output,
    )
    for group, found in report["groups"].items():
        print(
            _(
                "{group}: similarity {similarity} to their prompts, {to_other_captions} to others; own prompt nearest "
                "in {top1} of 100, among five in {top5}, of {count}; {drawings} drawings",
                group=group,
                count=report["different_prompts"],
                **found,
            )
        )
    print(args.output / "report.json")


def _evaluate_own(args: argparse.Namespace) -> None:
    from jsd.pipeline import Pipeline
    from jsd.scoring import load_scorer
    from jsd.training.corpora.shards import Shards
    from jsd.training.evaluation.own import evaluate_own

    report = evaluate_own(
        Pipeline.load(args.weights),
        Shards.load(args.corpus),
        load_scorer(args.scorer),
        seeds=args.seeds,
        options=_options(args),
        output=args.output,
    )
    for row, label in (("drawings", _("drawings")), ("pictures", _("pictures"))):
        print(
            _(
                "{row}: similarity {similarity} to their captions, {to_other_captions} to others; own caption nearest "
                "in {top1} of 100, among five in {top5}, of {captions}",
                row=label,
                captions=report["captions"],
                **report[row],
            )
        )
    print(args.output / "report.json")


def _evaluate_lora(args: argparse.Namespace) -> None:
    from jsd.pipeline import Pipeline
    from jsd.prompting.emphasis import without_emphasis
    from jsd.training.adapters import trigger_of
    from jsd.training.evaluation.own import read_texts
    from jsd.training.evaluation.subject import evaluate_lora
    from jsd.training.lora import called, own_pictures
    from jsd.training.recipes import PRIOR_PROMPTS

    pipeline = Pipeline.load(args.weights)
    pipeline.adapters.apply([args.lora])  # what is wrong with the file is said before its pictures are looked for
    trigger = trigger_of(args.lora)
    own = own_pictures(args.corpus, trigger)
    captions = [called(caption, trigger) for one in own for caption in one.record.captions]
    texts = list(dict.fromkeys(without_emphasis(text) for text in (trigger, *captions) if text != ""))[:MAX_TEXTS]
    others = list(PRIOR_PROMPTS) if args.prompts is None else [text for _, text in read_texts(args.prompts)]
    report: dict[str, Any] = evaluate_lora(
        pipeline, args.lora, own, texts, others, seeds=args.seeds, options=_options(args), output=args.output
    )
    subject, moved = report["subject"], report["others"]["moved"]
    print(
        _(
            "the subject's distance to its pictures: without the file {without}, with it {with_file}; their own {its}",
            without=subject["without"],
            with_file=subject["with"],
            its="-" if subject["its_pictures"] is None else subject["its_pictures"],
        )
    )
    print(_("other prompts, distance to themselves without the file: {moved} of that between two prompts", moved=moved))
    print(args.output / "report.json")
