"""docs/results/benchmark_*.json, as `python -m benchmarks.run` wrote them -> their tables in both pages of benchmarks.

python -m runs.benchmark_tables
"""

import json

from benchmarks.run import as_table
from runs.blocks import DOCS, ROOT, write_block

PAGES = (DOCS / "benchmarks.md", DOCS / "benchmarks.ja.md")
TABLES = ("benchmark_mini", "benchmark_full")


def tables() -> dict[str, str]:
    """Name of the block -> its Markdown."""
    reports = {name: json.loads((DOCS / "results" / f"{name}.json").read_text("utf-8")) for name in TABLES}
    return {name: as_table(report) + "\n" for name, report in reports.items()}


def main() -> None:
    for path in PAGES:
        for name, table in tables().items():
            write_block(path, name, table)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
