"""The documents of the repository, and the commands that stand in them."""

import re
import shlex
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

from predict import Predictor
from runs.blocks import MODEL_CARD, README, README_JA, ROOT

COG = ROOT / "docs" / "cog.md"
DOCUMENTS = [README, README_JA, ROOT / "CHANGELOG.md", ROOT / "weights" / "README.md", MODEL_CARD, COG]
INPUTS = {name: row for name, row in signature(Predictor.run).parameters.items() if name != "self"}


def code_blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text("utf-8"), re.DOTALL)


def command_lines(text: str) -> Iterator[list[str]]:
    """Each command of a shell snippet as its words; a pipe's programs one by one."""
    for line in text.replace("\\\n", " ").splitlines():
        command: list[str] = []
        for word in [*shlex.split(line, comments=True), "|"]:
            if word != "|":
                command.append(word)
            elif command:
                yield command
                command = []


def commands() -> list[tuple[str, list[str]]]:
    return [
        (shlex.join(command), command)
        for path in DOCUMENTS
        for block in code_blocks(path, "sh")
        for command in command_lines(block)
    ]
