"""Reports of `jsd evaluate` -> docs/results/NAME.json -> the tables of docs/training*.md, of the model card and README.

    python -m runs.results_table [NAME=REPORT ...]

Each REPORT is kept without its list of drawings, then the tables are written anew from all that is kept.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jsd.atomic import write_json
from runs.blocks import DOCS, MODEL_CARD, README, README_JA, TRAINING, write_block

RESULTS = DOCS / "results"
CORPUS = RESULTS / "corpus.txt"  # what `jsd data describe` says
# name of the report -> row; group of prompts -> column
ROWS = {
    "base_en": "base, English prompts",
    "base_ja": "base, Japanese prompts",
    "stage1": "after stage 1",
    "stage2": "after stage 2",
    "decoder": "with its decoder sharpened",
    "first": "the same at its own guidance = first edition",
    "text": "its text encoder taught to read",
    "mini": "on scenes, parts read one after another = embedded model",
}
# The same for the prompts of NATURAL.
NATURAL = "jsd/training/evaluation/sets/natural.txt"
NATURAL_ROWS = {
    "natural_first": "first edition",
    "natural_text": "its text encoder taught to read",
    "natural_mini": "embedded model",
}
NATURAL_COLUMNS = {
    "nouns": "nouns in any spelling",
    "sentences": "with modifiers, in sentences",
    "styles": "with a style: subject",
    "colours": "with a colour: subject, colour",
    "two": "two things: both",
}
SCORED = "ja500_mini"  # the report of `jsd evaluate --scorer` that has a table
COLUMNS = {"general": "general", "japan": "Japan", "onomatopoeia": "onomatopoeia, Japanglish", "unseen": "unseen pairs"}
NAMES = (*ROWS, *NATURAL_ROWS, SCORED)
PAGES, SCORED_PAGES, READMES = (*TRAINING, MODEL_CARD), TRAINING, (README, README_JA)
# What all rows of one table must share.
SHARED = ("split", "seeds", "num_inference_steps", "gallery")
NOT_MEASURED = "–"

Report = dict[str, Any]


def keep(name: str, path: Path, folder: Path = RESULTS) -> None:
    """The report in `path`, without its list of drawings, as `folder`/NAME.json."""
    if name not in NAMES:
        raise SystemExit(f"{name} is no row of a table; the rows are {', '.join(NAMES)}")
    report = json.loads(path.read_text("utf-8"))
    report.pop("drawings", None)
    write_json(folder / f"{name}.json", report)


def load_reports(folder: Path = RESULTS, rows: Iterable[str] = ROWS) -> dict[str, Report]:
    """name -> report, of the rows that were measured."""
    paths = {name: folder / f"{name}.json" for name in rows}
    return {name: json.loads(path.read_text("utf-8")) for name, path in paths.items() if path.is_file()}


def results_block(reports: dict[str, Report]) -> str:
    """The table as Markdown, and the line that says how it was measured."""
    _check_comparable(reports)
    lines = [_row("", ["guidance", *COLUMNS.values()]), _row("---", ["---"] * (1 + len(COLUMNS)))]
    lines += [_row(label, _cells(reports.get(name))) for name, label in ROWS.items()]
    first = next(iter(reports.values()))
    counts = [str(first["accuracy"][group]["drawings"]) for group in COLUMNS]
    gallery = first["gallery"]
    lines += [
        _row("*drawings a row*", ["", *counts]),
        "",
        "Top-1 / top-5 in percent; in brackets the same for drawings paired with another prompt: chance. Prompts of "
        f"the {first['split']} split, {first['seeds']} drawing(s) of each, {first['num_inference_steps']} steps, "
        f"against {gallery['pictures']:,} pictures of {gallery['concepts']:,} concepts.",
        "",
    ]
    return "\n".join(lines)


def natural_block(reports: dict[str, Report]) -> str:
    """Both editions on prompts as people write them."""
    lines = [_row("", [*NATURAL_COLUMNS.values(), "sharpness", "diversity"]), _row("---", ["---"] * 7)]
    for name, label in NATURAL_ROWS.items():
        if name not in reports:
            continue
        report, cells = reports[name], []
        for group in NATURAL_COLUMNS:
            found, chance = report["accuracy"][group], report["chance"][group]
            seen = f", {found['colour']:g}" if "colour" in found else ""
            cells.append(f"{found['top5']:g}{seen} ({chance['top5']:g})")
        lines.append(_row(label, [*cells, *(f"{report[measure]:.2f}" for measure in ("sharpness", "diversity"))]))
    first = next(iter(reports.values()))
    counts = [str(first["accuracy"][group]["drawings"]) for group in NATURAL_COLUMNS]
    guidances = ", ".join(f"{report['guidance_scale']:g}" for report in reports.values())
    by_seed = [NATURAL_ROWS[name] for name, report in reports.items() if report.get("designs")]
    lines += [
        _row("*drawings a row*", [*counts, "", ""]),
        "",
        "Top-5 in percent (a thing in a colour among all things in that colour), and the share of drawings in the "
        "colour that was asked; in brackets top-5 for drawings paired with another prompt: chance. The 80 prompts of "
        f"`{NATURAL}`, {first['seeds']} drawings of each, {first['num_inference_steps']} steps, row by row at "
        f"guidance {guidances}. Sharpness: the mean "
        "gradient of a drawing over that of the concept's 3D picture. Diversity: the mean distance of two drawings of "
        "a prompt over that of two designs of its concept."
        + (f" In the row {', '.join(by_seed)} the seed chooses the design, in both measures, too." if by_seed else ""),
        "",
    ]
    return "\n".join(lines)


def embedded_block(reports: dict[str, Report]) -> str:
    """The last row alone, for the README."""
    head, rule, *rows = natural_block(reports).splitlines()
    return "\n".join([head, rule, rows[len(reports) - 1], ""])


def scored_block(folder: Path = RESULTS) -> str:
    """How often a drawing is nearest to its own prompt of all, by a scorer."""
    report = load_reports(folder, [SCORED])[SCORED]
    groups = dict(report["groups"])
    groups["all"] = groups.pop("all")  # last
    lines = [_row("group", ["top-1 / top-5", "drawings"]), _row("---", ["---"] * 2)]
    lines += [
        _row(name, [f"{found['top1']:g} / {found['top5']:g}", str(found["drawings"])]) for name, found in groups.items()
    ]
    drawn = f"Model `{report['model_sha256'][:12]}`, {report['num_inference_steps']} steps."
    return "\n".join([*lines, "", drawn, ""])


def corpus_block(path: Path = CORPUS) -> str:
    return f"```text\n{path.read_text('utf-8')}```\n"


def _check_comparable(reports: dict[str, Report]) -> None:
    """Rows that were measured differently do not belong in one table."""
    values = {
        name: {key: report[key] for key in SHARED} | {g: report["accuracy"][g]["drawings"] for g in COLUMNS}
        for name, report in reports.items()
    }
    for name, value in values.items():
        first_name, first = next(iter(values.items()))
        differing = [key for key in first if first[key] != value[key]]
        if differing:
            raise SystemExit(f"{first_name} and {name} differ in {', '.join(differing)}; evaluate them alike")


def _cells(report: Report | None) -> list[str]:
    if report is None:
        return [NOT_MEASURED] * (1 + len(COLUMNS))
    cells = [f"{report['guidance_scale']:g}"]
    for group in COLUMNS:
        found, chance = report["accuracy"][group], report["chance"][group]
        cells.append(f"{found['top1']} / {found['top5']} ({chance['top1']} / {chance['top5']})")
    return cells


def _row(label: str, cells: list[str]) -> str:
    return f"| {' | '.join([label, *cells])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="*", metavar="NAME=REPORT", help=f"NAME is one of {', '.join(NAMES)}")
    for given in parser.parse_args().reports:
        name, _, path = given.partition("=")
        keep(name, Path(path))
    for path in PAGES:
        write_block(path, "results", results_block(load_reports()))
        write_block(path, "natural", natural_block(load_reports(rows=NATURAL_ROWS)))
    for path in SCORED_PAGES:
        write_block(path, "scored", scored_block())
    for path in READMES:
        write_block(path, "embedded", embedded_block(load_reports(rows=NATURAL_ROWS)))
    write_block(MODEL_CARD, "corpus", corpus_block())


if __name__ == "__main__":
    main()
