"""How long a visitor waits for the first words of the page (First Contentful Paint), and until it can draw.

python -m benchmarks.page [--weights FOLDER] [--runs N] [--output FILE]

The model is loaded, the machine should do nothing else, and each run is a visitor who was never here: an empty cache.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import ROOT, hardware
from jsd.atomic import write_json
from runs.screenshot import PHONE, SIZE, browser, free_port, missing_browser, serving, wait_for

FIRST_PAINT = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def visit(url: str, size: tuple[int, int]) -> dict[str, float]:
    """Seconds from the request to the first paint, and until the page has its words and its examples."""
    with TemporaryDirectory() as folder, browser(Path(folder), size=size) as driver:
        driver.get(url)
        first = wait_for(lambda: driver.execute_script(FIRST_PAINT))
        wait_for(lambda: driver.find_element("css selector", "#catalogue .tiles"))
        ready: Any = driver.execute_script("return performance.now()")
        return {"first_contentful_paint_seconds": first / 1000, "ready_seconds": ready / 1000}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__.partition("\n")[0])
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "mini", help="default: the embedded model")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("outputs") / "page.json")
    args = parser.parse_args(argv)
    missing = missing_browser()
    if missing is not None:
        raise SystemExit(f"the program {missing} is not installed; run: apt-get install chromium chromium-driver")
    port = free_port()
    command = [sys.executable, "-m", "jsd", "web", "--port", str(port), "--weights", str(args.weights)]
    report: dict[str, Any] = {"hardware": hardware("cpu"), "runs": args.runs}
    with TemporaryDirectory() as folder, serving(command, port, Path(folder) / "log.txt") as url:
        for name, size in (("desktop", SIZE), ("phone", PHONE)):
            visits = [visit(url, size) for _ in range(args.runs)]
            report[name] = {what: median(one[what] for one in visits) for what in visits[0]} | {"visits": visits}
            first, ready = report[name]["first_contentful_paint_seconds"], report[name]["ready_seconds"]
            print(f"{name}: first contentful paint {first:.2f} s, ready {ready:.2f} s (median of {args.runs})")
    write_json(args.output, report)


if __name__ == "__main__":
    main()
