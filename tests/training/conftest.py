from toy_corpus import toy_corpus, toy_corpus_folder
from toy_recipe import few_steps
from toy_sources import sources
from toy_sprites import few_scenes, toy_sprites

__all__ = ["few_scenes", "few_steps", "sources", "toy_corpus", "toy_corpus_folder", "toy_sprites"]
