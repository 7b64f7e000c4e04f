"""A SentencePiece vocabulary from the corpus' own captions, with the control ids of the released model."""

import io
import random
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import sentencepiece

from jsd.atomic import copy_plain, replacing_folder, write_json, write_text
from jsd.errors import CheckpointError
from jsd.prompting.tokenizer import VOCABULARY_FILE, JapaneseTokenizer
from jsd.training.corpora.captions import caption
from jsd.training.corpora.concepts import read_list
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.shards import Shards
from jsd.training.latents import MADE_OF
from jsd.training.starting import started_from

CAPTIONS_PER_PICTURE = 3
MAX_LETTERS = 0.8  # of a vocabulary: the others are read as unknown, and pieces of several find room
MAX_CAPTIONS = 2_000_000  # what SentencePiece holds in a few gigabytes
KANA = "".join(map(chr, [*range(0x3041, 0x3097), *range(0x30A1, 0x30FB)]))
SIGNS = "".join(map(chr, range(0x21, 0x7F))) + "ー・、。「」『』〜…々♪☆★♡♥"
# Pieces of their own: a vocabulary of so few captions would otherwise learn 「の富士山」 as one word.
JOINTS = {"ja": ["の", "、"], "en": [","]}


def kept_vocabulary(
    folder: Path, start_from: Path | None, made_of: str, make: Callable[[Path], None], *, is_read: bool
) -> JapaneseTokenizer:
    """The vocabulary in `folder`: that of the model folder `start_from`, else one that `make` writes if there is none.

    `made_of`: a digest of the corpus. `is_read`: whether something was trained on it already; else a vocabulary of
    another corpus or model, left by a run that did not get that far, makes room for this one's.
    """
    said = folder.with_suffix(f".{MADE_OF}")
    if start_from is not None:
        theirs = started_from(start_from, "tokenizer")
        if is_read and folder.is_dir() and not same_vocabulary(folder, theirs):
            raise CheckpointError(
                "train.other_vocabulary",
                "{folder} holds the vocabulary that was trained with here, and --start-from {value} has another; name "
                "another --output",
                folder=folder,
                value=start_from,
            )
        said.unlink(missing_ok=True)
        if not (folder.is_dir() and same_vocabulary(folder, theirs)):  # another process may be reading it
            copy_plain(theirs, folder)
        return JapaneseTokenizer.load(folder)
    if not is_read and (not said.is_file() or said.read_text("utf-8") != made_of):
        shutil.rmtree(folder, ignore_errors=True)
    if not folder.is_dir():
        write_text(said, made_of)
        make(folder)
    return JapaneseTokenizer.load(folder)


def same_vocabulary(one: Path, other: Path) -> bool:
    return (one / VOCABULARY_FILE).read_bytes() == (other / VOCABULARY_FILE).read_bytes()


def train_tokenizer(corpus: Corpus, language: str, vocab_size: int, model_max_length: int, folder: Path) -> None:
    """Write `folder`, which must not be there yet: spiece.model (unigram, nmt_nfkc, lower-cased, no byte fallback) and
    tokenizer_config.json."""
    words = corpus.words(language)
    rng = random.Random(0)
    sentences = [
        caption(words[record.code], record.style, record.background, language, rng).lower()
        for record in corpus.records
        for _ in range(CAPTIONS_PER_PICTURE)
    ]
    # Every word once more: a keyword seldom drawn is still a word that users type.
    for word in words.values():
        sentences += [name.lower() for name in (word.name, *word.keywords)]
    _train(sentences, folder, model_max_length, vocab_size=vocab_size, user_defined_symbols=JOINTS[language])


def train_caption_tokenizer(shards: Shards, vocab_size: int, model_max_length: int, folder: Path) -> None:
    """From the captions of imported pictures, up to MAX_CAPTIONS of them."""
    captions = (
        text.lower()
        for index in range(len(shards.counts))
        for some in shards.table(index, ["captions"])["captions"].to_pylist()
        for text in some
    )
    sentences = _common_letters(list(islice(captions, MAX_CAPTIONS)), int(MAX_LETTERS * vocab_size))
    _train(sentences, folder, model_max_length, vocab_size=vocab_size)


def _common_letters(sentences: list[str], limit: int) -> list[str]:
    """With blanks for all but the `limit` most frequent letters: SentencePiece trains no vocabulary that has fewer
    pieces than letters."""
    sentences = [unicodedata.normalize("NFKC", text) for text in sentences]
    counted = Counter(letter for text in sentences for letter in text)
    rare = {ord(letter): " " for letter, _ in counted.most_common()[limit:]}
    return [text.translate(rare) for text in sentences] if rare else sentences


def train_phrase_tokenizer(phrases: Phrases, vocab_size: int, model_max_length: int, folder: Path) -> None:
    """The same from the words of `phrases`, names apart from what stands around them, so that no name is one piece
    with a particle; every kanji for everyday use is read."""
    sentences = [word.lower() for word in phrases.all_words()]
    _train(
        sentences,
        folder,
        model_max_length,
        vocab_size=vocab_size,
        add_dummy_prefix=False,
        required_chars="".join(read_list("joyo")) + KANA + SIGNS.lower(),
    )


def _train(sentences: list[str], folder: Path, model_max_length: int, **options: Any) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        model_type="unigram",
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="nmt_nfkc",
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        pad_piece="[PAD]",
        minloglevel=2,
        **options,
    )
    # In one move: spiece.model alone would mean 77 tokens.
    with replacing_folder(folder) as partial:
        (partial / "spiece.model").write_bytes(model.getvalue())
        write_json(partial / "tokenizer_config.json", {"model_max_length": model_max_length, "do_lower_case": True})
