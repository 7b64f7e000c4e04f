"""jsd generate PROMPT [--seed N] [--image FILE [--mask FILE]] ... [--output-dir outputs]"""

import argparse
import errno
import os
import sys
from dataclasses import replace
from pathlib import Path

from jsd.cli.numbers import check_whole, number, whole
from jsd.errors import InvalidInputError
from jsd.i18n import _
from jsd.models.folder import choose_folder
from jsd.options import LONG_PROMPT, MAX_SEED, MAX_SIDE_PX, UNKNOWN_WORDS, SamplingOptions
from jsd.prompting.styles import STYLES, with_style
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.schedulers import SCHEDULERS

OUTPUT_FORMATS = ("png", "webp", "jpg")
# As long as any that is made in an output folder.
LONGEST_NAME = "n" * 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = SamplingOptions
    add = parser.add_argument
    add("prompt", metavar="PROMPT", help=_("What to draw, in Japanese."))
    add(
        "--negative-prompt",
        default=defaults.negative_prompt,
        metavar="TEXT",
        help=_("What the picture should not show."),
    )
    add(
        "--width",
        type=whole,
        metavar="PX",
        help=_("Pixels. Unset: the image's or the model's own.") + f" 1-{MAX_SIDE_PX}",
    )
    add(
        "--height",
        type=whole,
        metavar="PX",
        help=_("Pixels. Unset: the image's or the model's own.") + f" 1-{MAX_SIDE_PX}",
    )
    add(
        "--num-outputs",
        type=whole,
        default=defaults.num_outputs,
        metavar="N",
        help=_("Number of pictures.") + " 1-4 (%(default)s)",
    )
    add(
        "--num-inference-steps",
        type=whole,
        default=defaults.num_inference_steps,
        metavar="N",
        help=_("Denoising steps.") + " 1-500 (%(default)s)",
    )
    add("--guidance-scale", type=number, metavar="W", help=_("Weight of the prompt. Unset: the model's own.") + " 1-20")
    add(
        "--scheduler",
        default=defaults.scheduler,
        metavar="NAME",
        help=_("Sampling method.") + f" {', '.join(SCHEDULERS)} (%(default)s)",
    )
    add(
        "--seed", type=whole, metavar="N", help=_("Picture i uses seed + i. Unset: drawn at random.") + f" 0-{MAX_SEED}"
    )
    add("--image", type=Path, metavar="FILE", help=_("Picture to start from."))
    add("--mask", type=Path, metavar="FILE", help=_("White is repainted, black stays as in image."))
    add(
        "--prompt-strength",
        type=number,
        default=defaults.prompt_strength,
        metavar="S",
        help=_("With image: 0 keeps the picture, 1 nothing of it.") + " 0-1 (%(default)s)",
    )
    add_prompt_arguments(parser)
    add_safety_arguments(parser)
    add_model_arguments(parser)
    add_output_arguments(parser)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--weights", type=Path, metavar="FOLDER", help=_("model folder (JSD_WEIGHTS, else weights/rinna, else mini)"))
    add("--device", metavar="NAME", help=_("cuda, mps or cpu; default: the fastest there is"))
    add("--dtype", metavar="NAME", help=_("float32, float16 or bfloat16; default: the fastest there is"))


def add_output_arguments(parser: argparse.ArgumentParser, format: str | None = OUTPUT_FORMATS[0]) -> None:
    """`format` None: that of the FILE which the command reads."""
    add = parser.add_argument
    add(
        "--output-dir",
        type=Path,
        default=Path("outputs"),
        metavar="FOLDER",
        help=_("for the pictures") + " (%(default)s)",
    )
    shown = _("that of FILE") if format is None else format
    names = ", ".join(OUTPUT_FORMATS)
    add("--output-format", default=format, metavar="NAME", help=_("PNG keeps every pixel.") + f" {names} ({shown})")
    add(
        "--output-quality",
        type=whole,
        default=80,
        metavar="N",
        help=_("Quality of webp and jpg; png has none.") + " 0-100 (%(default)s)",
    )
    add("--no-metadata", action="store_true", help=_("do not write into the files what made them"))


