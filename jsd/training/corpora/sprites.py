"""The sprites of the second corpus: every concept in several designs, cut out, in one file.

`sprites.zip` holds DESIGN/CODE.webp (RGBA, cropped to what is drawn, at most 120 px a side), index.json with each
design's source and licence, and the corpus' concepts.json, so that the corpus itself can be painted of it.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from jsd.atomic import write_file
from jsd.errors import CorpusError, MissingExtraError
from jsd.training.corpora.concepts import Concept, format_concepts, parse_concepts
from jsd.training.corpora.sources import SOURCES, SPRITE_SOURCES, fetch_source, read_members

SPRITE_PX = 120
SPRITES_FILE = "sprites.zip"
INDEX_FILE, CONCEPTS_FILE = "index.json", "concepts.json"  # in it
QUALITY = 80
# design -> package. Fluent's flat set is its 3D set drawn anew; the others are drawings of their own.
DESIGNS = {
    "3d": "@lobehub/fluent-emoji-3d",
    "flat": "@lobehub/fluent-emoji-flat",
    "noto": "@iconify-json/noto",
    "blob": "@iconify-json/noto-v1",
    "twemoji": "@iconify-json/twemoji",
}
Sprite = NDArray[np.uint8]  # (H, W, 4)


@dataclass(frozen=True)
class Sprites:
    """`files`: design -> code -> WebP; `origins`: design -> source and licence."""

    files: Mapping[str, Mapping[str, bytes]] = field(repr=False)
    concepts: Sequence[Concept] = field(default=(), repr=False)
    origins: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Sprites":
        files: dict[str, dict[str, bytes]] = {}
        concepts, index = [], {}
        try:
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    design, _, file = name.partition("/")
                    if file.endswith(".webp"):
                        files.setdefault(design, {})[file.removesuffix(".webp")] = archive.read(name)
                if CONCEPTS_FILE in archive.namelist():
                    concepts, index = parse_concepts(archive.read(CONCEPTS_FILE)), json.loads(archive.read(INDEX_FILE))
        except (KeyError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise CorpusError(
                "corpus.sprites",
                "there are no sprites in {path}: {reason}; run: jsd data sprites --output {folder}",
                path=path,
                reason=error,
                folder=path.parent,
            ) from error
        return cls(files, concepts, {name: (one["source"], one["licence"]) for name, one in index.items()})

    @cached_property
    def digest(self) -> str:
        whole = hashlib.sha256()
        for design, files in sorted(self.files.items()):
            for code, data in sorted(files.items()):
                whole.update(f"{design}/{code}/{len(data)}/".encode() + data)
        return whole.hexdigest()

    @cached_property
    def _decoded(self) -> dict[tuple[str, str], Sprite]:
        return {}

    def get(self, design: str, code: str) -> Sprite:
        """(H, W, 4), decoded once."""
        if (design, code) not in self._decoded:
            with Image.open(io.BytesIO(self.files[design][code])) as image:
                self._decoded[design, code] = np.asarray(image.convert("RGBA"))
        return self._decoded[design, code]

    def designs(self, code: str) -> list[str]:
        return [design for design, files in self.files.items() if code in files]


def build_sprites(concepts: Sequence[Concept], sources: Path, folder: Path) -> Path:
    """Write `folder`/sprites.zip for the concepts, from the packages in `sources`, fetching what is missing."""
    file, codes = io.BytesIO(), {concept.code for concept in concepts}
    index = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for design, name in DESIGNS.items():
            source = {**SOURCES, **SPRITE_SOURCES}[name]
            package = fetch_source(source, sources)
            found = 0
            for code, drawing in tqdm(read_drawings(package, codes, icon_names(sources)), desc=design):
                archive.writestr(f"{design}/{code}.webp", _packed(drawing))
                found += 1
            index[design] = {"source": f"{name} {source.version}", "licence": source.licence, "sprites": found}
        archive.writestr(INDEX_FILE, json.dumps(index, indent=1))
        archive.writestr(CONCEPTS_FILE, format_concepts(concepts), zipfile.ZIP_DEFLATED)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / SPRITES_FILE, file.getvalue())
    return folder / SPRITES_FILE


def icon_names(sources: Path) -> dict[str, str]:
    """name of an icon -> code; Noto's first set has the names of its second, and no codes."""
    found: dict[str, str] = {}
    for name in ("@iconify-json/noto", "@iconify-json/twemoji"):
        ((_, content),) = read_members(fetch_source(SPRITE_SOURCES[name], sources), ("chars.json",))
        for code, icon in json.loads(content).items():
            found.setdefault(icon, _plain(code))
    return found


def _plain(code: str) -> str:
    """Code points without leading zeros and variation selectors."""
    return "-".join(point.lstrip("0") for point in code.lower().split("-") if point != "fe0f")


def read_drawings(
    package: Path, codes: set[str], names: Mapping[str, str], width: int = 2 * SPRITE_PX
) -> Iterator[tuple[str, Image.Image]]:
    """Of a package of picture files, or of an icon set of iconify; vectors `width` px wide."""
    done = set()
    for name, content in read_members(package, (".webp", ".svg", "icons.json")):
        if name.endswith("icons.json"):
            icons = json.loads(content)
            for icon, drawn in icons["icons"].items():
                code = names.get(icon)
                if code in codes and code not in done:
                    done.add(code)
                    sides = [drawn.get(side, icons[side]) for side in ("width", "height")]
                    yield code, rasterise(_svg(drawn["body"], *sides), width)
            continue
        code = _plain(Path(name).stem)
        if code in codes and code not in done:
            done.add(code)
            yield (
                code,
                rasterise(content.decode(), width) if name.endswith(".svg") else Image.open(io.BytesIO(content)),
            )


def _svg(body: str, width: float, height: float) -> str:
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {space} viewBox="0 0 {width} {height}" width="{width}" height="{height}">{body}</svg>'


def rasterise(svg: str, width: int) -> Image.Image:
    try:
        import resvg_py
    except ImportError:
        raise MissingExtraError("resvg-py", "train") from None
    drawn = resvg_py.svg_to_bytes(svg_string=svg, width=width, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(drawn)))


def _packed(drawing: Image.Image) -> bytes:
    """Cropped, fitted, without colour where nothing is seen."""
    drawing = drawing.convert("RGBA")
    drawing = drawing.crop(drawing.getchannel("A").getbbox())
    scale = SPRITE_PX / max(drawing.size)
    width, height = (max(1, round(side * scale)) for side in drawing.size)
    pixels = np.array(drawing.resize((width, height), Image.Resampling.LANCZOS))
    pixels[pixels[..., 3] == 0] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=QUALITY, method=4)
    return file.getvalue()
