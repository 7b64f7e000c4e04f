"""Flag unsafe pictures one by one, with the score: CompVis' safety checker, as rinna's folder brings it.

Symbols: a picture's CLIP embedding v, a concept's embedding c and its threshold t. A concept's score is cos(v, c) - t,
0.01 more where one of three special-care concepts (young people) is above its own threshold; the picture's score is
the highest of its 17 concepts, in steps of 0.001. That is the arithmetic of diffusers'
`StableDiffusionSafetyChecker.forward`, which paints flagged pictures black and keeps the scores to itself. The folder
does not say in words what the concepts are; by arXiv 2210.04610 all of them are sexual content.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from jsd.devices import out_of_memory
from jsd.errors import GenerationError, ModelFolderError, Note
from jsd.models.components import load_image_processor, load_safety_checker
from jsd.models.folder import ModelFolder
from jsd.models.weights import CHECKER, has_safety_checker
from jsd.options import SamplingOptions
from jsd.strictness import REQUIRED, check_strict, is_required

SPECIAL_CARE_ADJUSTMENT = 0.01

Status = Literal["on", "disabled", "none"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    score: float  # above 0: unsafe by the checker's own thresholds
    concept: int  # the one with that score, of the checker's 17, from 0
    special_care: bool


class SafetyChecker:
    """The checker in a model folder, or in one of its own. In float32 on every device, since bfloat16 rounds cosines by
    0.001 and more; read when it is first asked, so that who disables it does not load its 1.2 GB."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.folder = folder
        self.device = device

    @cached_property
    def _model(self) -> Any:  # diffusers.StableDiffusionSafetyChecker
        return load_safety_checker(self.folder, self.device)

    @cached_property
    def _processor(self) -> Any:  # transformers.CLIPImageProcessorPil
        return load_image_processor(self.folder)

    @out_of_memory()
    @torch.inference_mode()
    def judge(self, picture: Image.Image) -> Verdict:
        model = self._model
        pixel_values = self._processor(picture, return_tensors="pt")["pixel_values"]  # (1, 3, S, S)
        pooled = model.vision_model(pixel_values.to(self.device)).pooler_output  # (1, E)
        image_embeds = model.visual_projection(pooled)  # (1, D)
        special = _cosines(image_embeds, model.special_care_embeds) - model.special_care_embeds_weights.cpu()  # (3,)
        special_care = bool((special.round(decimals=3) > 0).any())
        scores = _cosines(image_embeds, model.concept_embeds) - model.concept_embeds_weights.cpu()  # (17,)
        scores = (scores + (SPECIAL_CARE_ADJUSTMENT if special_care else 0.0)).round(decimals=3)
        if not bool(torch.isfinite(scores).all()):
            # No comparison with it would flag the picture.
            raise GenerationError(
                "safety.not_finite",
                "scores of the safety checker must be finite numbers, and those of {folder} are not; "
                "check the weights with jsd weights verify, or fetch them again",
                folder=self.folder,
            )
        concept = int(scores.argmax())
        return Verdict(score=round(float(scores[concept]), 3), concept=concept, special_care=special_care)


def find_checker(folder: ModelFolder, device: torch.device) -> SafetyChecker | None:
    """Of a whole folder (see `jsd.models.folder.open_model_folder`) the checker that was added, else its own."""
    own = folder.path if has_safety_checker(folder.path) else None
    place = folder.parts.get(CHECKER, own)
    return None if place is None else SafetyChecker(place, device)


def check_required(checker: SafetyChecker | None, options: SamplingOptions | None = None) -> None:
    """Where the operator requires it: there is a checker, and a request leaves it as strict as it is."""
    if checker is None and is_required():
        raise ModelFolderError(
            "safety.required",
            "{variable} is set, and the model has no safety checker; name the folder of one with --safety-checker or "
            "JSD_SAFETY_CHECKER",
            variable=REQUIRED,
        )
    if options is not None:
        check_strict(options)


def safety_status(checker: SafetyChecker | None, options: SamplingOptions) -> Status:
    """Whether the pictures of a request are judged; "none" where the model folder has no checker."""
    if checker is None:
        return "none"
    return "disabled" if options.disable_safety_checker else "on"


def withhold(checker: SafetyChecker | None, picture: Image.Image, options: SamplingOptions) -> Note | None:
    """Why the picture that `options` (seed resolved) drew may not be returned; None where it may."""
    if checker is None or options.disable_safety_checker:
        return None
    verdict = checker.judge(picture)
    if verdict.score <= options.safety_threshold:
        return None
    return Note(
        "safety.withheld",
        "seed {seed} is withheld: the safety checker takes it for sexual content (score {score:g}, above "
        "{threshold:g}; concept {concept}); try another seed or prompt",
        seed=options.seed,
        threshold=options.safety_threshold,
        **asdict(verdict),
    )


def blank_unsafe(
    checker: SafetyChecker | None, preview: Image.Image, options: Sequence[SamplingOptions]
) -> Image.Image:
    """A preview of pictures side by side, one for each of `options`, black where one of them may not be shown."""
    shown, width = preview.copy(), preview.width // len(options)
    for number, one in enumerate(options):
        box = (number * width, 0, (number + 1) * width, preview.height)
        if withhold(checker, preview.crop(box), one) is not None:
            shown.paste((0, 0, 0), box)
    return shown


def _cosines(image_embeds: Tensor, concepts: Tensor) -> Tensor:
    """(1, D), (N, D) -> (N,) float32 on the CPU."""
    normalize = torch.nn.functional.normalize
    return (normalize(image_embeds) @ normalize(concepts).T)[0].float().cpu()
