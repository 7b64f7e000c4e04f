"""jsd generate PROMPT [--seed N] [--image FILE [--mask FILE]] ... [--output-dir outputs]"""

import argparse

from jsd.cli.arguments import (
    add_model_arguments,
    add_options,
    add_output_arguments,
    check_folder,
    chosen_model,
    given_options,
    make_options,
    say,
)
from jsd.engines import choose_engine
from jsd.prompting.styles import check_style, readable_styles


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    add_model_arguments(parser)
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> None:
    options = make_options(given_options(args))
    check_folder(args.output_dir, "output_dir")
    engine = choose_engine(args.engine)
    folder = chosen_model(args)
    if options.style != "":
        check_style(readable_styles(folder.tokenizer), options.style)

    # Here, because it imports torch: a mistake in the arguments is answered before.
    from jsd.lean import load_alone

    pipeline = load_alone(folder, args.device, args.dtype, engine)
    for line in pipeline.introduction(folder.reason):
        say(line)
    job = pipeline.prepare(options)
    for note in job.notes:
        say(note)
    pipeline.run(job)
    pictures = pipeline.finish(job)
    for note in job.withheld:
        say(note)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        path = picture.save_unused(args.output_dir, with_metadata=not args.no_metadata)
        print(f"{path}  seed {picture.seed}  {sum(picture.seconds.values()):.2f} s")
