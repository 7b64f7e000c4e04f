"""The `parameters` text that A1111's web UI began and most tools read: prompt, negative prompt, settings.

    サラリーマン 油絵
    Negative prompt: 写真
    Steps: 25, Sampler: DPM++ 2M, CFG scale: 7.5, Seed: 0, Size: 64x64, Model hash: 0123456789, Model: mini

A prompt may itself hold a line that looks like the next part; no reader of this text can tell.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from jsd.prompting.styles import with_style

NEGATIVE = "Negative prompt:"
# public name -> the web UI's
SAMPLERS = {
    "DDIM": "DDIM",
    "DPMSolverMultistep": "DPM++ 2M",
    "K_EULER": "Euler",
    "K_EULER_ANCESTRAL": "Euler a",
    "PNDM": "PLMS",
    "KLMS": "LMS",
    "HeunDiscrete": "Heun",
    "KarrasDPM": "DPM++ 2M Karras",
    "LCM": "LCM",
    "TCD": "TCD",
    "DDIM_TRAILING": "Euler SGM Uniform",  # the same, in other words
}
SCHEDULERS = {sampler: scheduler for scheduler, sampler in SAMPLERS.items()}
# name in the text -> (option, how it is read)
SETTINGS: dict[str, tuple[str, Callable[[str], object]]] = {
    "Steps": ("num_inference_steps", int),
    "Sampler": ("scheduler", lambda text: SCHEDULERS.get(text, text)),
    "CFG scale": ("guidance_scale", lambda text: _finite(float(text))),
    "Seed": ("seed", int),
    "Denoising strength": ("prompt_strength", lambda text: _finite(float(text))),
    "Model": ("model", str),
    "Model hash": ("model_hash", str),
}
# The web UI's own rule: a last line with fewer settings belongs to the prompt.
MIN_SETTINGS = 3
# Real lines are far shorter; the time to split one grows with its square where quotes do not match.
MAX_SETTINGS_LENGTH = 10_000
# What an XML file or a C string cannot hold.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def to_parameters(metadata: Mapping[str, object], version: str) -> str | None:
    """What made a picture (`GeneratedImage.metadata`) as the web UI would write it; None without a prompt."""
    if "prompt" not in metadata:
        return None
    get = metadata.get
    settings = {
        "Steps": get("num_inference_steps"),
        "Sampler": SAMPLERS.get(str(get("scheduler"))),
        "CFG scale": get("guidance_scale"),
        "Seed": get("seed"),
        "Size": f"{get('width')}x{get('height')}" if "width" in metadata else None,
        "Hires upscale": None if get("upscale", 1) == 1 else get("upscale"),
        "Model hash": None if get("model_sha256") is None else str(get("model_sha256"))[:10],
        "Model": get("model"),
        "Denoising strength": None if get("image") is None else get("prompt_strength"),
        "Version": f"jsd {version}",
    }
    lines = [with_style(str(get("prompt")), str(get("style", "")))]
    if get("negative_prompt", "") != "":
        lines.append(f"{NEGATIVE} {get('negative_prompt')}")
    lines.append(", ".join(f"{name}: {_quote(str(value))}" for name, value in settings.items() if value is not None))
    return writable("\n".join(lines))


def from_parameters(text: str) -> dict[str, object]:
    """The options that a text of any tool names; settings that have no option here keep their names."""
    lines, settings = _split(text)
    start = next((i for i, line in enumerate(lines) if line.startswith(NEGATIVE)), len(lines))
    negative = [line.removeprefix(NEGATIVE) if i == 0 else line for i, line in enumerate(lines[start:])]
    values: dict[str, object] = {
        "prompt": "\n".join(lines[:start]).strip(),
        "negative_prompt": "\n".join(negative).strip(),
    }
    both = f"{settings.get('Sampler')} {settings.get('Schedule type')}"  # apart since version 1.9
    if both in SCHEDULERS:
        settings = {name: value for name, value in settings.items() if name != "Schedule type"} | {"Sampler": both}
    for name, value in settings.items():
        size = re.fullmatch(r"(\d{1,5})x(\d{1,5})", value) if name == "Size" else None
        if size is not None:
            values |= {"width": int(size[1]), "height": int(size[2])}
            continue
        option, read = SETTINGS.get(name, (name, str))
        try:
            values[option] = read(value)
        except ValueError:
            values[option] = value
    return values


def has_settings(text: str) -> bool:
    """Whether it is such a text, and no other: a prompt alone, and what a camera says of itself, may be anything."""
    return not _split(text)[1].keys().isdisjoint((*SETTINGS, "Size"))


def writable(text: str) -> str:
    """`text` with a mark in place of what a file's metadata cannot hold."""
    return UNWRITABLE.sub("\ufffd", text)


def _split(text: str) -> tuple[list[str], dict[str, str]]:
    """The lines of the prompts, stripped as the web UI does, and the settings of the last line."""
    lines = [line.strip() for line in re.split("\r\n|\r|\n", text.strip("\ufeff\0").strip())]
    settings = dict(_settings(lines[-1]))
    return (lines[:-1], settings) if len(settings) >= MIN_SETTINGS else (lines, {})


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(value)
    return value


def _quote(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if re.search("[,:\n]", value) else value


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """`Name: value, Name: "quoted, value"` -> its pairs; none where the line is anything else."""
    if len(line) > MAX_SETTINGS_LENGTH:
        return
    field = ""
    for part in [*re.findall(r'"(?:\\.|[^"\\])*+"|[^,"]+|[,"]', line), ","]:
        if part != ",":
            field += part
            continue
        name, colon, value = (side.strip() for side in field.partition(":"))
        field = ""
        if colon == "" or re.fullmatch(r"[\w][\w /-]*", name) is None:
            continue
        if value.startswith('"'):
            with suppress(ValueError):  # else kept as it stands
                value = str(json.loads(value))
        yield name, value
