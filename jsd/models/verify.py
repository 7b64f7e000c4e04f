"""Whether a model folder is whole: the same files, names and networks that loading takes, without their values."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from jsd.errors import ModelFolderError, first_line
from jsd.models.configs import check_noise_schedule, check_values, guidance_scale, read_json, unbuildable
from jsd.models.record import file_digest
from jsd.models.weights import (
    CHECKER,
    MODELS,
    PROCESSOR_FILE,
    SECOND_ENCODER,
    TINY_VAE,
    WEIGHT_STEMS,
    Shapes,
    checker_places,
    find_weights,
    has_safety_checker,
    networks_of,
    read_shapes,
    vae_place,
)
from jsd.prompting.tokenizer import VOCABULARY_FILE, JapaneseTokenizer
from jsd.sizes import vae_factor

PART_CLASSES = {"vae": ("AutoencoderKL", TINY_VAE), CHECKER: ("StableDiffusionSafetyChecker",)}
SCALING_FACTOR = 0.18215  # Stable Diffusion's, of configs of 2022, which name none
READING = ("do_lower_case", "model_max_length")  # beside the vocabulary; the padding differs in SDXL itself

_Rule = tuple[str, Any, str, Any, bool]  # a part, its value, another, what that allows, whether they fit


def verify_folder(folder: Path | str) -> list[ModelFolderError]:
    """Everything that keeps a model folder from loading; headers and configs are read, not the weights."""
    folder = Path(folder)
    if not folder.is_dir():
        return [
            ModelFolderError(
                "folder.missing", "{path} is not a folder; name a model folder in the diffusers layout", path=folder
            )
        ]
    return list(_problems(folder))


def _problems(folder: Path) -> Iterator[ModelFolderError]:
    if (folder / "model_index.json").exists():
        yield from _caught(read_json, folder / "model_index.json")
    yield from _caught(guidance_scale, folder)
    yield from _caught(check_noise_schedule, folder / "scheduler" / "scheduler_config.json")
    expected: dict[str, Shapes] = {}
    networks = networks_of(folder)
    for component in (*networks, CHECKER) if has_safety_checker(folder) else networks:
        try:
            expected[component] = checked_shapes(component, folder / component / "config.json")
        except ModelFolderError as error:
            yield error
        yield from _weight_problems(folder / component, component, expected.get(component))
    if has_safety_checker(folder):
        yield from _caught(_load_processor, folder)
    elif _names_safety_checker(folder):
        yield ModelFolderError(
            "safety.missing",
            "{path} must be there, for model_index.json names it, and nothing else would check "
            'the pictures; fetch or copy the folder again, or write "safety_checker": [null, '
            "null] into model_index.json to do without",
            path=folder / CHECKER,
        )
    for name in _tokenizers(folder):
        yield from _caught(JapaneseTokenizer.load, folder / name)
    if expected.keys() >= set(networks):
        yield from _misfits(folder, expected)


def verify_network(place: Path, component: str) -> list[ModelFolderError]:
    """Everything that keeps one network from loading, whose own folder is `place`."""
    try:
        expected = checked_shapes(component, place / "config.json")
    except ModelFolderError as error:
        return [error]
    return list(_weight_problems(place, component, expected))


def part_kind(folder: Path) -> str | None:
    """ "vae" or "safety_checker" of a folder that is that part of a model alone."""
    if not folder.is_dir():
        return None
    if has_safety_checker(folder) and not any((folder / name).is_dir() for name in MODELS):
        return CHECKER
    if not (folder / "config.json").is_file():
        return None
    named = _class_name(read_json(folder / "config.json"))
    return next((kind for kind, classes in PART_CLASSES.items() if named in classes), None)


def _class_name(config: dict[str, Any]) -> object:
    architectures = config.get("architectures")
    return config.get("_class_name", architectures[0] if isinstance(architectures, list) and architectures else None)


def verify_part(kind: str, folder: Path) -> list[ModelFolderError]:
    """Everything that keeps `folder` from standing in for a part of a model: `kind` "vae" or "safety_checker"."""
    return list(_part_problems(kind, folder))


def _part_problems(kind: str, folder: Path) -> Iterator[ModelFolderError]:
    place = checker_places(folder)[0] if kind == CHECKER else vae_place(folder)
    try:
        config = read_json(place / "config.json")
        named = _class_name(config)
        if named is not None and named not in PART_CLASSES[kind]:
            raise ModelFolderError(
                "folder.other_class",
                "{path} must be of the class {classes}, and is of {found}; name another folder",
                path=place / "config.json",
                classes=" / ".join(PART_CLASSES[kind]),
                found=named,
            )
        expected = checked_shapes(kind, place / "config.json")
    except ModelFolderError as error:
        yield error
        return
    yield from _weight_problems(place, kind, expected)
    if kind == CHECKER:
        yield from _caught(_load_processor, folder)


def check_vae(folder: Path, vae: Path) -> None:
    """ModelFolderError where a whole VAE does not fit the model whose own it stands in for."""
    own, other = (read_json(vae_place(one) / "config.json") for one in (folder, vae))
    rules: dict[str, Callable[[dict[str, Any]], object]] = {
        "latent_channels": lambda config: config.get("latent_channels", 4),
        "factor": vae_factor,
        # TAESD's is 1: it takes latents as the UNet gives them.
        "scaling_factor": lambda config: config.get("scaling_factor", SCALING_FACTOR),
    }
    if TINY_VAE in (own.get("_class_name"), other.get("_class_name")):
        del rules["scaling_factor"]
    for name, value in rules.items():
        if value(own) != value(other):
            raise ModelFolderError(
                "folder.other_vae",
                "{path} must be a VAE of this model's kind: its {name} is {value}, and the model's {wanted}; take one "
                "made for the model's family",
                path=vae,
                name=name,
                value=value(other),
                wanted=value(own),
            )


def _caught(read: Callable[[Path], object], path: Path) -> Iterator[ModelFolderError]:
    try:
        read(path)
    except ModelFolderError as error:
        yield error


def _names_safety_checker(folder: Path) -> bool:
    try:
        index = read_json(folder / "model_index.json")
    except ModelFolderError:
        return False
    return index.get(CHECKER) not in (None, [None, None])


def _load_processor(folder: Path) -> None:
    from jsd.models.components import load_image_processor

    path = checker_places(folder)[1] / PROCESSOR_FILE
    read_json(path)
    try:
        load_image_processor(folder)
    except Exception as error:  # what a wrong value raises is up to transformers
        raise unbuildable(path, first_line(error)) from error


def checked_shapes(component: str, path: Path) -> Shapes:
    """The shape of every tensor that the config.json at `path` calls for; ModelFolderError where it cannot be built."""
    from jsd.models.components import expected_shapes

    config = read_json(path)
    try:
        check_values(path, config)
        return expected_shapes(component, config)
    except ModelFolderError:
        raise
    except Exception as error:  # what a wrong value raises is up to diffusers and transformers
        raise unbuildable(path, first_line(error)) from error


def _weight_problems(place: Path, component: str, expected: Shapes | None) -> Iterator[ModelFolderError]:
    weights = find_weights(place, component)
    if weights is None:
        names = [f"{WEIGHT_STEMS[component][0]}.safetensors", f"{WEIGHT_STEMS[component][1]}.bin"]
        yield ModelFolderError(
            "folder.no_weights",
            "{path} must hold its weights as {names}, and holds none of them; copy or fetch the folder again",
            path=place,
            names=" / ".join(names),
        )
        return
    for path in weights.missing:
        yield ModelFolderError(
            "folder.no_shard",
            "{path} is missing, without which the other shards are of no use; copy or fetch it again",
            path=path,
        )
    damaged = [error for path in weights.files for error in _caught(read_shapes, path)]
    yield from damaged
    if expected is not None and not weights.missing and not damaged:
        yield from _shape_problems(place, expected, weights.shapes())


def _shape_problems(
    folder: Path, expected: Shapes, found: dict[str, tuple[Path, str, tuple[int, ...]]]
) -> Iterator[ModelFolderError]:
    for name, shape in expected.items():
        if name not in found:
            yield ModelFolderError(
                "folder.tensor_missing",
                "{path}: the tensor {name} {shape} of config.json is missing",
                path=folder,
                name=name,
                shape=list(shape),
            )
        elif found[name][2] != shape:
            yield ModelFolderError(
                "folder.tensor_misshapen",
                "{path}: the tensor {name} must have the shape {shape} of config.json, and has {found}",
                path=found[name][0],
                name=name,
                shape=list(shape),
                found=list(found[name][2]),
            )
    for name in sorted(found.keys() - expected.keys()):
        path, own_name, _shape = found[name]
        yield ModelFolderError(
            "folder.tensor_unexpected",
            "{path}: the tensor {name} has no place in config.json",
            path=path,
            name=own_name,
        )


def _misfits(folder: Path, expected: dict[str, Shapes]) -> Iterator[ModelFolderError]:
    """Parts that are whole and do not fit one another."""
    text, unet = expected["text_encoder"], expected["unet"]
    width = text["embeddings.token_embedding.weight"][1]
    second = expected.get(SECOND_ENCODER)
    in_channels, out_channels = unet["conv_in.weight"][1], unet["conv_out.weight"][0]
    channels = read_json(folder / "vae" / "config.json").get("latent_channels", 4)  # of both classes
    config = read_json(folder / "unet" / "config.json")
    name = "cross_attention_dim" if config.get("encoder_hid_dim") is None else "encoder_hid_dim"
    kind, has_second = config.get("addition_embed_type"), second is not None
    if second is not None:
        width += second["text_model.embeddings.token_embedding.weight"][1]
    rules: list[_Rule] = [
        ("text_encoder hidden_size", width, f"unet {name}", config.get(name), width == config.get(name)),
        ("unet addition_embed_type", kind, "text_encoder_2", has_second, (kind == "text_time") == has_second),
        ("vae latent_channels", channels, "unet in_channels", in_channels, channels == in_channels),
        ("vae latent_channels", channels, "unet out_channels", out_channels, channels == out_channels),
    ]
    if second is not None and kind == "text_time":
        # Beside the pooled text stand six numbers (see jsd.conditioning), each as so many waves.
        pooled, waves = second["text_projection.weight"][0], config.get("addition_time_embed_dim")
        name, wanted = "projection_class_embeddings_input_dim", pooled + 6 * waves if type(waves) is int else None
        rules.append(
            ("text_encoder_2 projection_dim", wanted, f"unet {name}", config.get(name), wanted == config.get(name))
        )
    with suppress(ModelFolderError):  # the caller names it
        rules += _rules_of_tokenizers(folder, expected)
    for part, value, other, limit, fits in rules:
        if not fits:
            yield ModelFolderError(
                "folder.misfit",
                "these parts do not belong together: {part} is {value} and {other} is {limit}; take "
                "both from the same model",
                part=part,
                value=value,
                other=other,
                limit=limit,
            )


def _rules_of_tokenizers(folder: Path, expected: dict[str, Shapes]) -> list[_Rule]:
    names = _tokenizers(folder)
    tokenizer, *others = (JapaneseTokenizer.load(folder / name) for name in names)
    pieces, length = tokenizer.vocab_size, tokenizer.model_max_length
    rules: list[_Rule] = []
    for encoder in (name for name in (MODELS[0], SECOND_ENCODER) if name in expected):
        prefix = "" if encoder == MODELS[0] else "text_model."
        vocab_size, positions = (
            expected[encoder][f"{prefix}embeddings.{kind}_embedding.weight"][0] for kind in ("token", "position")
        )
        rules += [
            ("tokenizer vocab_size", pieces, f"{encoder} vocab_size", vocab_size, pieces <= vocab_size),
            ("model_max_length", length, f"{encoder} max_position_embeddings", positions, length <= positions),
        ]
    for other in others:
        first, second = (file_digest(folder / name / VOCABULARY_FILE)[:12] for name in names)
        pairs: list[tuple[str, Any, Any]] = [(VOCABULARY_FILE, first, second)]
        pairs += [(name, getattr(tokenizer, name), getattr(other, name)) for name in READING]
        rules += [(f"tokenizer {name}", one, "that of tokenizer_2", two, one == two) for name, one, two in pairs]
    return rules


def _tokenizers(folder: Path) -> list[str]:
    """Of SDXL the second encoder's too, where it has its own: jsd reads a text once for both."""
    has_second = (folder / SECOND_ENCODER).is_dir() and (folder / "tokenizer_2").is_dir()
    return ["tokenizer", "tokenizer_2"] if has_second else ["tokenizer"]
