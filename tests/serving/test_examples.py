"""The examples of the documents that call the API are run as they stand, but for the server's address."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cog_client import Server, opened, wait_for
from PIL import Image

from runs.blocks import DOCS

# The Japanese ones have the same code (tests/test_documents.py).
DOCUMENTS = [DOCS / name for name in ("api.md", "cog.md", "clients.md")]
# Language of a block -> the program that runs it from its standard input.
PROGRAMS = {"python": [sys.executable, "-"], "js": ["node", "--input-type=module"], "sh": ["sh", "-e"]}
ADDRESS = "127.0.0.1:5000"
DRAWING = re.compile(re.escape(ADDRESS) + "/(predictions|v1|sdapi)")


def examples(path: Path) -> list[tuple[str, str]]:
    """(language, text) of the blocks that ask a local server for a prediction."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [
        (language, text)
        for language, text in found
        if language in PROGRAMS and DRAWING.search(text) and (language != "sh" or text.startswith("curl "))
    ]


EXAMPLES = [
    pytest.param(language, text, id=f"{path.name}-{language}-{number}")
    for path in DOCUMENTS
    for number, (language, text) in enumerate(examples(path))
]


@pytest.mark.parametrize("language", PROGRAMS)
def test_there_is_an_example(language: str) -> None:
    assert language in {one for path in DOCUMENTS for one, _ in examples(path)}


@pytest.mark.parametrize(("language", "text"), EXAMPLES)
def test_the_example_leaves_a_picture(server: Server, language: str, text: str, tmp_path: Path) -> None:
    program = "curl" if language == "sh" else PROGRAMS[language][0]
    if shutil.which(program) is None:
        pytest.skip(f"the program {program} is not installed")
    wait_for(server.ready)
    done = subprocess.run(
        PROGRAMS[language],
        input=text.replace(ADDRESS, server.url.removeprefix("http://")),
        cwd=tmp_path,
        env={**os.environ, "no_proxy": "127.0.0.1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    files = list(tmp_path.iterdir())
    for path in files:
        with Image.open(path) as image:
            image.load()
            assert image.size == (32, 32)
    # curl prints the answer, a stream's previews too.
    printed = re.findall(r"data:image/\w+;base64,[A-Za-z0-9+/]+=*", done.stdout)
    assert not printed or opened(printed[-1]).size == (32, 32)
    assert files or printed, f"no picture: {done.stdout[:2000]}"
