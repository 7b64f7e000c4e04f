from toy_corpus import toy_corpus, toy_corpus_folder

__all__ = ["toy_corpus", "toy_corpus_folder"]
