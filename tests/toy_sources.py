"""The packages of the corpus and its sprites, in miniature: the files and formats of the real ones, fourteen emoji."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from toy_font import make_font

from jsd.training.corpora.sources import SOURCES, SPRITE_SOURCES
from jsd.training.corpora.sprites import DESIGNS

# emoji -> (group, Japanese, English), each a short name and keywords
EMOJI: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "🌵": ("Animals & Nature", ("サボテン", "砂漠"), ("cactus", "desert")),
    "⛩": ("Travel & Places", ("鳥居", "神社"), ("shinto shrine", "torii")),
    "♨": ("Symbols", ("温泉マーク", "温泉"), ("hot springs", "steaming")),  # of the Japan list
    "✴": ("Symbols", ("八光星", "星"), ("eight-pointed star", "star")),
    "❣": ("Symbols", ("ハート", "ドキドキ"), ("heart", "love")),  # has an onomatopoeia
    "🇯🇵": ("Flags", ("日本", "旗"), ("Japan", "flag")),
    "🕐": ("Travel & Places", ("1時", "時計"), ("one o’clock", "clock")),
    "🏃\u200d♀": ("People & Body", ("走る女性", "走る"), ("woman running", "run")),
    "👨\u200d🍳": ("People & Body", ("男のコック", "料理"), ("man cook", "cook")),
    "🌑": ("Travel & Places", ("新月", "月"), ("new moon", "moon")),  # of the list left out
    "🧑\u200d💼": ("People & Body", ("会社員", "サラリーマン"), ("office worker", "manager")),
    "🗿": ("Objects", ("モヤイ像", "石"), ("moai", "statue")),  # Fluent's flat set has no drawing
    "🐻\u200d❄": ("Animals & Nature", ("シロクマ", "北極"), ("polar bear", "arctic")),  # two glyphs in the font
    "🌋": ("Travel & Places", ("火山", "噴火"), ("volcano", "eruption")),  # no glyph in the font
}
SELECTED = ("🌵", "⛩", "♨", "❣", "🧑\u200d💼", "🗿", "🐻\u200d❄", "🌋")
DRAWN = ("🌵", "⛩", "♨", "❣", "🧑\u200d💼")  # by all three picture sets
GLYPHS = (*DRAWN, "🗿", "🐻", "❄")


def colour_of(emoji: str, picture_set: str) -> tuple[int, int, int]:
    """Of the drawing: another for each emoji and picture set."""
    red, green, blue = hashlib.sha256(f"{emoji}/{picture_set}".encode()).digest()[:3]
    return red, green, blue


def toy_packages() -> dict[str, bytes]:
    """name of the source -> package file."""
    composed = [emoji for emoji in EMOJI if "\u200d" in emoji]
    single = [emoji for emoji in EMOJI if "\u200d" not in emoji]
    # unicode-emoji-json and Fluent write the variation selectors that CLDR leaves out.
    groups = {emoji + ("\ufe0f" if len(emoji) == 1 else ""): {"group": words[0]} for emoji, words in EMOJI.items()}
    return {
        "cldr-annotations-full": _npm(_annotations("annotations", single)),
        "cldr-annotations-derived-full": _npm(_annotations("annotationsDerived", composed)),
        "unicode-emoji-json": _npm({"data-by-emoji.json": json.dumps(groups).encode()}),
        "@lobehub/fluent-emoji-3d": _npm(
            {f"assets/{_code(emoji)}.webp": _webp(colour_of(emoji, "3d")) for emoji in EMOJI}
            | {"README.md": b"not a picture", "assets/1f600.webp": b"nor a concept of the corpus"}
        ),
        "@lobehub/fluent-emoji-flat": _npm(
            {f"assets/{_code(emoji)}.svg": _svg(colour_of(emoji, "flat")) for emoji in EMOJI if emoji != "🗿"}
        ),
        "fonts-noto-color-emoji": _deb(
            {
                "./usr/share/doc/copyright": b"OFL-1.1",
                "./usr/share/fonts/truetype/noto/NotoColorEmoji.ttf": make_font(
                    {emoji: colour_of(emoji, "noto") for emoji in GLYPHS}
                ),
            }
        ),
        **{name: _icons(design) for design, name in DESIGNS.items() if name in SPRITE_SOURCES},
    }


def _icons(design: str) -> bytes:
    """An icon set of iconify; one has code points, one the names alone."""
    names = {emoji: f"icon-{number}" for number, emoji in enumerate(EMOJI)}
    icons = {
        name: {"body": _svg(colour_of(emoji, design)).decode().partition(">")[2].removesuffix("</svg>")}
        for emoji, name in names.items()
    }
    chars = {} if design == "blob" else {_code(emoji): name for emoji, name in names.items()}
    files = {"icons.json": {"icons": icons, "width": 32, "height": 32}, "chars.json": chars}
    return _npm({name: json.dumps(content).encode() for name, content in files.items()})


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the toy packages; for as long as it is there the pinned checksums are theirs."""
    folder = tmp_path_factory.mktemp("sources")
    with pytest.MonkeyPatch.context() as patch:
        for name, package in toy_packages().items():
            digest = base64.b64encode(hashlib.sha512(package).digest()).decode()
            table = SOURCES if name in SOURCES else SPRITE_SOURCES
            patch.setitem(table, name, replace(table[name], sha512=digest))
            package_path(folder, name).write_bytes(package)
        yield folder


def package_path(folder: Path, name: str) -> Path:
    """As `npm pack` and `apt-get download` would name it, without an architecture."""
    source = {**SOURCES, **SPRITE_SOURCES}[name]
    suffix = "deb" if source.client == "apt" else "tgz"
    return folder / f"{name.removeprefix('@').replace('/', '-')}-{source.version}.{suffix}"


def _code(emoji: str) -> str:
    return "-".join(f"{ord(character):x}" for character in emoji) + ("-fe0f" if len(emoji) == 1 else "")


def _annotations(kind: str, emoji: list[str]) -> dict[str, bytes]:
    found = {}
    for number, language in ((1, "ja"), (2, "en")):
        listed = {one: {"tts": [EMOJI[one][number][0]], "default": list(EMOJI[one][number])} for one in emoji}
        found[f"{kind}/{language}/annotations.json"] = json.dumps({kind: {"annotations": listed}}).encode()
    return found


def _webp(colour: tuple[int, int, int]) -> bytes:
    """A disc at 256 px, on nothing."""
    picture = Image.new("RGBA", (256, 256))
    ImageDraw.Draw(picture).ellipse((20, 20, 235, 235), fill=colour)
    file = io.BytesIO()
    picture.save(file, "WEBP", lossless=True)
    return file.getvalue()


def _svg(colour: tuple[int, int, int]) -> bytes:
    shape = f'<rect x="4" y="4" width="24" height="24" fill="rgb{colour}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{shape}</svg>'.encode()


def _tar(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _npm(files: dict[str, bytes]) -> bytes:
    return _tar({f"package/{name}": content for name, content in files.items()})


def _deb(files: dict[str, bytes]) -> bytes:
    """An ar archive of three members, as deb(5) describes it."""
    members = {"debian-binary": b"2.0\n", "control.tar.gz": _tar({"./control": b""}), "data.tar.gz": _tar(files)}
    archive = b"!<arch>\n"
    for name, content in members.items():
        archive += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        archive += content + b"\n" * (len(content) % 2)
    return archive
