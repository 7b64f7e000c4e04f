from collections.abc import Callable
from dataclasses import dataclass

import pytest
from toy_corpus import toy_corpus, toy_corpus_folder
from toy_sprites import toy_sprites

from jsd.cli import main

__all__ = ["toy_corpus", "toy_corpus_folder", "toy_sprites"]


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said, line by line."""

    code: int
    out: list[str]
    err: list[str]

    def refuses(self, *words: str) -> bool:
        """In one line, with these words in it."""
        (line,) = self.err
        return self.code == 2 and line.startswith("jsd: ") and all(word in line for word in words) and self.out == []


Jsd = Callable[..., Said]


@pytest.fixture
def jsd(capsys: pytest.CaptureFixture[str]) -> Jsd:
    """`jsd` with these words; a list among them stands for its own."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        flat = [str(one) for word in words for one in (word if isinstance(word, list) else [word])]
        try:
            code = main(flat)
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out.splitlines(), said.err.splitlines())

    return run
