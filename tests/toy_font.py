"""A colour font of a few kilobytes, made like Noto Color Emoji: PNG bitmaps of one size, composed emoji as ligatures.

Tables and names of fields as in the OpenType specification 1.9.
"""

import io
import struct
from itertools import accumulate

from PIL import Image, ImageDraw

PPEM = 109  # of the one strike, as in Noto
WIDTH_PX = HEIGHT_PX = 120
ADVANCE_PX = 130
UNITS_PER_EM = 2048


def make_font(glyphs: dict[str, tuple[int, int, int]]) -> bytes:
    """A TrueType file that draws each text of `glyphs` as one square of that colour.

    A text of several characters is a ligature of theirs; a character that only ligatures need is a blank glyph.
    """
    characters = sorted({character for text in glyphs for character in text})
    texts = [*characters, *(text for text in glyphs if len(text) > 1)]
    ids = {text: number for number, text in enumerate(texts, start=1)}  # 0 is .notdef
    pictures = [_png(None), *(_png(glyphs.get(text)) for text in texts)]
    count = len(pictures)
    bitmaps, offsets = _bitmaps(pictures)
    return _sfnt(
        {
            "CBDT": bitmaps,
            "CBLC": _bitmap_locations(offsets, count),
            "GSUB": _ligatures({text: number for text, number in ids.items() if len(text) > 1}, ids),
            "cmap": _character_map({ord(text): number for text, number in ids.items() if len(text) == 1}),
            # unitsPerEm, dates, box, and no glyf table for indexToLocFormat to speak of
            "head": struct.pack(
                ">HHIIIHHqqhhhhHHhhh",
                1,
                0,
                1 << 16,
                0,
                0x5F0F3CF5,
                0,
                UNITS_PER_EM,
                0,
                0,
                0,
                0,
                UNITS_PER_EM,
                UNITS_PER_EM,
                0,
                PPEM,
                2,
                0,
                0,
            ),
            # ascender, descender, ..., numberOfHMetrics
            "hhea": struct.pack(
                ">HHhhhHhhhhhhhhhhhH", 1, 0, 1900, -500, 0, 2550, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, count
            ),
            "hmtx": struct.pack(">Hh", 2550, 0) * count,
            "maxp": struct.pack(">IH", 0x00005000, count),
        }
    )


def _png(colour: tuple[int, int, int] | None) -> bytes:
    picture = Image.new("RGBA", (WIDTH_PX, HEIGHT_PX))
    if colour is not None:
        ImageDraw.Draw(picture).rectangle((4, 4, WIDTH_PX - 5, HEIGHT_PX - 5), fill=colour)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def _bitmaps(pictures: list[bytes]) -> tuple[bytes, list[int]]:
    """CBDT with glyph bitmap format 17, and where each glyph begins after its header of four bytes."""
    metrics = struct.pack(">BBbbB", HEIGHT_PX, WIDTH_PX, 0, 100, ADVANCE_PX)
    blocks = [metrics + struct.pack(">I", len(png)) + png for png in pictures]
    return struct.pack(">HH", 3, 0) + b"".join(blocks), [0, *accumulate(map(len, blocks))]


def _bitmap_locations(offsets: list[int], count: int) -> bytes:
    """CBLC: one strike with one index subtable of format 1."""
    subtable = struct.pack(">HHI", 1, 17, 4) + struct.pack(f">{len(offsets)}I", *offsets)
    listed = struct.pack(">HHI", 0, count - 1, 8) + subtable
    line = struct.pack(">bbBbbbbbbbbb", 100, -20, WIDTH_PX, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    strike = struct.pack(">IIII", 56, len(listed), 1, 0) + line * 2
    return struct.pack(">HHI", 3, 0, 1) + strike + struct.pack(">HHBBBb", 0, count - 1, PPEM, PPEM, 32, 1) + listed


def _character_map(ids: dict[int, int]) -> bytes:
    """cmap with one subtable of format 12."""
    groups = [struct.pack(">III", code, code, number) for code, number in sorted(ids.items())]
    subtable = struct.pack(">HHIII", 12, 0, 16 + 12 * len(groups), 0, len(groups)) + b"".join(groups)
    return struct.pack(">HHHHI", 0, 1, 3, 10, 12) + subtable


def _ligatures(ligatures: dict[str, int], ids: dict[str, int]) -> bytes:
    """GSUB 1.0: script DFLT, feature ccmp, one lookup of type 4."""
    sets = {
        text[0]: [(other, number) for other, number in ligatures.items() if other[0] == text[0]]
        for text in sorted(ligatures, key=lambda text: ids[text[0]])
    }
    packed = [
        _offsets_to(
            [
                struct.pack(f">HH{len(text) - 1}H", number, len(text), *(ids[c] for c in text[1:]))
                for text, number in found
            ],
            2,
        )
        for found in sets.values()
    ]
    coverage = struct.pack(f">HH{len(sets)}H", 1, len(sets), *(ids[first] for first in sets))
    # substFormat, coverageOffset, then the ligature sets; coverage behind them
    subtable = _offsets_to(packed, 6)
    subtable = struct.pack(">HH", 1, 4 + len(subtable)) + subtable + coverage
    lookups = struct.pack(">HH", 1, 4) + struct.pack(">HHHH", 4, 0, 1, 8) + subtable
    scripts = struct.pack(">H4sH", 1, b"DFLT", 8) + struct.pack(">HH", 4, 0) + struct.pack(">HHHH", 0, 0xFFFF, 1, 0)
    features = struct.pack(">H4sH", 1, b"ccmp", 8) + struct.pack(">HHH", 0, 1, 0)
    header = struct.pack(">HHHHH", 1, 0, 10, 10 + len(scripts), 10 + len(scripts) + len(features))
    return header + scripts + features + lookups


def _offsets_to(blocks: list[bytes], before: int) -> bytes:
    """A count, an offset to each block, the blocks. Offsets begin `before` bytes ahead of the first offset."""
    first = before + 2 * len(blocks)
    offsets = [first + end - len(block) for block, end in zip(blocks, accumulate(map(len, blocks)), strict=True)]
    return struct.pack(f">{len(blocks) + 1}H", len(blocks), *offsets) + b"".join(blocks)


def _sfnt(tables: dict[str, bytes]) -> bytes:
    """The file: a directory of the tables, each at a multiple of four. Checksums are left at 0: no reader here asks."""
    directory, content = b"", b""
    start = 12 + 16 * len(tables)
    for name, table in sorted(tables.items()):
        directory += struct.pack(">4sIII", name.encode(), 0, start + len(content), len(table))
        content += table + bytes(-len(table) % 4)
    return struct.pack(">IHHHH", 1 << 16, len(tables), 128, 3, 0) + directory + content
