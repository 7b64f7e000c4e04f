"""Model folders: which one is used, and whether it is whole.

A model folder is a plain diffusers folder: `tokenizer/`, `text_encoder/`, `unet/`, `vae/`, `scheduler/`,
optionally `safety_checker/` with its `feature_extractor/`. `model_index.json` is not needed: rinna's names a class
that diffusers does not have, and components load one by one. A safety checker that it names must be there, though.
"""

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal, cast

from safetensors import safe_open

from jsd.errors import InvalidInputError, ModelFolderError
from jsd.i18n import _
from jsd.options import GUIDANCE_LIMITS
from jsd.prompting.tokenizer import JapaneseTokenizer

MODELS = ("text_encoder", "unet", "vae")
CHECKER = "safety_checker"
# component -> the names that transformers and diffusers give its file: (.safetensors, .bin)
WEIGHT_STEMS = {
    "text_encoder": ("model", "pytorch_model"),
    "unet": ("diffusion_pytorch_model", "diffusion_pytorch_model"),
    "vae": ("diffusion_pytorch_model", "diffusion_pytorch_model"),
    CHECKER: ("model", "pytorch_model"),
}
EMBEDDED = "mini"
GENERATION_CONFIG = "generation_config.json"
GUIDANCE_SCALE = 7.5  # of Stable Diffusion v1 (its model card), and of a folder that names none
MAX_PROBLEMS_IN_AN_ERROR = 5

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class WeightsFile:
    path: Path

    @property
    def variant(self) -> Literal["fp16"] | None:
        return "fp16" if ".fp16." in self.path.name else None

    @property
    def is_safetensors(self) -> bool:
        return self.path.suffix == ".safetensors"

    def load_options(self) -> dict[str, object]:
        """What `from_pretrained` needs to take this file."""
        return {"variant": self.variant, "use_safetensors": self.is_safetensors}


def weights_root() -> Path:
    """`weights/` beside the package: of the checkout, or of Cog's /src."""
    return Path(__file__).resolve().parents[2] / "weights"


def choose_folder(explicit: Path | str | None = None) -> tuple[Path, str]:
    """A model folder and why: `explicit`, else JSD_WEIGHTS, else weights/rinna, else the embedded model."""
    named = os.environ.get("JSD_WEIGHTS", "")
    for field, value in (("weights", explicit), ("JSD_WEIGHTS", named if named != "" else None)):
        if value is not None:
            if value == "" or not Path(value).is_dir():
                raise InvalidInputError(
                    "weights.not_a_folder",
                    "{field} must be a model folder, got {value}, which is not a folder; jsd weights "
                    "list shows those there are",
                    field=field,
                    value=value,
                )
            return Path(value), _("--weights") if field == "weights" else _("JSD_WEIGHTS")
    root = weights_root()
    if (root / "rinna").is_dir():
        return root / "rinna", _("found in weights/")
    if (root / EMBEDDED).is_dir():
        return root / EMBEDDED, _("the embedded model")
    raise ModelFolderError(
        "weights.none",
        "no model folder was named and {root} holds none; name one with --weights or JSD_WEIGHTS",
        root=root,
    )


def guidance_scale(folder: Path) -> float:
    """What the folder's generation_config.json names as guidance_scale, else Stable Diffusion's."""
    path = folder / GENERATION_CONFIG
    value = read_json(path).get("guidance_scale", GUIDANCE_SCALE) if path.exists() else GUIDANCE_SCALE
    low, high = GUIDANCE_LIMITS
    if type(value) not in (int, float) or not low <= value <= high:
        raise ModelFolderError(
            "folder.guidance",
            "{path}: guidance_scale must be a number from {low} to {high}, got {value}; correct the file, or remove it",
            path=path,
            low=low,
            high=high,
            value=repr(value),
        )
    return float(value)


def weights_names(component: str) -> list[str]:
    """The file names that may hold a component's weights, best first: no pickles, full precision."""
    safetensors_stem, bin_stem = WEIGHT_STEMS[component]
    names = [f"{safetensors_stem}{end}" for end in (".safetensors", ".fp16.safetensors")]
    return names + [f"{bin_stem}{end}" for end in (".bin", ".fp16.bin")]


