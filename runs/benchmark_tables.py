"""What `python -m benchmarks.run` and `benchmarks.quality` wrote into docs/results -> its tables in both pages of
benchmarks.

python -m runs.benchmark_tables
"""

import json

from benchmarks import quality, run
from runs.blocks import DOCS, ROOT, write_block

PAGES = (DOCS / "benchmarks.md", DOCS / "benchmarks.ja.md")
TABLES = {"benchmark_mini": run.as_table, "benchmark_full": run.as_table, "quality": quality.as_table}


def tables() -> dict[str, str]:
    """Name of the block -> its Markdown."""
    reports = {name: json.loads((DOCS / "results" / f"{name}.json").read_text("utf-8")) for name in TABLES}
    return {name: as_table(reports[name]) + "\n" for name, as_table in TABLES.items()}


def main() -> None:
    for path in PAGES:
        for name, table in tables().items():
            write_block(path, name, table)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
