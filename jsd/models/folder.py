"""Model folders: which one is used, and what it says of itself.

A model folder is a plain diffusers folder: `tokenizer/`, `text_encoder/`, `unet/`, `vae/`, `scheduler/`, of SDXL
`text_encoder_2/` too (its tokenizer is the first's), optionally `safety_checker/` with its `feature_extractor/`.
`model_index.json` is not needed: rinna's names a class that diffusers does not have, and components load one by one. A
safety checker that it names must be there, though.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jsd.beside import BUNDLE, weights_root
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.i18n import _
from jsd.models.configs import guidance_scale, read_json
from jsd.models.known import Known
from jsd.models.verify import verify_folder
from jsd.models.weights import FACTOR, UPSCALER, has_safety_checker
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.sizes import SizeLimits

__all__ = ["ModelFolder", "choose_folder", "folder_named", "open_model_folder", "verify_folder", "weights_root"]

EMBEDDED = "mini"
FULL_SIZE = ("rinna", "tohoku-sdxl")  # as `jsd weights fetch` calls their folders; the first that is there is used
MAX_PROBLEMS_IN_AN_ERROR = 5


@dataclass(frozen=True)
class ModelFolder:
    """A folder and why it was chosen, in words. What it says of itself is read once, when it is first asked."""

    path: Path
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})" if self.reason else str(self.path)

    @cached_property
    def tokenizer(self) -> JapaneseTokenizer:
        return JapaneseTokenizer.load(self.path / "tokenizer")

    @cached_property
    def zero_empty_negative(self) -> bool:
        """SDXL's force_zeros_for_empty_prompt: without a negative prompt the UNet is told zeros."""
        path = self.path / "model_index.json"
        return path.is_file() and bool(read_json(path).get("force_zeros_for_empty_prompt", False))

    @cached_property
    def scheduler_config(self) -> dict[str, Any]:
        return read_json(self.path / "scheduler" / "scheduler_config.json")

    @cached_property
    def guidance_scale(self) -> float:
        """Of requests that name none."""
        return guidance_scale(self.path)

    @cached_property
    def size_limits(self) -> SizeLimits:
        return SizeLimits.of(*(read_json(self.path / part / "config.json") for part in ("unet", "vae")))

    @property
    def upscale(self) -> int:
        """Of requests that name none."""
        return FACTOR if (self.path / UPSCALER).is_dir() else 1

    @property
    def has_safety_checker(self) -> bool:
        return has_safety_checker(self.path)


def folder_named(name: str) -> Path | None:
    """The model folder of that name among those that are kept, or the embedded model; a path is no name."""
    if name in ("", "..") or name != Path(name).name:
        return None
    return next((place / name for place in (weights_root(), BUNDLE / "weights") if (place / name).is_dir()), None)


def choose_folder(explicit: ModelFolder | Path | str | None = None) -> ModelFolder:
    """`explicit`, else JSD_WEIGHTS, else a full-size model in weights/, else the embedded model."""
    if isinstance(explicit, ModelFolder):
        return explicit
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
            return ModelFolder(Path(value), _("--weights") if field == "weights" else _("JSD_WEIGHTS"))
    for name in (*FULL_SIZE, EMBEDDED):
        path = folder_named(name)
        if path is not None:
            return ModelFolder(path, _("the embedded model") if name == EMBEDDED else _("found in weights/"))
    raise ModelFolderError(
        "weights.none",
        "no model folder was named and {root} holds none; name one with --weights or JSD_WEIGHTS",
        root=weights_root(),
    )


def open_model_folder(folder: ModelFolder | Path | str) -> ModelFolder:
    """`folder`, if it is whole; else ModelFolderError with what is wrong with it. One that was whole still is, unless
    a file in it has changed."""
    folder = folder if isinstance(folder, ModelFolder) else ModelFolder(Path(folder))
    known = Known(folder.path)
    if known.get("whole") is True:
        return folder
    problems = verify_folder(folder.path)
    if problems:
        shown = "; ".join(map(str, problems[:MAX_PROBLEMS_IN_AN_ERROR]))
        if len(problems) > MAX_PROBLEMS_IN_AN_ERROR:
            shown += "; …"
        raise ModelFolderError(
            "folder.problems",
            "the model folder {folder} has {count} problem(s): {problems}; all of them: jsd weights verify {folder}",
            folder=folder.path,
            count=len(problems),
            problems=shown,
        )
    known.put("whole", True)
    return folder
