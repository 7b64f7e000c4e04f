"""The corpus: pictures (N, 128, 128, 3), one record for each, and the concepts they show."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from jsd.atomic import replacing_folder
from jsd.errors import CorpusError, InvalidInputError
from jsd.i18n import _
from jsd.training.corpora.captions import Words
from jsd.training.corpora.concepts import (
    Concept,
    distinctive_keywords,
    format_concepts,
    parse_concepts,
    select_concepts,
)
from jsd.training.corpora.sources import SOURCES, fetch_source, read_font, read_members
from jsd.training.corpora.sprites import Sprites, rasterise
from jsd.training.corpora.styles import BACKGROUNDS, CORPUS_STYLES, DEFAULT_STYLE, SIZE_PX, over

NOTO_STRIKE_PX = 109  # the only size of the bitmaps in Noto Color Emoji
PICTURE_SETS = {
    "3d": "@lobehub/fluent-emoji-3d",
    "flat": "@lobehub/fluent-emoji-flat",
    "noto": "fonts-noto-color-emoji",
}
FILES = ("pictures.npy", "records.jsonl", "concepts.json")
# サラリーマン in oil is the model's first prompt: it must be composed, not remembered.
ALWAYS_UNSEEN = {("1f9d1-200d-1f4bc", "oil")}


@dataclass(frozen=True)
class Record:
    """One picture. `index` is its row in pictures.npy."""

    index: int
    code: str  # of its concept
    style: str
    background: str | None
    unseen: bool  # this (concept, style) pair is never shown in training
    japan: bool
    source: str
    licence: str


@dataclass(frozen=True)
class Corpus:
    pictures: np.ndarray = field(repr=False)  # (N, 128, 128, 3) uint8, memory-mapped
    records: list[Record] = field(repr=False)
    concepts: dict[str, Concept] = field(repr=False)  # by code

    @classmethod
    def load(cls, folder: Path) -> "Corpus":
        if not all((folder / name).is_file() for name in FILES):
            raise CorpusError(
                "corpus.absent",
                "there is no corpus in {folder}; for the embedded model's run: jsd data build --corpus {folder}; own "
                "pictures become one by jsd data import",
                folder=folder,
            )
        try:
            lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
            records = [Record(**json.loads(line)) for line in lines]
            concepts = parse_concepts((folder / "concepts.json").read_bytes())
            pictures = np.load(folder / "pictures.npy", mmap_mode="r")
        except (EOFError, OSError, TypeError, ValueError) as error:
            raise CorpusError(
                "corpus.damaged",
                "the corpus in {folder} is damaged ({reason}); make it again: jsd data build --corpus {folder}",
                folder=folder,
                reason=error,
            ) from error
        if len(records) != len(pictures):
            reason = _(
                "{num_records} records, {num_pictures} pictures", num_records=len(records), num_pictures=len(pictures)
            )
            raise CorpusError(
                "corpus.damaged",
                "the corpus in {folder} is damaged ({reason}); make it again: jsd data build --corpus {folder}",
                folder=folder,
                reason=reason,
            )
        return cls(pictures=pictures, records=records, concepts={concept.code: concept for concept in concepts})

    def save(self, folder: Path) -> None:
        """Write the three files of FILES, in the place of a corpus that is there. All or nothing."""
        _check_replaceable(folder)
        with replacing_folder(folder) as temporary:
            np.save(temporary / "pictures.npy", self.pictures)
            lines = [json.dumps(asdict(record), ensure_ascii=False) for record in self.records]
            (temporary / "records.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            (temporary / "concepts.json").write_text(format_concepts(self.concepts.values()), "utf-8")

    def words(self, language: str) -> dict[str, Words]:
        """code -> what its concept is called in "ja" or "en"."""
        keywords = distinctive_keywords(list(self.concepts.values()), language)
        return {
            code: Words(
                getattr(concept, f"name_{language}"),
                keywords[concept.emoji],
                concept.onomatopoeia if language == "ja" else (),
            )
            for code, concept in self.concepts.items()
        }


def is_unseen(code: str, style: str) -> bool:
    """One in ten (concept, style) pairs, by a hash; never the default style, which a bare name asks for."""
    digest = hashlib.sha256(f"{code}/{style}".encode()).digest()
    return style != DEFAULT_STYLE and ((code, style) in ALWAYS_UNSEEN or digest[0] % 10 == 0)


def build_corpus(folder: Path, sources: Path) -> Corpus:
    """Make the corpus in `folder` from the packages in `sources`, fetching what is missing."""
    _check_replaceable(folder)
    concepts = select_concepts(sources)
    drawings = {name: _read_drawings(name, concepts, sources) for name in PICTURE_SETS}
    packages = {name: SOURCES[package] for name, package in PICTURE_SETS.items()}
    origins = {name: (f"{package.name} {package.version}", package.licence) for name, package in packages.items()}
    return _paint(folder, concepts, drawings, origins)


def repaint_corpus(folder: Path, sprites: Sprites) -> Corpus:
    """Make the corpus in `folder` from nothing but sprites: without the packages, and so without a network."""
    _check_replaceable(folder)
    painted = set.intersection(*(set(sprites.files.get(name, ())) for name in PICTURE_SETS))
    if not painted & {concept.code for concept in sprites.concepts}:
        raise CorpusError(
            "corpus.unpainted",
            "sprites that a corpus is made of must hold concepts.json and the designs {designs} of its concepts, and "
            "these show none; pack them again: jsd data sprites",
            designs=", ".join(PICTURE_SETS),
        )
    drawings = {
        name: {code: _fit(Image.fromarray(sprites.get(name, code))) for code in sprites.files.get(name, ())}
        for name in PICTURE_SETS
    }
    return _paint(folder, sprites.concepts, drawings, sprites.origins)


def _paint(
    folder: Path,
    concepts: Sequence[Concept],
    drawings: dict[str, dict[str, Image.Image]],
    origins: Mapping[str, tuple[str, str]],
) -> Corpus:
    """Of the concepts that every picture set draws. `origins`: picture set -> its source and licence."""
    concepts = [c for c in concepts if all(c.code in drawings[name] for name in PICTURE_SETS)]
    pictures: list[np.ndarray] = []
    records: list[Record] = []
    for concept in tqdm(concepts, desc=_("pictures")):
        for style, background, picture in _render(concept, drawings):
            seen = (style, background, is_unseen(concept.code, style), concept.japan)
            records.append(Record(len(records), concept.code, *seen, *origins[CORPUS_STYLES[style].picture_set]))
            pictures.append(np.asarray(picture))
    Corpus(np.stack(pictures), records, {concept.code: concept for concept in concepts}).save(folder)
    return Corpus.load(folder)


def _check_replaceable(folder: Path) -> None:
    """Building replaces a corpus, and nothing else that may be in a folder."""
    is_folder = folder.is_dir() and not folder.is_symlink()
    if is_folder and {path.name for path in folder.iterdir()} <= set(FILES):
        return
    if folder.is_symlink() or folder.exists():
        raise InvalidInputError(
            "corpus.occupied",
            "{field} must be a new folder or one made by jsd data build, and {value} holds "
            "something else; name another",
            field="corpus",
            value=folder,
        )


def _render(
    concept: Concept, drawings: dict[str, dict[str, Image.Image]]
) -> Iterator[tuple[str, str | None, Image.Image]]:
    """(style, background, picture) of every style, and of one coloured background for each style that takes them."""
    colours = list(BACKGROUNDS)
    for style in CORPUS_STYLES.values():
        drawing = drawings[style.picture_set][concept.code]
        yield style.name, None, style.render(drawing)
        if style.takes_background:
            digest = hashlib.sha256(f"{concept.code}/{style.name}/background".encode()).digest()
            name = colours[digest[0] % len(colours)]
            yield style.name, name, over(drawing, BACKGROUNDS[name][2])


def _read_drawings(picture_set: str, concepts: list[Concept], sources: Path) -> dict[str, Image.Image]:
    """code -> RGBA at 128 px, for those concepts that the picture set has."""
    package = fetch_source(SOURCES[PICTURE_SETS[picture_set]], sources)
    wanted = {concept.code: concept.emoji for concept in concepts}
    if picture_set == "noto":
        font = ImageFont.truetype(io.BytesIO(read_font(package)), NOTO_STRIKE_PX, layout_engine=ImageFont.Layout.RAQM)
        return {code: drawing for code, emoji in wanted.items() if (drawing := _draw_glyph(font, emoji)) is not None}
    found = {}
    for name, content in read_members(package, (".webp", ".svg")):
        code = Path(name).stem.replace("-fe0f", "")
        if code in wanted:
            is_svg = name.endswith(".svg")
            found[code] = _fit(rasterise(content.decode(), 2 * SIZE_PX) if is_svg else Image.open(io.BytesIO(content)))
    return found


def _draw_glyph(font: ImageFont.FreeTypeFont, emoji: str) -> Image.Image | None:
    """The one colour glyph of `emoji`; None where the font has none, or draws it as several."""
    canvas = Image.new("RGBA", (NOTO_STRIKE_PX * 4, NOTO_STRIKE_PX * 2))
    ImageDraw.Draw(canvas).text((8, 8), emoji, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None or box[2] - box[0] > 140:
        return None
    return _fit(canvas.crop(box))


def _fit(drawing: Image.Image) -> Image.Image:
    """Centred in the square with a margin of 4 px, so that all sets are of one size."""
    drawing = drawing.convert("RGBA")
    drawing = drawing.crop(drawing.getbbox())
    inner = SIZE_PX - 8
    scale = inner / max(drawing.size)
    size = (max(1, round(drawing.width * scale)), max(1, round(drawing.height * scale)))
    canvas = Image.new("RGBA", (SIZE_PX, SIZE_PX))
    canvas.paste(drawing.resize(size, Image.Resampling.LANCZOS), ((SIZE_PX - size[0]) // 2, (SIZE_PX - size[1]) // 2))
    return canvas
