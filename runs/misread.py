"""How much a text encoder misreads, by what it says from </s> on: another concept's name, not its own's.

python -m runs.misread [FOLDER ...] [--corpus FOLDER]                  spellings, of each level
python -m runs.misread [FOLDER ...] [--corpus FOLDER] --prompts FILE   prompts, of each group, and which
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from jsd.training.corpora.corpus import Corpus

BATCH_SIZE = 512
LEVELS = ("name", "casual", "near", "kana", "keyword")


class Reader:
    """A model folder's encoder, and the names of the concepts that it is measured by."""

    def __init__(self, folder: Path, corpus: "Corpus") -> None:
        from jsd.prompting.tokenizer import JapaneseTokenizer
        from jsd.training import modules
        from jsd.training.reading import Teacher

        tokenizer = JapaneseTokenizer.load(folder / "tokenizer")
        self.teacher = Teacher(modules.load("text_encoder", folder), tokenizer, None, has_read=True)
        self.names = {code: concept.name_ja for code, concept in corpus.concepts.items()}
        self.codes, self.states = list(self.names), self.teacher.said(list(self.names.values()))  # (C, D)
        self.teacher.measure(list(self.names.values()))

    def nearest(self, said: "Tensor", role: str | None = None) -> list[str]:
        """(B, D) -> of which concepts the states are, read alone or in a role of two."""
        import torch

        from jsd.training.reading import ROLE_LENGTH

        own = self.states if role is None else self.states + ROLE_LENGTH * self.teacher.direction(role)
        return [self.codes[number] for number in torch.cdist(said, own).argmin(dim=1).tolist()]


def misread(folder: Path, corpus_folder: Path) -> Iterator[tuple[str, str, str | None]]:
    """(level, spelling, None or what it is taken for), of every spelling alone that the lists have."""
    from jsd.training.corpora.corpus import Corpus
    from jsd.training.corpora.phrases import Phrases
    from jsd.training.corpora.words import read_vocabulary

    corpus, vocabulary = Corpus.load(corpus_folder), read_vocabulary()
    phrases, reader = Phrases(corpus, vocabulary), Reader(folder, corpus)
    levels = {(emoji, one.text): one.level for emoji, own in vocabulary.spellings.items() for one in own}
    spelled = [
        (code, word, levels[phrases.emoji[code], word])
        for code, things in phrases.things.items()
        for word in things
        if (phrases.emoji[code], word) in levels
    ]
    for first in range(0, len(spelled), BATCH_SIZE):
        batch = spelled[first : first + BATCH_SIZE]
        taken_for = reader.nearest(reader.teacher.said([word for _, word, _ in batch]))
        for (code, word, level), other in zip(batch, taken_for, strict=True):
            yield level, word, None if other == code else reader.names[other]


def misread_prompts(folder: Path, corpus_folder: Path, file: Path) -> Iterator[tuple[str, str, str | None]]:
    """(group, prompt, None or what it is taken for), of `jsd evaluate`'s prompts. Of two things either may be first."""
    from jsd.training.corpora.corpus import Corpus
    from jsd.training.evaluation.prompt_sets import read_prompts
    from jsd.training.reading import FIRST, SECOND

    corpus = Corpus.load(corpus_folder)
    reader = Reader(folder, corpus)
    for prompt in read_prompts(file, corpus):
        states, start = reader.teacher.states([prompt.text]), int(reader.teacher.starts([prompt.text]))
        if prompt.second is None:
            things = reader.nearest(states[:, start])
            is_right = things[0] in prompt.right
        else:
            behind = min(start + 1, states.shape[1] - 1)
            things = [*reader.nearest(states[:, start], FIRST), *reader.nearest(states[:, behind], SECOND)]
            is_right = any(one in prompt.right and other in prompt.second for one, other in (things, things[::-1]))
        yield prompt.group, prompt.text, None if is_right else "、".join(reader.names[code] for code in things)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("weights/mini")], metavar="FOLDER")
    parser.add_argument("--corpus", type=Path, default=Path("data/mini"), help="default: %(default)s")
    parser.add_argument("--prompts", type=Path, help="a file as of jsd evaluate --prompts")
    args = parser.parse_args()
    of_what = misread if args.prompts is None else partial(misread_prompts, file=args.prompts)
    for folder in args.folders:
        read = list(of_what(folder, args.corpus))
        of_group, wrong = Counter(group for group, *_ in read), Counter(group for group, _, other in read if other)
        groups = [group for group in LEVELS if group in of_group] or list(of_group)
        print(folder, ", ".join(f"{group} {wrong[group]} of {of_group[group]:,}" for group in groups))
        if args.prompts is not None:
            for _, text, other in read:
                if other:
                    print(f"  {text}: {other}")


if __name__ == "__main__":
    main()