def weights_files(folder: Path, component: str) -> list[WeightsFile]:
    """The weights of one component that are there, the one to load first."""
    paths = (folder / component / name for name in weights_names(component))
    return [WeightsFile(path) for path in paths if path.is_file()]


def has_safety_checker(folder: Path) -> bool:
    return (folder / CHECKER).is_dir()


def _names_safety_checker(folder: Path) -> bool:
    try:
        index = read_json(folder / "model_index.json")
    except ModelFolderError:
        return False
    return index.get(CHECKER) not in (None, [None, None])


def current_name(component: str, name: str) -> str | None:
    """A tensor's name in a checkpoint of 2022 -> its name today; None where it is no longer a weight."""
    if component == "text_encoder":
        name = name.removeprefix("text_model.")
        return None if name == "embeddings.position_ids" else name
    if component == CHECKER:
        name = name.replace("vision_model.vision_model.", "vision_model.")
        return None if name == "vision_model.embeddings.position_ids" else name
    if component == "vae":
        # diffusers 0.17 renamed the VAE's attention.
        for old, new in (("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")):
            name = re.sub(rf"(\.attentions\.\d+)\.{old}\.", rf"\1.{new}.", name)
    return name


def read_shapes(file: WeightsFile) -> Shapes:
    """The shape of every tensor, from the header alone; ModelFolderError where the file is damaged."""
    try:
        if file.is_safetensors:
            with safe_open(file.path, framework="numpy") as tensors:
                return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
        return {name: tuple(tensor.shape) for name, tensor in read_pickle(file.path, device="meta").items()}
    except UnpicklingError as error:
        raise ModelFolderError(
            "folder.unsafe",
            "{path} must hold tensors alone, and holds what loading could run, or is damaged; "
            "use a file saved as safetensors",
            path=file.path,
        ) from error
    # Bytes out of place make the unpickler raise almost anything.
    except Exception as error:
        raise ModelFolderError(
            "folder.damaged",
            "{path} is truncated or not a checkpoint ({size_bytes} bytes); copy or fetch it again",
            path=file.path,
            size_bytes=_size_bytes(file.path),
        ) from error


def read_pickle(path: Path, device: str = "cpu") -> dict[str, Any]:
    """A `.bin` checkpoint as a memory map, without running what a pickle may carry."""
    import torch

    # Only torch's zip format can be mapped; before 1.6 it was a bare pickle.
    mmap = zipfile.is_zipfile(path)
    return cast(dict[str, Any], torch.load(path, weights_only=True, mmap=mmap, map_location=device))


