from toy_corpus import toy_corpus, toy_corpus_folder
from toy_sources import sources

__all__ = ["sources", "toy_corpus", "toy_corpus_folder"]
