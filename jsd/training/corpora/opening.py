"""Whatever --corpus names: the embedded model's corpus, imported pictures, or pictures as they are, imported first."""

import hashlib
from pathlib import Path

from jsd.training.corpora.corpus import FILES, Corpus
from jsd.training.corpora.readers import STATE_FILE, read_source
from jsd.training.corpora.records import warn_left_out
from jsd.training.corpora.shards import Shards, check_apart, fingerprint, import_pictures

IMPORTED = "pictures"  # in the output folder of a run


def open_corpus(corpus: Path, output: Path) -> Corpus | Shards:
    """Pictures that are in no corpus yet are imported into a folder of `output`."""
    if (corpus / STATE_FILE).is_file():
        return Shards.load_filled(corpus)
    if not corpus.exists() or any((corpus / name).is_file() for name in FILES):
        return Corpus.load(corpus)
    items = read_source(corpus)
    check_apart(corpus, output / IMPORTED)
    description = {"source": str(corpus.absolute()), "files": fingerprint(corpus)}
    shards, noted = import_pictures(items, description, output / IMPORTED, lambda read: None)
    warn_left_out(noted, len(shards))
    return Shards.load_filled(output / IMPORTED)


def corpus_digest(corpus: Corpus | Shards) -> str:
    """By which a run knows that it goes on with what it began with."""
    if isinstance(corpus, Shards):
        return corpus.digest[:10]
    records = repr((corpus.records, list(corpus.concepts.values())))
    return hashlib.sha256(records.encode()).hexdigest()[:10]
