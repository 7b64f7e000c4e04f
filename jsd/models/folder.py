"""Model folders: which one is used, and what it says of itself.

A model folder is a plain diffusers folder: `tokenizer/`, `text_encoder/`, `unet/`, `vae/`, `scheduler/`, of SDXL
`text_encoder_2/` too (its tokenizer is the first's), optionally `safety_checker/` with its `feature_extractor/`.
`model_index.json` is not needed: rinna's names a class that diffusers does not have, and components load one by one. A
safety checker that it names must be there, though.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jsd.beside import BUNDLE, weights_root
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.i18n import N_, _
from jsd.models.configs import guidance_scale, read_json
from jsd.models.known import Known
from jsd.models.record import ZERO_EMPTY
from jsd.models.verify import check_vae, verify_folder, verify_part
from jsd.models.weights import CHECKER, FACTOR, SECOND_ENCODER, UPSCALER, checker_places
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.rules import not_one_of
from jsd.sizes import SizeLimits

__all__ = [
    "ModelFolder",
    "choose_folder",
    "folder_named",
    "open_model_folder",
    "snapshot",
    "verify_folder",
    "weights_root",
]

EMBEDDED = "mini"
FULL_SIZE = ("rinna", "tohoku-sdxl")  # as `jsd weights fetch` calls their folders; the first that is there is used
MAX_PROBLEMS_IN_AN_ERROR = 5


@dataclass(frozen=True, kw_only=True)
class Part:
    """A folder of one network that an operator may add to any model."""

    variable: str  # of the environment
    kind: str
    help: str


PARTS = {
    "vae": Part(variable="JSD_VAE", kind="vae", help=N_("folder of a VAE instead of the model's own")),
    "preview_vae": Part(variable="JSD_PREVIEW_VAE", kind="vae", help=N_("folder of a small VAE (TAESD) for previews")),
    CHECKER: Part(variable="JSD_SAFETY_CHECKER", kind=CHECKER, help=N_("folder of a safety checker for any model")),
}
NO_PARTS: Mapping[str, Path] = MappingProxyType({})  # of arguments


@dataclass(frozen=True)
class ModelFolder:
    """A folder, why it was chosen, in words, and `parts` by their names in `PARTS`. What the folder says of itself is
    read once, when it is first asked."""

    path: Path
    reason: str = ""
    parts: Mapping[str, Path] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})" if self.reason else str(self.path)

    @cached_property
    def tokenizer(self) -> JapaneseTokenizer:
        return JapaneseTokenizer.load(self.path / "tokenizer")

    @cached_property
    def zero_empty_negative(self) -> bool:
        """SDXL's force_zeros_for_empty_prompt: without a negative prompt the UNet is told zeros; diffusers' default."""
        path = self.path / "model_index.json"
        named = read_json(path).get(ZERO_EMPTY) if path.is_file() else None
        return (self.path / SECOND_ENCODER).is_dir() if named is None else bool(named)

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


def folder_named(name: str) -> Path | None:
    """The model folder of that name among those that are kept, or the embedded model; a path is no name."""
    if name in ("", "..") or name != Path(name).name:
        return None
    return next((place / name for place in (weights_root(), BUNDLE / "weights") if (place / name).is_dir()), None)


def choose_folder(
    explicit: ModelFolder | Path | str | None = None, parts: Mapping[str, Path | str | None] = NO_PARTS
) -> ModelFolder:
    """`explicit`, else JSD_WEIGHTS, else a full-size model in weights/, else the embedded model; with the `parts` that
    are given, else those of the environment."""
    if isinstance(explicit, ModelFolder):
        given = {name: path for name, path in _chosen_parts(parts) if parts.get(name) is not None}
        return replace(explicit, parts={**explicit.parts, **given}) if given else explicit
    return replace(_chosen(explicit), parts=dict(_chosen_parts(parts)))


def _chosen_parts(given: Mapping[str, Path | str | None]) -> Iterator[tuple[str, Path]]:
    for name in given:
        if name not in PARTS:
            raise not_one_of("parts", name, PARTS)
    for name, part in PARTS.items():
        value = given.get(name)
        named = name if value is not None else part.variable
        value = os.environ.get(part.variable) or None if value is None else value
        if value is None:
            continue
        if not Path(value).is_dir():
            raise InvalidInputError(
                "weights.part",
                "{field} must be a folder that holds config.json and its weights, got {value}, which is no folder; "
                "name another",
                field=named,
                value=value,
            )
        yield name, Path(value).absolute()


def snapshot(folder: Path) -> Path:
    """Of the hub's cache of a model (snapshots/, refs/) what it last fetched; any other folder as it is."""
    if not folder.is_dir() or (folder / "unet").exists():
        return folder
    snapshots = sorted((folder / "snapshots").glob("*"))
    main = folder / "refs" / "main"
    named = folder / "snapshots" / main.read_text("utf-8").strip() if main.is_file() else None
    return named if named in snapshots else snapshots[-1] if len(snapshots) == 1 else folder


def _chosen(explicit: Path | str | None) -> ModelFolder:
    named = os.environ.get("JSD_WEIGHTS", "")
    for source, value in (("weights", explicit), ("JSD_WEIGHTS", named if named != "" else None)):
        if value is not None:
            if value == "" or not Path(value).is_dir():
                raise InvalidInputError(
                    "weights.not_a_folder",
                    "{field} must be a model folder, got {value}, which is not a folder; jsd weights "
                    "list shows those there are",
                    field=source,
                    value=value,
                )
            return ModelFolder(snapshot(Path(value)), _("--weights") if source == "weights" else _("JSD_WEIGHTS"))
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
    fact = "whole but for its checker" if CHECKER in folder.parts else "whole"
    problems = _problems(folder.path, fact, partial(_verify, folder))
    if problems is not None:
        raise ModelFolderError(
            "folder.problems",
            "the model folder {folder} has {count} problem(s): {problems}; all of them: jsd weights verify {folder}",
            folder=folder.path,
            **problems,
        )
    for name, path in folder.parts.items():
        kind = PARTS[name].kind
        processor = checker_places(path)[1] if kind == CHECKER else None
        problems = _problems(path, f"whole {kind}", partial(verify_part, kind, path), processor)
        if problems is not None:
            raise ModelFolderError(
                "folder.part",
                "{field}: the folder {folder} has {count} problem(s): {problems}",
                field=name,
                folder=path,
                **problems,
            )
        if kind == "vae":
            check_vae(folder.path, path)
    return folder


def _verify(folder: ModelFolder) -> list[ModelFolderError]:
    """A checker that was added stands in for one that model_index.json names."""
    problems = verify_folder(folder.path)
    return [one for one in problems if one.code != "safety.missing" or CHECKER not in folder.parts]


def _problems(
    folder: Path, fact: str, verify: Callable[[], list[ModelFolderError]], beside: Path | None = None
) -> dict[str, object] | None:
    """What a folder that is not whole is told of; None of one that is, or was before and has not changed, nor what it
    needs `beside` it."""
    known = Known(folder, beside)
    if known.get(fact) is True:
        return None
    problems = verify()
    if not problems:
        known.put(fact, True)
        return None
    shown = "; ".join(map(str, problems[:MAX_PROBLEMS_IN_AN_ERROR]))
    return {"count": len(problems), "problems": shown + "; …" * (len(problems) > MAX_PROBLEMS_IN_AN_ERROR)}