def expected_shapes(component: str, config: dict[str, Any]) -> Shapes:
    """The shape of every tensor that a component's config.json calls for; nothing is allocated."""
    import torch
    from diffusers.models import AutoencoderKL, UNet2DConditionModel
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel

    with torch.device("meta"):
        if component == "text_encoder":
            model = CLIPTextModel(CLIPTextConfig(**config))
        elif component == CHECKER:
            model = StableDiffusionSafetyChecker(CLIPConfig(**config))
        else:
            model = {"unet": UNet2DConditionModel, "vae": AutoencoderKL}[component].from_config(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def verify_folder(folder: Path | str) -> list[ModelFolderError]:
    """Everything that keeps `folder` from loading; headers and configs are read, not the weights."""
    folder = Path(folder)
    if not folder.is_dir():
        return [
            ModelFolderError(
                "folder.missing",
                "{path} is not a folder; name a model folder in the diffusers layout",
                **{"path": folder},
            )
        ]
    return list(_problems(folder))


def open_model_folder(folder: Path | str) -> Path:
    """`folder`, if it is whole; else ModelFolderError with what is wrong with it."""
    problems = verify_folder(folder)
    if problems:
        shown = "; ".join(map(str, problems[:MAX_PROBLEMS_IN_AN_ERROR]))
        if len(problems) > MAX_PROBLEMS_IN_AN_ERROR:
            shown += "; …"
        raise ModelFolderError(
            "folder.problems",
            "the model folder {folder} has {count} problem(s): {problems}; all of them: jsd weights verify {folder}",
            folder=folder,
            count=len(problems),
            problems=shown,
        )
    return Path(folder)


def _problems(folder: Path) -> Iterator[ModelFolderError]:
    if (folder / "model_index.json").exists():
        yield from _caught(read_json, folder / "model_index.json")
    yield from _caught(guidance_scale, folder)
    yield from _caught(check_noise_schedule, folder / "scheduler" / "scheduler_config.json")
    expected: dict[str, Shapes] = {}
    for component in (*MODELS, CHECKER) if has_safety_checker(folder) else MODELS:
        try:
            expected[component] = _expected_from_file(component, folder / component / "config.json")
        except ModelFolderError as error:
            yield error
        yield from _weight_problems(folder, component, expected.get(component))
    if has_safety_checker(folder):
        yield from _caught(read_json, folder / "feature_extractor" / "preprocessor_config.json")
    elif _names_safety_checker(folder):
        yield ModelFolderError(
            "safety.missing",
            "{path} must be there, for model_index.json names it, and nothing else would check "
            'the pictures; fetch or copy the folder again, or write "safety_checker": [null, '
            "null] into model_index.json to do without",
            path=folder / CHECKER,
        )
    yield from _caught(JapaneseTokenizer.load, folder / "tokenizer")
    if expected.keys() >= set(MODELS):
        yield from _misfits(folder, expected)


def _caught(read: Callable[[Any], object], argument: object) -> Iterator[ModelFolderError]:
    try:
        read(argument)
    except ModelFolderError as error:
        yield error


def check_noise_schedule(path: Path) -> None:
    """ModelFolderError where a scheduler_config.json lacks what a scheduler takes from it, or has wrong values."""
    from jsd.schedulers import PREDICTION_TYPES, make_scheduler

    config = read_json(path)
    needed = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")
    missing = [name for name in needed if name not in config]
    if missing:
        raise ModelFolderError(
            "folder.config",
            "{path} must describe a model that diffusers and transformers can build, and does "
            "not: {reason}; copy or fetch the folder again",
            path=path,
            reason=_("no {names}", names=", ".join(missing)),
        )
    if config.get("prediction_type", "epsilon") not in PREDICTION_TYPES:
        raise ModelFolderError(
            "folder.config",
            "{path} must describe a model that diffusers and transformers can build, and does "
            "not: {reason}; copy or fetch the folder again",
            path=path,
            reason=f"prediction_type {config['prediction_type']!r}",
        )
    try:
        make_scheduler("DDIM", config, num_inference_steps=1)
    except Exception as error:  # what a wrong value raises is up to diffusers
        values = ", ".join(f"{name} {config[name]!r}" for name in needed)
        raise ModelFolderError(
            "folder.config",
            "{path} must describe a model that diffusers and transformers can build, and does "
            "not: {reason}; copy or fetch the folder again",
            path=path,
            reason=f"{_first_line(error)} ({values})",
        ) from error


def _check_values(path: Path, config: dict[str, Any]) -> None:
    """What diffusers keeps in a config and does not look at."""
    sample_size, scaling_factor = config.get("sample_size", 1), config.get("scaling_factor", 1)
    shift_factor = config.get("shift_factor")
    sides = sample_size if isinstance(sample_size, list) and len(sample_size) == 2 else [sample_size]
    right = {
        "sample_size": all(type(side) is int and side > 0 for side in sides),
        "scaling_factor": type(scaling_factor) in (int, float) and scaling_factor > 0,
        "shift_factor": shift_factor is None or type(shift_factor) in (int, float),
    }
    for name, is_right in right.items():
        if not is_right:
            raise ModelFolderError(
                "folder.config",
                "{path} must describe a model that diffusers and transformers can build, and does "
                "not: {reason}; copy or fetch the folder again",
                path=path,
                reason=f"{name} {config[name]!r}",
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _expected_from_file(component: str, path: Path) -> Shapes:
    config = read_json(path)
    _check_values(path, config)
    try:
        return expected_shapes(component, config)
    # What a wrong value in a config raises is up to diffusers and transformers.
    except Exception as error:
        raise ModelFolderError(
            "folder.config",
            "{path} must describe a model that diffusers and transformers can build, and does "
            "not: {reason}; copy or fetch the folder again",
            path=path,
            reason=_first_line(error),
        ) from error


def _weight_problems(folder: Path, component: str, expected: Shapes | None) -> Iterator[ModelFolderError]:
    files = weights_files(folder, component)
    if not files:
        names = [f"{WEIGHT_STEMS[component][0]}.safetensors", f"{WEIGHT_STEMS[component][1]}.bin"]
        yield ModelFolderError(
            "folder.no_weights",
            "{path} must hold its weights as {names}, and holds none of them; copy or fetch the folder again",
            **{"path": folder / component, "names": " / ".join(names)},
        )
    for file in files:
        try:
            found = read_shapes(file)
        except ModelFolderError as error:
            yield error
        else:
            if expected is not None:
                yield from _shape_problems(file.path, component, expected, found)


def _shape_problems(path: Path, component: str, expected: Shapes, found: Shapes) -> Iterator[ModelFolderError]:
    renamed = ((current_name(component, name), name, shape) for name, shape in found.items())
    current = {new: (name, shape) for new, name, shape in renamed if new is not None}
    for name, shape in expected.items():
        if name not in current:
            yield ModelFolderError(
                "folder.tensor_missing",
                "{path}: the tensor {name} {shape} of config.json is missing",
                **{"path": path, "name": name, "shape": list(shape)},
            )
        elif current[name][1] != shape:
            params = {"path": path, "name": name, "shape": list(shape), "found": list(current[name][1])}
            yield ModelFolderError(
                "folder.tensor_misshapen",
                "{path}: the tensor {name} must have the shape {shape} of config.json, and has {found}",
                **params,
            )
    for name in sorted(current.keys() - expected.keys()):
        yield ModelFolderError(
            "folder.tensor_unexpected",
            "{path}: the tensor {name} has no place in config.json",
            **{"path": path, "name": current[name][0]},
        )


def _misfits(folder: Path, expected: dict[str, Shapes]) -> Iterator[ModelFolderError]:
    """Parts that are whole and do not fit one another."""
    vocab_size, width = expected["text_encoder"]["embeddings.token_embedding.weight"]
    positions = expected["text_encoder"]["embeddings.position_embedding.weight"][0]
    in_channels = expected["unet"]["conv_in.weight"][1]
    channels = expected["vae"]["decoder.conv_in.weight"][1]
    unet = read_json(folder / "unet" / "config.json")
    name = "cross_attention_dim" if unet.get("encoder_hid_dim") is None else "encoder_hid_dim"
    rules = [
        ("text_encoder hidden_size", width, f"unet {name}", unet.get(name), width == unet.get(name)),
        ("vae latent_channels", channels, "unet in_channels", in_channels, channels == in_channels),
    ]
    try:
        tokenizer = JapaneseTokenizer.load(folder / "tokenizer")
    except ModelFolderError:
        pass  # the caller names it
    else:
        pieces, length = tokenizer.vocab_size, tokenizer.model_max_length
        rules += [
            ("tokenizer vocab_size", pieces, "text_encoder vocab_size", vocab_size, pieces <= vocab_size),
            ("model_max_length", length, "max_position_embeddings", positions, length <= positions),
        ]
    for part, value, other, limit, fits in rules:
        if not fits:
            yield ModelFolderError(
                "folder.misfit",
                "these parts do not belong together: {part} is {value} and {other} is {limit}; take "
                "both from the same model",
                **{"part": part, "value": value, "other": other, "limit": limit},
            )


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`; ModelFolderError where there is none."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelFolderError(
            "folder.file_missing", "{path} is missing or cannot be read; copy or fetch the folder again", path=path
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelFolderError(
            "folder.not_json", "{path} must be a JSON object; copy or fetch it again", path=path
        ) from error
    if not isinstance(value, dict):
        raise ModelFolderError("folder.not_json", "{path} must be a JSON object; copy or fetch it again", path=path)
    return value


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
