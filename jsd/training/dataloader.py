"""A stage's batches: pictures as latents with captions, scenes among them, or own pictures as they are read."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from jsd.errors import CheckpointError
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.ahead import Ahead
from jsd.training.batches import CaptionedLatents
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.scenes import Scenes
from jsd.training.corpora.shards import Shards
from jsd.training.corpora.sprites import SPRITES_FILE, Sprites
from jsd.training.latents import LATENTS_FILE, corpus_latents
from jsd.training.recipes import Recipe, Stage
from jsd.training.scenery import MixedLatents, SceneLatents, scenes_folder
from jsd.training.starting import TrainOptions, source_folder
from jsd.training.streaming import LatentsTask, StreamedLatents


def dataloader(
    recipe: Recipe,
    stage: Stage,
    options: TrainOptions,
    corpus: Corpus | Shards,
    vae: Any,
    sample_size: int,
    tokenizer: JapaneseTokenizer,
    phrases: Callable[[], Phrases],
) -> Ahead[Sequence[Tensor]]:
    """step -> latents (B, C, sample_size, sample_size), scaled, input_ids (B, L), and concepts (B) where no scenes are.

    `phrases` is asked for where scenes are. Raises `CheckpointError` where they are and their sprites are not.
    """
    size_px = sample_size * 2 ** (len(vae.config.block_out_channels) - 1)
    dropout = stage.caption_dropout if stage.objective == "denoising" else 0.0
    workers, stride = options.ahead
    if isinstance(corpus, Shards):
        folder = source_folder(recipe, stage, "vae", options)
        task = LatentsTask(corpus, folder, size_px, options.device)
        streamed = StreamedLatents(task, vae, stage, tokenizer, options.seed, dropout)
        return Ahead(streamed.batch, 0, stride)  # it encodes, which may be a GPU's work
    latents = corpus_latents(corpus, vae, size_px, options.output / LATENTS_FILE)
    pictures = CaptionedLatents(corpus, latents, stage, tokenizer, options.seed, dropout)
    if stage.scenes == 0:
        return Ahead(pictures.batch, workers, stride)
    if options.sprites is None:
        raise CheckpointError(
            "train.sprites",
            "the stage {stage} composes scenes, and no --sprites are given; give the folder of jsd data sprites",
            stage=stage.name,
        )
    scenes = Scenes(corpus.concepts, Sprites.load(options.sprites / SPRITES_FILE), options.seed, stage.drawn)
    scene_latents = SceneLatents(scenes, vae, size_px, scenes_folder(options.output, options.seed))
    mixed = MixedLatents(pictures, scene_latents, phrases(), stage.scenes, options.scene_shards)
    if workers > 0:
        last = stage.max_train_steps * stage.gradient_accumulation_steps * stride
        scene_latents.paint_ahead(mixed.num_shards(last), workers)
    return Ahead(mixed.batch, workers, stride)
