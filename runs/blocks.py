"""What the scripts here share: the parts of a Markdown file that a command writes, between `<!-- NAME: ... -->` and
`<!-- /NAME -->`, and folders that they make anew."""

import re
import shutil
from pathlib import Path

MARK = ".made-by-runs"
ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
README_JA = ROOT / "README.ja.md"  # its blocks are those of README.md
DOCS = ROOT / "docs"
TRAINING = (DOCS / "training.md", DOCS / "training.ja.md")
MODEL_CARD = ROOT / "weights" / "mini" / "README.md"


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)


def read_block(text: str, name: str) -> str:
    """What stands between the markers of block `name`."""
    found = _pattern(name).search(text)
    if found is None:
        raise SystemExit(f"the markers of block {name!r} are missing")
    return text[found.end(1) : found.start(2)]


def write_block(path: Path, name: str, content: str) -> None:
    """Put `content`, which ends with a line break, between the markers of block `name` in the file."""
    text = path.read_text("utf-8")
    read_block(text, name)
    path.write_text(_pattern(name).sub(lambda found: found[1] + content + found[2], text), "utf-8")


def clear(folder: Path) -> None:
    """Make `folder` anew; SystemExit where it holds what no script of this folder wrote."""
    mark = folder / MARK
    if folder.exists() and not (folder.is_dir() and (mark.is_file() or not any(folder.iterdir()))):
        raise SystemExit(
            f"{folder} must be a new folder or one of an earlier run, and holds something else; name another"
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()
