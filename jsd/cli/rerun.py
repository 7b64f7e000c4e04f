"""jsd rerun FILE: draw a picture again from what its file says, and say whether it is the same."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsd.cli.arguments import add_options, add_output_arguments, check_folder, given_options, say
from jsd.engines import OPENVINO, TORCH
from jsd.errors import GenerationError, InvalidInputError, MissingExtraError, ModelFolderError, UnsafeImagesError
from jsd.i18n import _
from jsd.images.opening import open_image
from jsd.models.configs import read_json
from jsd.models.folder import PARTS, ModelFolder, choose_folder, folder_named
from jsd.models.weights import UPSCALER, find_weights
from jsd.options import SamplingOptions
from jsd.recorded import read_record, recorded_request

if TYPE_CHECKING:
    from jsd.job import GeneratedImage
    from jsd.pipeline import Pipeline

# Our own batches hold four; a file may claim anything.
MAX_BATCH = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help=_("a picture by jsd"))
    add("--weights", type=Path, metavar="FOLDER", help=_("model folder; default: that of its name in weights/"))
    add("--vae", type=Path, metavar="FOLDER", help=_(PARTS["vae"].help))
    add("--image", type=Path, metavar="PICTURE", help=_("what it started from; default: that name beside FILE"))
    add("--mask", type=Path, metavar="PICTURE", help=_("its mask; default: that name beside FILE"))
    add("--force", action="store_true", help=_("draw even where it cannot become the same picture"))
    add_options(parser, ("loras", "output_format", "output_quality"))
    add_output_arguments(parser)


def run(args: argparse.Namespace) -> None:
    record = read_record(args.file)
    check_folder(args.output_dir, "output_dir")
    chosen = {name: value for name, value in given_options(args).items() if name not in ("image", "mask", "loras")}
    pictures = {"image": args.image, "mask": args.mask}
    options = recorded_request(
        record, args.file.parent, chosen=chosen, pictures=pictures, loras=vars(args).get("loras", [])
    )
    model = _model(record, args.weights, args.vae, force=args.force)
    if not args.force:
        _check_digest(model, record)
        _check_upscaler(model.path, record)
    picture = _draw(_load(model, record, args.force), options, record, args.force)
    args.output_dir.mkdir(parents=True, exist_ok=True)
    path = picture.save_unused(args.output_dir, with_metadata=not args.no_metadata)
    metadata = picture.metadata
    same = metadata["pixels_sha256"] == record.get("pixels_sha256")
    is_edited = _is_edited(args.file, record)
    print(f"{path}  seed {picture.seed}  {'=' if same and not is_edited else '≠'} {args.file}")
    if same and is_edited and not args.force:
        raise GenerationError(
            "rerun.edited",
            "{path} is what the record of {file} says, and {file} shows something else: another program has changed "
            "it since; --force takes that",
            path=path,
            file=args.file,
        )
    if not same and not args.force:
        names = ("jsd", "torch", "diffusers", *([OPENVINO] if OPENVINO in record else []))
        here, there = (", ".join(f"{name} {one.get(name)}" for name in names) for one in (metadata, record))
        raise GenerationError(
            "rerun.differs",
            "{path} is not the same picture as {file}: drawn here by {here}, there by {there}; "
            "only the same machine and versions give every bit",
            path=path,
            file=args.file,
            here=here,
            there=there,
        )


def _is_edited(file: Path, record: dict[str, Any]) -> bool:
    """Whether its pixels are no longer those that were drawn: to be seen where a format keeps every pixel."""
    from jsd.models.record import pixel_digest

    with open_image(file, "FILE") as image:
        return image.format == "PNG" and pixel_digest(image.convert("RGB")) != record.get("pixels_sha256")


def _model(record: dict[str, Any], weights: Path | None, vae: Path | None, *, force: bool) -> ModelFolder:
    """With the VAE that drew the picture: where that was the model's own, one of the environment has no say."""
    model = choose_folder(_folder(record, weights), {"vae": vae})
    wanted = record.get("vae")
    if wanted is None and vae is None:
        return replace(model, parts={name: path for name, path in model.parts.items() if name != "vae"})
    if wanted is None and not force:
        raise InvalidInputError(
            "rerun.own_vae",
            "{field} must be left out, for the picture was drawn with the model's own VAE, got {value}; or use --force",
            field="--vae",
            value=vae,
        )
    if wanted is not None and "vae" not in model.parts:
        raise InvalidInputError(
            "rerun.vae",
            "{field} must be the VAE that the picture was drawn with, {value}; name its folder",
            field="--vae",
            value=wanted,
        )
    return model


