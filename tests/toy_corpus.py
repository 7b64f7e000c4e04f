"""A toy corpus: eight concepts in every style, pictures of random colours, in the files of a real one."""

from pathlib import Path

import numpy as np
import pytest

from jsd.training.corpora.concepts import Concept
from jsd.training.corpora.corpus import Corpus, Record, is_unseen
from jsd.training.corpora.styles import CORPUS_STYLES

SIZE_PX = 64
# emoji, Japanese name, English name, keywords of both, Japan, onomatopoeia and Japanglish
CONCEPTS = tuple(
    Concept(emoji, "Toys", name_ja, name_en, keywords_ja, keywords_en, japan, sounds)
    for emoji, name_ja, name_en, keywords_ja, keywords_en, japan, sounds in (
        ("🧑\u200d💼", "会社員", "office worker", ("サラリーマン", "仕事"), ("manager",), False, ("サラリーマン",)),
        ("✨", "きらめき", "sparkles", ("キラキラ", "光"), ("shine",), False, ("キラキラ",)),
        ("🌟", "光る星", "glowing star", ("キラキラ", "星"), ("star",), False, ("キラキラ",)),
        ("🐈", "猫", "cat", ("ねこ", "ペット"), ("pet",), False, ()),
        ("🐕", "犬", "dog", ("いぬ", "ペット"), ("pet",), False, ()),
        ("🚌", "バス", "bus", ("乗り物",), ("vehicle",), False, ()),
        ("⛩", "鳥居", "shinto shrine", ("神社",), ("torii",), True, ()),
        ("🗻", "富士山", "Mount Fuji", ("山",), ("mountain",), True, ()),
    )
)


def make_toy_corpus() -> Corpus:
    rng = np.random.default_rng(0)
    pictures, records = [], []
    for concept in CONCEPTS:
        for style in CORPUS_STYLES.values():
            for background in (None, "red") if style.takes_background else (None,):
                # Patches of 8 px, so that no two pictures look alike at any size.
                patches = rng.integers(0, 256, size=(SIZE_PX // 8, SIZE_PX // 8, 3), dtype=np.uint8)
                pictures.append(patches.repeat(8, axis=0).repeat(8, axis=1))
                unseen = is_unseen(concept.code, style.name)
                records.append(
                    Record(len(records), concept.code, style.name, background, unseen, concept.japan, "toys 1", "MIT")
                )
    return Corpus(np.stack(pictures), records, {concept.code: concept for concept in CONCEPTS})


@pytest.fixture(scope="session")
def toy_corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "toy"
    make_toy_corpus().save(folder)
    return folder


@pytest.fixture(scope="session")
def toy_corpus(toy_corpus_folder: Path) -> Corpus:
    return Corpus.load(toy_corpus_folder)
