"""What lies beside the package, in a checkout and in Cog's /src: predict.py, weights/. A wheel carries both within."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
BUNDLE = PACKAGE / "_bundle"  # of a wheel: see setup.py
ROOT = BUNDLE if BUNDLE.is_dir() else PACKAGE.parent


def weights_root() -> Path:
    """Where model folders are kept by name: `weights/` of a checkout, else a place of the user's."""
    if ROOT != BUNDLE:
        return ROOT / "weights"
    return Path(os.environ.get("XDG_DATA_HOME") or Path("~/.local/share").expanduser()) / "jsd" / "weights"
