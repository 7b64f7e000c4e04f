"""What of a model folder goes into the files of its pictures: a digest of its weights, its licence."""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from PIL import Image

import jsd
from jsd.errors import ModelFolderError
from jsd.i18n import N_
from jsd.models.configs import read_json
from jsd.models.known import Known
from jsd.models.weights import SECOND_ENCODER, UPSCALER, find_weights, networks_of, vae_place
from jsd.prompting.concepts import KnownConcepts

# The class that rinna's model_index.json names; what is fine-tuned from that model inherits its licence.
RINNA_CLASS = "JapaneseStableDiffusionPipeline"
ORIGINAL_CLASS = "_original_class_name"  # of model_index.json, where `_class_name` is one that diffusers has
OPENRAIL = "CreativeML OpenRAIL-M"
OPENRAIL_URL = "https://huggingface.co/spaces/CompVis/stable-diffusion-license"
# In English whatever the user's language: the same request gives the same file.
OPENRAIL_RESTRICTIONS = N_(
    "not to break laws; exploit or harm minors; spread false information to harm others; disseminate "
    "personal data that can harm someone; defame, disparage or harass; decide automatically to the "
    "detriment of someone's legal rights; discriminate or harm people by behaviour or characteristics; "
    "exploit the vulnerabilities of a group; discriminate on legally protected characteristics; give "
    "medical advice or interpret medical results; serve the administration of justice, law enforcement, "
    "immigration or asylum"
)
READING = ("model_max_length", "do_lower_case")  # of tokenizer_config.json; the padding piece is the vocabulary's
# Of SDXL's model_index.json: without a negative prompt the UNet is told zeros, unless it says no.
ZERO_EMPTY = "force_zeros_for_empty_prompt"
# The hub's identifiers -> names
LICENCES = {"creativeml-openrail-m": OPENRAIL, "mit": "MIT", "apache-2.0": "Apache-2.0"}


def folder_record(folder: Path, vae: Path | None = None) -> dict[str, object]:
    """{"model_sha256", of another VAE its name as "vae", of an upscaler "upscaler_sha256"}, and where the folder names
    its licence {"licence", "licence_url", "use_restrictions"}."""
    other = {} if vae is None else {"vae": vae.resolve().name}
    upscaler = find_weights(folder / UPSCALER, UPSCALER)
    if upscaler is not None:
        other["upscaler_sha256"] = file_digest(upscaler.files[0])
    return {"model_sha256": folder_digest(folder, vae), **other, **folder_licence(folder)}


def folder_digest(folder: Path, vae: Path | None = None) -> str:
    """SHA-256 over the digests of the files that decide what the model draws, before it is enlarged; all of them are
    read, once."""
    if vae is not None:
        place = vae_place(vae)
        weights = find_weights(place, "vae")
        paths = [place / "config.json", *([] if weights is None else weights.files)]
        both = "\n".join([folder_digest(folder), *map(file_digest, paths)])
        return hashlib.sha256(both.encode()).hexdigest()
    known = Known(folder)
    recalled = known.get("model_sha256")
    if isinstance(recalled, str):
        return recalled
    names = ["tokenizer/spiece.model", "tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json"]
    for component in (name for name in networks_of(folder) if name != UPSCALER):
        names.append(f"{component}/config.json")
        weights = find_weights(folder / component, component)
        names += [f"{component}/{path.name}" for path in ([] if weights is None else weights.files)]
    present = [name for name in sorted(names) if (folder / name).is_file()]
    # hashlib lets go of the interpreter: four gigabytes take as long as their largest file.
    with ThreadPoolExecutor() as pool:
        digests = pool.map(_deciding_digest, [folder / name for name in present])
    lines = [f"{digest}  {name}\n" for name, digest in zip(present, digests, strict=True)]
    index = folder / "model_index.json"
    if (folder / SECOND_ENCODER).is_dir() and index.is_file() and read_json(index).get(ZERO_EMPTY) is False:
        lines.append(f"{ZERO_EMPTY} false\n")
    concepts = KnownConcepts.load(folder)
    if concepts is not None and concepts.designs:
        lines.append(repr((concepts.designs, concepts.words_without_design)) + "\n")
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    known.put("model_sha256", digest)
    return digest


def folder_licence(folder: Path) -> dict[str, object]:
    """As the front matter of the folder's README.md says (`license`, `license_name`, `license_link`,
    `use_restrictions`); rinna's is known by its class. Empty where nothing says."""
    front = _front_matter(folder / "README.md")
    identifier = front.get("license", "other")
    name = front.get("license_name", None if identifier == "other" else LICENCES.get(identifier, identifier))
    if name is None and _pipeline_class(folder) == RINNA_CLASS:
        name = OPENRAIL
    if name is None:
        return {}
    is_openrail = name == OPENRAIL
    url = front.get("license_link", OPENRAIL_URL if is_openrail else None)
    restrictions = front.get("use_restrictions", OPENRAIL_RESTRICTIONS if is_openrail else None)
    record = {"licence": name, "licence_url": url, "use_restrictions": restrictions}
    return {key: value for key, value in record.items() if value is not None}


def licence_front_matter(folder: Path) -> str:
    """What a model card begins with, so that what was made of `folder` has its licence; "" where nothing says."""
    said = folder_licence(folder)
    names = {"licence": "license_name", "licence_url": "license_link", "use_restrictions": "use_restrictions"}
    lines = ["license: other", *(f"{names[key]}: {value}" for key, value in said.items())]
    return "\n".join(["---", *lines, "---", ""]) if said else ""


def library_versions(engine: str) -> dict[str, object]:
    """Whose arithmetic drew the picture; without a build's suffix (+cpu)."""
    names = dict.fromkeys(("torch", "diffusers", engine))  # an engine is called by its package
    return {"jsd": jsd.__version__, **{name: version(name).partition("+")[0] for name in names}}


def input_digests(**pictures: Image.Image | None) -> dict[str, object]:
    """{"image_sha256", "mask_sha256"} of what was drawn from, at the output's size."""
    return {f"{name}_sha256": pixel_digest(one) for name, one in pictures.items() if one is not None}


def pixel_digest(image: Image.Image) -> str:
    return hashlib.sha256(f"{image.mode} {image.width}x{image.height}\n".encode() + image.tobytes()).hexdigest()


def _deciding_digest(path: Path) -> str:
    """That of the file; of a tokenizer's config, of what decides how text is read: other programs want more in it."""
    if path.name != "tokenizer_config.json":
        return file_digest(path)
    config = {name: value for name, value in read_json(path).items() if name in READING}
    return hashlib.sha256(f"{json.dumps(config, ensure_ascii=False, indent=2)}\n".encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _front_matter(path: Path) -> dict[str, str]:
    """The `key: value` lines between the first two `---` of a model card."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", errors="replace") as file:
        text = file.read(65536)
    block = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    lines = [] if block is None else re.findall(r"^(\w+):[ \t]*(\S.*?)[ \t]*$", block[1], re.MULTILINE)
    return {key: value.strip("\"'") for key, value in lines}


def _pipeline_class(folder: Path) -> object:
    try:
        index = read_json(folder / "model_index.json")
    except ModelFolderError:
        return None
    return index.get(ORIGINAL_CLASS, index.get("_class_name"))
