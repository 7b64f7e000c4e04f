"""What is asked of a model: four groups of prompts, each with the corpus pictures that would be right."""

import hashlib
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jsd.batch.rows import read_text
from jsd.errors import InvalidInputError
from jsd.training.corpora.captions import in_style
from jsd.training.corpora.corpus import ALWAYS_UNSEEN, Corpus, is_unseen
from jsd.training.corpora.styles import CORPUS_STYLES
from jsd.training.evaluation.colours import COLOURS

Item = TypeVar("Item")
GROUPS = ("general", "japan", "onomatopoeia", "unseen")
MAX_PROMPTS_PER_GROUP = 150
SPLITS = ("dev", "test")


@dataclass(frozen=True)
class Prompt:
    """`right` are the codes of the concepts that would be right; `style` must be right too where it is set.

    `second`: what must be seen beside it, of a prompt that names two things; `colour`: a name in COLOURS.
    """

    group: str
    text: str
    right: frozenset[str]
    style: str | None = None
    second: frozenset[str] | None = None
    colour: str | None = None

    @property
    def split(self) -> str:
        """One in three is for choosing ("dev"), the others for reporting ("test"); the same in every language."""
        digest = hashlib.sha256(f"{self.group}/{sorted(self.right)}/{self.style}".encode()).digest()
        return "dev" if digest[0] % 3 == 0 else "test"


def make_prompts(corpus: Corpus, language: str, split: str) -> list[Prompt]:
    """The prompts of one split in "ja" or "en". In English an onomatopoeia is asked for by its concept's name."""
    names = {code: words.name for code, words in corpus.words(language).items()}
    general = [code for code, concept in corpus.concepts.items() if not concept.japan]
    japan = [code for code, concept in corpus.concepts.items() if concept.japan]
    prompts = [Prompt("general", names[code], frozenset([code])) for code in _some(general)]
    prompts += [Prompt("japan", names[code], frozenset([code])) for code in japan]
    sounds = {word for concept in corpus.concepts.values() for word in concept.onomatopoeia}
    for word in sorted(sounds - {concept.name_ja for concept in corpus.concepts.values()}):
        right = [code for code, concept in corpus.concepts.items() if word in concept.onomatopoeia]
        prompts.append(Prompt("onomatopoeia", word if language == "ja" else names[right[0]], frozenset(right)))
    pairs = [(code, style) for code in corpus.concepts for style in CORPUS_STYLES if is_unseen(code, style)]
    for code, style in sorted({*_some(pairs), *(pair for pair in ALWAYS_UNSEEN if pair[0] in corpus.concepts)}):
        text = in_style(names[code], style, language, random.Random(f"{code}/{style}"))
        prompts.append(Prompt("unseen", text, frozenset([code]), style))
    return [prompt for prompt in prompts if prompt.split == split]


def _some(items: list[Item]) -> list[Item]:
    return random.Random(0).sample(items, min(len(items), MAX_PROMPTS_PER_GROUP))


# group: prompt = emoji that count as right [| emoji of the second thing] [×how many] [(colour)], and after a tab, notes
_LINE = re.compile(
    r"(?P<group>\w+): (?P<text>[^=\t]+?) = (?P<first>[^|(×\t]+?)"
    r"(?: \| (?P<second>[^|(×\t]+?))?(?: ×\d+)?(?: \((?P<colour>\w+)\))?(?:\t.*)?"
)
_EMOJI = re.compile("[^\u200d\ufe0f](?:\ufe0f|\u200d[^\u200d\ufe0f])*")


def read_prompts(path: Path, corpus: Corpus) -> list[Prompt]:
    """The prompts of a file, a line each; # begins a comment. What the corpus has no picture of is left out."""
    prompts = []
    for number, line in enumerate(read_text(path, "prompts").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.rstrip())
        if found is None:
            raise InvalidInputError(
                "evaluate.line",
                "{field}: each line must be «group: prompt = emoji», line {number} of {path} is {value}",
                field="prompts",
                number=number,
                path=path,
                value=line,
            )
        if found["colour"] not in (None, *COLOURS):
            raise InvalidInputError(
                "evaluate.colour",
                "{field}: a colour must be one of {choices}, line {number} of {path} has {value}",
                field="prompts",
                choices=", ".join(COLOURS),
                number=number,
                path=path,
                value=found["colour"],
            )
        first, second = (None if part is None else _codes(part, corpus) for part in found.group("first", "second"))
        if first and (second is None or second):
            prompts.append(Prompt(found["group"], found["text"], first, second=second, colour=found["colour"]))
    if not prompts:
        raise InvalidInputError(
            "evaluate.no_prompts",
            "{field} must name a thing of the corpus in one line at least («group: prompt = emoji»), and {value} names "
            "none; add some",
            field="prompts",
            value=path,
        )
    return prompts


def _codes(emoji: str, corpus: Corpus) -> frozenset[str]:
    codes = ("-".join(f"{ord(c):x}" for c in one if c != "\ufe0f") for one in _EMOJI.findall(emoji))
    return frozenset(code for code in codes if code in corpus.concepts)
