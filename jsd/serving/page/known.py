"""What the page tells of the model: what it knows and what it cannot, with pictures that it drew.

A model folder may hold `page.json` with its pictures in `page/` (`python -m runs.page_pictures` writes both); the words
that it was taught are in its `concepts.json` (`jsd.prompting.concepts`).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsd.errors import ModelFolderError
from jsd.models.configs import read_json

PAGE_FILE, PICTURES = "page.json", "page"


@dataclass(frozen=True, kw_only=True)
class Example:
    prompt: str
    seed: int
    picture: str  # a file's name in PICTURES


@dataclass(frozen=True, kw_only=True)
class Known:
    """`about`: language -> {"knows", "cannot"}; `styles`: name -> a file's name in PICTURES."""

    about: dict[str, dict[str, str]] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()
    styles: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None  # of the pictures


def load_known(folder: Path | None) -> Known:
    """Empty where the folder does not say; ModelFolderError where what it says cannot be read."""
    if folder is None:
        return Known()
    page: dict[str, Any] = read_json(folder / PAGE_FILE) if (folder / PAGE_FILE).is_file() else {}
    try:
        return Known(
            about=dict(page.get("about", {})),
            examples=tuple(Example(**one) for one in page.get("examples", ())),
            styles=dict(page.get("styles", {})),
            folder=folder / PICTURES if (folder / PICTURES).is_dir() else None,
        )
    except (TypeError, ValueError, KeyError) as error:
        raise ModelFolderError(
            "page.damaged",
            "{path} must say what the page shows of the model, and does not: {reason}; write it anew with "
            "python -m runs.page_pictures, or delete it",
            path=folder / PAGE_FILE,
            reason=error,
        ) from error
