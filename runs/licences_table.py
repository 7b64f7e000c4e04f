"""The sources of the corpus and the packages of pyproject.toml -> the tables of docs/licences.md and its Japanese page.

python -m runs.licences_table
"""

import re
import tomllib
from importlib.metadata import metadata

from jsd.training.corpora.sources import SOURCES, SPRITE_SOURCES
from runs.blocks import DOCS, ROOT, write_block

PAGES = (DOCS / "licences.md", DOCS / "licences.ja.md")
# Of packages whose metadata say it by the whole text, or in a file alone.
TEXTS = {"cog": "Apache-2.0", "resvg-py": "MIT"}


def sources_block() -> str:
    rows = [
        f"| `{one.name}` {one.version} | {one.licence} | {one.brings} |\n"
        for one in (*SOURCES.values(), *SPRITE_SOURCES.values())
    ]
    return "".join(["| package | licence | brings |\n| --- | --- | --- |\n", *rows])


def packages_block() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    groups = {"": project["dependencies"]} | project["optional-dependencies"]
    names = {extra: [re.split(r"[^\w-]", line)[0] for line in lines] for extra, lines in groups.items()}
    rows = [f"| `{name}` | {extra} | {_licence(name)} |\n" for extra, one in names.items() for name in one]
    return "".join(["| package | extra | licence |\n| --- | --- | --- |\n", *rows])


def _licence(name: str) -> str:
    said = metadata(name)
    keys = ("License-Expression", "License")
    classifiers = [line.rpartition(":: ")[2] for line in said.get_all("Classifier") or [] if "License ::" in line]
    named = [TEXTS.get(name, ""), *(said[key] for key in keys if key in said), ", ".join(classifiers)]
    return re.sub(r"^Apache( 2\.0| Software)?( License)?$", "Apache-2.0", next(filter(None, named)))


def main() -> None:
    for page in PAGES:
        write_block(page, "sources", sources_block())
        write_block(page, "packages", packages_block())
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
