"""What is in imported pictures: sizes, captions as the vocabulary reads them, duplicates; and a page of samples."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from jsd.atomic import replacing_folder, write_file
from jsd.batch.sheet import PAGE
from jsd.i18n import _, language
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.corpora.shards import Shards

SHEET, SAMPLES, SAMPLE_PX = "sheet", 60, 256
NUM_NAMED = 5


def describe(shards: Shards, tokenizer: JapaneseTokenizer) -> Iterator[tuple[str, str]]:
    """(what, how much), column by column: no picture is opened."""
    widths: list[int] = []
    heights: list[int] = []
    tokens: list[int] = []
    unread: Counter[str] = Counter()
    known: dict[str, int] = {}
    twice: dict[str, list[str]] = {}
    columns: dict[str, None] = {}
    for index in shards.filled:
        table = shards.table(index)
        columns |= dict.fromkeys(table.column_names)
        rows = table.select(["key", "captions", "width", "height", "digest"]).to_pylist()
        for row in rows:
            widths.append(row["width"])
            heights.append(row["height"])
            twice.setdefault(row["digest"], []).append(row["key"])
            for text in row["captions"]:
                if text not in known:
                    report = tokenizer.describe(text)
                    known[text] = report.num_tokens_needed
                    unread.update({one.text for one in report.unread})
                tokens.append(known[text])
    yield _("pictures"), f"{len(shards):,}"
    yield _("shards"), f"{len(shards.counts):,}"
    yield _("columns"), ", ".join(columns)
    yield _("width, px"), _spread(widths)
    yield _("height, px"), _spread(heights)
    yield _("captions a picture"), f"{len(tokens) / len(shards):.1f}"
    yield _("tokens a caption"), _spread(tokens)
    cut = sum(count > tokenizer.model_max_length for count in tokens)
    yield _("captions that are cut at {length} tokens", length=tokenizer.model_max_length), f"{cut:,}"
    named = " ".join(f"{text} ({count:,})" for text, count in unread.most_common(4 * NUM_NAMED))
    yield _("characters that the vocabulary lacks"), f"{len(unread):,}  {named}".rstrip()
    copies = [keys for keys in twice.values() if len(keys) > 1]
    named = "; ".join(" = ".join(keys[:3]) for keys in copies[:NUM_NAMED])
    yield _("pictures that are there twice"), f"{sum(len(keys) - 1 for keys in copies):,}  {named}".rstrip()


def _spread(values: list[int]) -> str:
    """Smallest, median, 95th of 100, largest."""
    ordered = sorted(values)
    at = [ordered[math.floor(share * (len(ordered) - 1))] for share in (0, 0.5, 0.95, 1)]
    return _(
        "{low} to {high}, half up to {median}, 95 of 100 up to {most}", low=at[0], high=at[3], median=at[1], most=at[2]
    )


def write_sheet(shards: Shards, folder: Path) -> Path:
    """`folder`/index.html with pictures from all over the corpus, as small files beside it."""
    wanted = _spaced(len(shards))
    figures: list[str] = []
    with replacing_folder(folder) as place:
        first = 0
        for index, count in enumerate(shards.counts):
            rows = [number - first for number in wanted if first <= number < first + count]
            first += count
            if not rows:
                continue
            for row in shards.table(index, ["key", "image", "captions"]).take(rows).to_pylist():
                name = f"{len(figures):02}.jpg"
                small = shards.image(index, row["key"], row["image"])
                small.thumbnail((SAMPLE_PX, SAMPLE_PX))
                small.save(place / name, quality=85)
                figures.append(_figure(name, row))
        title = escape(f"{shards.folder.name}: {len(shards):,}")
        page = PAGE.format(language=language(), title=title, figures="\n".join(figures), failures="")
        write_file(place / "index.html", page.encode("utf-8", "replace"))
    return folder / "index.html"


def _spaced(count: int) -> Sequence[int]:
    return [number * count // SAMPLES for number in range(SAMPLES)] if count > SAMPLES else range(count)


def _figure(name: str, row: dict[str, Any]) -> str:
    words = escape("\n".join(row["captions"]))
    link = f'<a href="{name}"><img src="{name}" alt="{words}" loading="lazy"></a>'
    return f"<figure>{link}<figcaption>{words}<br><small>{escape(row['key'])}</small></figcaption></figure>"