def add_prompt_arguments(parser: argparse.ArgumentParser) -> None:
    """What a prompt gains, and what to do with one that the model cannot read as it is."""
    parser.add_argument("--style", metavar="NAME", help=_("A style, put behind the prompt:") + f" {' '.join(STYLES)}")
    parser.add_argument(
        "--unknown-words",
        default=SamplingOptions.unknown_words,
        metavar="|".join(UNKNOWN_WORDS),
        help=_("Unreadable words: warn, or replace by kana.") + " (%(default)s)",
    )
    parser.add_argument(
        "--long-prompt",
        default=SamplingOptions.long_prompt,
        metavar="|".join(LONG_PROMPT),
        help=_("Too long for the model: chunk, or truncate.") + " (%(default)s)",
    )


def add_safety_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--disable-safety-checker", action="store_true", help=_("Return flagged pictures too."))
    parser.add_argument(
        "--safety-threshold",
        type=number,
        default=SamplingOptions.safety_threshold,
        metavar="T",
        help=_("Withhold scores above it; 0 is standard.") + " -0.1-0.1 (%(default)s)",
    )


def run(args: argparse.Namespace) -> None:
    options = SamplingOptions(
        prompt=args.prompt,
        negative_prompt=args.negative_prompt,
        width=args.width,
        height=args.height,
        num_outputs=args.num_outputs,
        num_inference_steps=args.num_inference_steps,
        guidance_scale=args.guidance_scale,
        scheduler=args.scheduler,
        seed=args.seed,
        image=args.image,
        mask=args.mask,
        prompt_strength=args.prompt_strength,
        unknown_words=args.unknown_words,
        long_prompt=args.long_prompt,
        disable_safety_checker=args.disable_safety_checker,
        safety_threshold=args.safety_threshold,
    )
    check_output(args)
    folder, reason = choose_folder(args.weights)
    if args.style is not None:
        tokenizer = JapaneseTokenizer.load(folder / "tokenizer")
        options = replace(options, prompt=with_style(tokenizer, options.prompt, args.style))

    # Here, because they import torch: a mistake in the arguments is answered before.
    from tqdm import tqdm

    from jsd.images import save_image
    from jsd.images.saving import unused_path
    from jsd.pipeline import Pipeline

    pipeline = Pipeline.load(folder, device=args.device, dtype=args.dtype)
    for line in pipeline.introduction(reason):
        _say(line)

    job = pipeline.prepare(options)
    for warning in job.prompts[0].warnings():
        _say(warning)
    # disable=None: no bar where standard error is not a terminal.
    for _state in tqdm(pipeline.denoise(job), total=len(job.start.timesteps), disable=None, leave=False):
        pass
    pictures = pipeline.finish(job)
    for withheld in job.withheld:
        _say(str(withheld))
    args.output_dir.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        path = unused_path(args.output_dir, f"jsd-{picture.seed}", f".{args.output_format}")
        metadata = None if args.no_metadata else picture.metadata
        save_image(picture.image, path, quality=args.output_quality, metadata=metadata)
        print(f"{path}  seed {picture.seed}  {sum(picture.seconds.values()):.2f} s")


def check_output(args: argparse.Namespace) -> None:
    """Before minutes of work, not after."""
    if args.output_format not in OUTPUT_FORMATS:
        names, value = ", ".join(OUTPUT_FORMATS), repr(args.output_format)
        raise InvalidInputError(
            "options.choice",
            "{field} must be one of {choices}; got {value}",
            field="output_format",
            choices=names,
            value=value,
        )
    check_whole("output_quality", args.output_quality, 0, 100)
    check_folder(args.output_dir, "output_dir")


def check_folder(folder: Path, field: str) -> None:
    """That `folder` can be made and written to; a disk may still be full later."""
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


def _say(sentence: str) -> None:
    print(f"jsd: {sentence}", file=sys.stderr)
