"""What is looked at after a batch: one picture of all pictures, and a page with their prompts."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from jsd.atomic import write_file
from jsd.batch.results import writable
from jsd.errors import ImageFileError
from jsd.i18n import _, language
from jsd.images import save_image
from jsd.images.opening import open_image

GRID_FILE, PAGE_FILE = "grid.png", "index.html"
MAX_TILE_PX = 256
MAX_GRID_PX = 8192
# The page asks nothing of any host: no script, no font, only the pictures beside it.
PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 1rem; }}
main {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1rem; }}
figure {{ margin: 0; }}
img {{ width: 100%; height: auto; }}
figcaption {{ overflow-wrap: anywhere; white-space: pre-line; }}
small, .failed {{ color: #666; }}
</style>
<h1>{title}</h1>
<main>
{figures}
</main>
{failures}
</html>
"""


def write_grid(folder: Path, names: Sequence[str]) -> Path:
    """grid.png: the pictures in order, made small enough that the whole stays openable."""
    columns = max(1, math.ceil(math.sqrt(len(names))))
    tile = max(1, min(MAX_TILE_PX, MAX_GRID_PX // columns))
    grid = Image.new("RGB", (columns * tile, max(1, math.ceil(len(names) / columns)) * tile), "white")
    for index, name in enumerate(names):
        try:
            with open_image(folder / name, "picture") as image:
                small = image.convert("RGB")
                small.thumbnail((tile, tile))
        except ImageFileError:
            continue  # its place stays white
        left = index % columns * tile + (tile - small.width) // 2
        grid.paste(small, (left, index // columns * tile + (tile - small.height) // 2))
    save_image(grid, folder / GRID_FILE)
    return folder / GRID_FILE


def write_page(
    folder: Path, title: str, records: Sequence[Mapping[str, Any]], failures: Sequence[tuple[int, str]]
) -> Path:
    """index.html: each picture with its row, seed and prompt; then the rows that failed, and why."""
    figures = [
        _figure(str(name), int(record["row"]), seed, str(record["options"]["prompt"]))
        for record in records
        for name, seed in zip(record["files"], record["seeds"], strict=True)
    ]
    failed = [
        "<li>" + escape(_("row {number}", number=number)) + f": {escape(words)}</li>" for number, words in failures
    ]
    page = PAGE.format(
        language=language(),
        title=escape(title),
        figures="\n".join(figures),
        failures=f'<ul class="failed">\n{"".join(failed)}\n</ul>' if failed else "",
    )
    with writable(folder / PAGE_FILE):
        write_file(folder / PAGE_FILE, page.encode("utf-8", "replace"))
    return folder / PAGE_FILE


def _figure(name: str, number: int, seed: object, prompt: str) -> str:
    link, words = quote(name), escape(prompt)
    caption = escape(_("row {number}", number=number) + f"  seed {seed}")
    return (
        f'<figure><a href="{link}"><img src="{link}" alt="{words}" loading="lazy"></a>'
        f"<figcaption>{words}<br><small>{caption}</small></figcaption></figure>"
    )