def _check_digest(model: ModelFolder, record: dict[str, Any]) -> None:
    from jsd.models.record import folder_digest

    folder, vae = model.path, model.parts.get("vae")
    digest, wanted = folder_digest(folder, vae), str(record.get("model_sha256"))
    if digest == wanted:
        return
    commit = _earlier_editions(folder).get(wanted)
    said = {"model": record.get("model"), "wanted": wanted[:10], "folder": folder, "found": digest[:10]}
    if commit is not None:
        raise ModelFolderError(
            "rerun.earlier_edition",
            "the picture was drawn by an earlier edition of {model}, with the digest {wanted}; it is in this "
            "repository's history: git archive {commit} weights/mini | tar -x -C FOLDER, then name it with "
            "--weights FOLDER/weights/mini, or use --force",
            commit=commit,
            **said,
        )
    if vae is not None:
        raise ModelFolderError(
            "rerun.other_vae",
            "the picture was drawn by {model} with the VAE {vae}, together of the digest {wanted}, and {folder} with "
            "{other} has {found}; name their folders with --weights and --vae, or use --force",
            vae=record.get("vae"),
            other=vae,
            **said,
        )
    raise ModelFolderError(
        "rerun.other_model",
        "the picture was drawn by {model} with the digest {wanted}, and {folder} has "
        "{found}; name its folder with --weights, or use --force",
        **said,
    )


def _check_upscaler(folder: Path, record: dict[str, Any]) -> None:
    """The model's digest leaves it out, for a picture that is not enlarged does not depend on it."""
    from jsd.models.record import file_digest

    weights = find_weights(folder / UPSCALER, UPSCALER)
    digest = "-" if weights is None else file_digest(weights.files[0])
    wanted = str(record.get("upscaler_sha256", digest))
    if record.get("upscale", 1) != 1 and digest != wanted:
        raise ModelFolderError(
            "rerun.upscaler",
            "the picture was enlarged by the upscaler with the digest {wanted}, and {folder} has {found}; name the "
            "folder that has it with --weights, or use --force",
            wanted=wanted[:10],
            folder=folder,
            found=digest[:10],
        )


def _folder(record: dict[str, Any], explicit: Path | None) -> Path:
    named = folder_named(str(record.get("model"))) if explicit is None else None
    return named if named is not None else choose_folder(explicit).path


def _earlier_editions(folder: Path) -> dict[str, str]:
    """digest -> the commit that had it, as the folder's editions.json says."""
    path = folder / "editions.json"
    return read_json(path) if path.is_file() else {}


def _load(folder: ModelFolder, record: dict[str, Any], force: bool) -> "Pipeline":
    from jsd.lean import load_alone

    engine = OPENVINO if OPENVINO in record else TORCH
    try:
        return load_alone(folder, str(record.get("device")), str(record.get("dtype")), engine)
    except InvalidInputError as error:
        if not force:
            raise InvalidInputError(
                "rerun.device",
                "the picture was drawn on {device} in {dtype}, and this machine cannot ({reason}); use --force to draw "
                "it with what there is",
                field="device",
                device=record.get("device"),
                dtype=record.get("dtype"),
                reason=str(error),
            ) from error
    except MissingExtraError:
        if not force:
            raise
    return load_alone(folder)


def _draw(pipeline: "Pipeline", options: SamplingOptions, record: dict[str, Any], force: bool) -> "GeneratedImage":
    """The picture, in its place of a batch as large as that it came from: rounding differs between sizes."""
    from jsd.models.record import input_digests

    index, size = _place(record.get("batch"), force)
    job = pipeline.prepare([options] * size)
    for key, digest in input_digests(image=job.inputs.image, mask=job.inputs.mask).items():
        if digest != record.get(key) and not force:
            field = key.removesuffix("_sha256")
            raise InvalidInputError(
                "rerun.other_picture",
                "{field} must be the picture that it was drawn from, and {value} is another; pass "
                "that one, or use --force",
                field=f"--{field}",
                value=getattr(options, field),
            )
    if not force and _digests(job.lora_files) != _digests(record.get("lora_files", [])):
        raise InvalidInputError(
            "rerun.other_lora",
            "{field} must be the files that it was drawn with ({value}), and one is another; pass those, or use "
            "--force",
            field="--lora",
            value=", ".join(options.loras),
        )
    for note in job.notes:
        say(note)
    pipeline.run(job)
    drawn = [picture for picture in pipeline.finish(job) if picture.provenance["batch"] == [index, size]]
    if not drawn:
        raise UnsafeImagesError(job.withheld)
    return drawn[0]


def _place(batch: object, force: bool) -> tuple[int, int]:
    if isinstance(batch, list) and len(batch) == 2 and all(type(number) is int for number in batch):
        index, size = batch
        if 0 <= index < size <= MAX_BATCH:
            return index, size
        if 0 <= index < size and force:
            return 0, 1
        if 0 <= index < size:
            raise InvalidInputError(
                "rerun.large_batch",
                "{field} must be of at most {limit} pictures to be drawn again, and this one was drawn among {value}; "
                "--force draws it alone, in which its last bits may differ",
                field="batch",
                limit=MAX_BATCH,
                value=size,
            )
    raise InvalidInputError(
        "rerun.batch",
        "{field} must be a place and a size of at most {limit}, the file says {value}; its record is damaged",
        field="batch",
        limit=MAX_BATCH,
        value=repr(batch)[:100],
    )


def _digests(lora_files: Any) -> list[object]:
    try:
        return [one["sha256"] for one in lora_files]
    except (TypeError, LookupError) as error:
        raise InvalidInputError(
            "rerun.lora_files",
            "{field} must be files with their SHA-256, the file says {value}; its record is damaged",
            field="lora_files",
            value=repr(lora_files)[:100],
        ) from error
