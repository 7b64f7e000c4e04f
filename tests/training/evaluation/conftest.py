from toy_corpus import toy_corpus, toy_corpus_folder
from toy_sprites import toy_sprites

__all__ = ["toy_corpus", "toy_corpus_folder", "toy_sprites"]
