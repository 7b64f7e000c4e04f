"""How many spellings of each level a text encoder misreads: at </s> it says another concept's name, not its own's.

python -m runs.misread [FOLDER ...] [--corpus FOLDER]
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

BATCH_SIZE = 512
LEVELS = ("name", "casual", "near", "kana", "keyword")


def misread(folder: Path, corpus_folder: Path) -> Iterator[tuple[str, str, str | None]]:
    """(level, spelling, None or what it is taken for), of every spelling alone that the lists have."""
    import torch

    from jsd.prompting.tokenizer import JapaneseTokenizer
    from jsd.training import modules
    from jsd.training.corpora.corpus import Corpus
    from jsd.training.corpora.phrases import Phrases
    from jsd.training.corpora.words import read_vocabulary
    from jsd.training.reading import Teacher

    corpus, vocabulary = Corpus.load(corpus_folder), read_vocabulary()
    phrases = Phrases(corpus, vocabulary)
    encoder = modules.load("text_encoder", folder)
    reader = Teacher(encoder, JapaneseTokenizer.load(folder / "tokenizer"), None, has_read=True)
    names = {code: concept.name_ja for code, concept in corpus.concepts.items()}
    codes, states = list(names), reader.said(list(names.values()))  # (C, D)
    levels = {(emoji, one.text): one.level for emoji, own in vocabulary.spellings.items() for one in own}
    spelled = [
        (code, word, levels[phrases.emoji[code], word])
        for code, things in phrases.things.items()
        for word in things
        if (phrases.emoji[code], word) in levels
    ]
    for first in range(0, len(spelled), BATCH_SIZE):
        batch = spelled[first : first + BATCH_SIZE]
        nearest = torch.cdist(reader.said([word for _, word, _ in batch]), states).argmin(dim=1)
        for (code, word, level), number in zip(batch, nearest.tolist(), strict=True):
            yield level, word, None if codes[number] == code else names[codes[number]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[Path("weights/mini")], metavar="FOLDER")
    parser.add_argument("--corpus", type=Path, default=Path("data/mini"), help="default: %(default)s")
    args = parser.parse_args()
    for folder in args.folders:
        read = list(misread(folder, args.corpus))
        of_level, wrong = Counter(level for level, *_ in read), Counter(level for level, _, other in read if other)
        print(folder, ", ".join(f"{level} {wrong[level]} of {of_level[level]:,}" for level in LEVELS))


if __name__ == "__main__":
    main()
