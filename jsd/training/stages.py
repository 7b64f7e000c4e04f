"""Run one stage of a recipe: gather what it starts from, train, write its model folder."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import closing
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jsd.atomic import copy_plain, replacing_folder, write_json, write_text
from jsd.errors import CheckpointError
from jsd.models.tokenizer_json import open_to_diffusers
from jsd.pipeline import Pipeline
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.sizes import sample_size
from jsd.training import modules
from jsd.training.batches import crops, decoded_pictures, training_records
from jsd.training.corpora.corpus import Corpus
from jsd.training.corpora.enlarged import EnlargedPictures, build_enlarged
from jsd.training.corpora.opening import corpus_digest, open_corpus
from jsd.training.corpora.phrases import Phrases
from jsd.training.corpora.shards import Shards
from jsd.training.corpora.words import read_vocabulary
from jsd.training.dataloader import dataloader
from jsd.training.latents import LATENTS_FILE, MADE_OF, add_weights, corpus_latents, encode_corpus, holds
from jsd.training.logs import draw_samples, reconstruct, train_logged
from jsd.training.loop import CHECKPOINT_FILE, check_settings, told_unwritable
from jsd.training.lora import run_lora
from jsd.training.objectives import (
    Losses,
    autoencoding_loss,
    contrastive_loss,
    decoding_loss,
    denoising_loss,
    upscaling_loss,
)
from jsd.training.reading import Reading, Teacher, reread
from jsd.training.recipes import DESIGNS_DRAWN, PHRASES, STYLES_DRAWN, Recipe, Stage
from jsd.training.starting import (
    TrainOptions,
    alphas_cumprod,
    own_guidance,
    run_settings,
    scheduler_config,
    source_folder,
    step_generator,
)
from jsd.training.streaming import check_own_pictures
from jsd.training.vocabulary import (
    kept_vocabulary,
    same_vocabulary,
    train_caption_tokenizer,
    train_phrase_tokenizer,
    train_tokenizer,
)

NUM_OWN_SAMPLES = 8
MODULES = {
    "autoencoding": ("vae",),
    "contrastive": ("text_encoder", "image_encoder"),
    "denoising": ("text_encoder", "unet"),
    "decoding": ("text_encoder", "unet", "vae"),
    "reading": ("text_encoder", "unet"),
    "upscaling": ("upscaler",),
}


def image_encoder(recipe: Recipe) -> modules.ImageEncoder:
    """The picture half of the contrastive stages, for the latents and the text encoder of the recipe."""
    unet = recipe.components["unet"]
    dim = recipe.components["text_encoder"]["hidden_size"]
    return modules.ImageEncoder(unet["in_channels"], unet["sample_size"], 128, dim)


def _vocabulary(stage: Stage) -> str | None:
    return stage.language if stage.vocabulary is None else stage.vocabulary


def run_stage(recipe: Recipe, name: str, options: TrainOptions) -> Path:
    """Train one stage, or go on where it stopped; returns its model folder, of LoRA its file."""
    stage = recipe.stages[name]
    options.processes.check(stage)
    if stage.adapter is not None:
        return run_lora(recipe, stage, options)
    with options.processes.first_before_others():
        corpus = open_corpus(options.corpus, options.output)
    if isinstance(corpus, Shards):
        check_own_pictures(stage)
    folder = options.output / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = run_settings(stage, options, corpus_digest(corpus))
    check_settings(folder / CHECKPOINT_FILE, settings)
    with options.processes.first_before_others():
        torch.manual_seed(options.seed)
        run = Run(recipe, stage, options, corpus)
    trained = deepcopy(run.trained).cpu() if options.processes.is_divided else run.trained
    with closing(run):
        ema, said = train_logged(recipe, stage, options, folder, run, run.trained, settings)
    ema.copy_to(run.trained.parameters())
    if options.processes.is_divided:
        trained.load_state_dict(options.processes.whole(run.trained.state_dict()))
        run.modules |= {name: trained[name] for name in stage.trains}
    if not options.processes.is_first:
        return folder / "model"
    # In one move: a later stage must not start from half a model.
    with told_unwritable(folder / "model"), replacing_folder(folder / "model") as partial:
        run.export(partial)
    write_json(folder / "run.json", said)
    return folder / "model"


class Run:
    """One stage with everything loaded. `trained` are the modules that learn, `modules` all that the loss needs."""

    def __init__(self, recipe: Recipe, stage: Stage, options: TrainOptions, corpus: Corpus | Shards) -> None:
        self.recipe, self.stage, self.options = recipe, stage, options
        self.own = corpus if isinstance(corpus, Shards) else None
        if isinstance(corpus, Corpus):
            self.corpus = corpus
        if "unet" in MODULES[stage.objective]:
            self.scheduler = scheduler_config(recipe, options)
            self.alphas_cumprod = alphas_cumprod(self.scheduler).to(options.device)
            self.guidance_scale = own_guidance(recipe, options)
        self.vocabulary = _vocabulary(stage)
        self.tokenizer = None if self.vocabulary is None else self._tokenizer(self.vocabulary)
        self.modules = {name: self._module(name) for name in MODULES[stage.objective]}
        for module in self.modules.values():
            module.requires_grad_(False)
        # A module's name has no dot.
        self.trained = nn.ModuleDict({name.replace(".", "/"): self._part(name) for name in stage.trains})
        self.trained.requires_grad_()
        if stage.objective == "denoising":
            self._check_widths()
        if stage.objective == "reading" or stage.text_weight > 0:
            self.reading = self._reading()
        if "vae" in self.modules:
            self.vae = self.modules["vae"]
            self.records = training_records(self.corpus, stage.with_japan)
        else:
            self.vae = modules.load("vae", source_folder(recipe, stage, "vae", options)).to(options.device)
            self.vae.to(memory_format=torch.channels_last)  # a quarter faster on a CPU
            if stage.objective not in ("reading", "upscaling"):
                assert self.tokenizer is not None
                unet = self.modules["unet"].config if "unet" in self.modules else recipe.components["unet"]
                side = min(sample_size(unet))
                self.batch = dataloader(
                    recipe, stage, options, corpus, self.vae, side, self.tokenizer, lambda: self.phrases
                )
        if stage.objective == "decoding":
            size_px = self.corpus.pictures.shape[1]
            self.latents = corpus_latents(self.corpus, self.vae, size_px, options.output / LATENTS_FILE)
        losses: dict[str, Callable[[int], Losses]] = {
            "autoencoding": self._autoencoding,
            "contrastive": self._contrastive,
            "denoising": self._denoising,
            "decoding": self._decoding,
            "upscaling": self._upscaling,
            "reading": lambda step: self.reading.loss(self.modules["text_encoder"], step),
        }
        self.loss = losses[stage.objective]

    def close(self) -> None:
        """End the processes that make batches."""
        for ahead in (getattr(self, "batch", None), getattr(getattr(self, "reading", None), "made", None)):
            if ahead is not None:
                ahead.close()

    def _part(self, name: str) -> nn.Module:
        """A component, or "vae.decoder": a part of one."""
        component, _, part = name.partition(".")
        module: nn.Module = self.modules[component].get_submodule(part)
        return module

    def _check_widths(self) -> None:
        """The UNet of a folder given as --base may read text of another width."""
        width, read = self.modules["text_encoder"].config.hidden_size, self.modules["unet"].config.cross_attention_dim
        if width != read:
            raise CheckpointError(
                "train.width",
                "the recipe {recipe} makes text features of {width}, the UNet of the base reads "
                "{value}; give another --base",
                recipe=self.recipe.name,
                width=width,
                value=read,
            )

    def _tokenizer(self, vocabulary: str) -> JapaneseTokenizer:
        """The one in the output folder: copied from `start_from`, or trained on the corpus, if there is none yet."""
        size, window = self.recipe.vocab_size[vocabulary], self.recipe.model_max_length[vocabulary]

        def make(folder: Path) -> None:
            if vocabulary == PHRASES:
                train_phrase_tokenizer(self.phrases, size, window, folder)
            elif self.own is not None:
                train_caption_tokenizer(self.own, size, window, folder)
            else:
                train_tokenizer(self.corpus, vocabulary, size, window, folder)

        output, start_from = self.options.output, self.options.start_from
        readers = [name for name, stage in self.recipe.stages.items() if _vocabulary(stage) == vocabulary]
        is_read = any((output / name / what).exists() for name in readers for what in (CHECKPOINT_FILE, "model"))
        made_of = corpus_digest(self.corpus if self.own is None else self.own)
        return kept_vocabulary(output / f"tokenizer_{vocabulary}", start_from, made_of, make, is_read=is_read)

    @cached_property
    def phrases(self) -> Phrases:
        return Phrases(self.corpus, read_vocabulary(), self.stage.drawn)

    def _reading(self) -> Reading:
        """With the encoder that the stage starts from as its teacher; where pictures are shown too, it is its own."""
        assert self.tokenizer is not None
        student, learns = self.modules["text_encoder"], self.stage.objective != "reading"
        teacher, tokenizer = student, self.tokenizer
        if not learns:
            folder = source_folder(self.recipe, self.stage, "text_encoder", self.options)
            teacher = modules.load("text_encoder", folder).to(self.options.device).requires_grad_(False)
            tokenizer = JapaneseTokenizer.load(folder / "tokenizer")
            own = self.options.output / f"tokenizer_{self.vocabulary}"
            student.load_state_dict(reread(teacher, folder / "tokenizer", student, own))
        pooling = getattr(self.modules["unet"], "add_embedding", None)
        size, dropout = self.stage.train_batch_size, self.stage.caption_dropout
        has_read = learns or same_vocabulary(folder / "tokenizer", own)
        teaches = Teacher(teacher, tokenizer, pooling, learns, has_read)
        seed, in_parts = self.options.seed, self.stage.in_parts
        return Reading(self.phrases, teaches, self.tokenizer, size, dropout, seed, in_parts, self.options.ahead)

    def _module(self, name: str) -> Any:
        if name == "text_encoder" and self.stage.objective == "reading":
            module = modules.build(name, self.recipe.components[name], self.tokenizer)
        elif name in self.stage.starts_from:
            module = modules.load(name, source_folder(self.recipe, self.stage, name, self.options))
        elif name == "image_encoder":
            module = image_encoder(self.recipe)
        else:
            module = modules.build(name, self.recipe.components[name], self.tokenizer)
        return module.to(self.options.device)

    def _autoencoding(self, step: int) -> Losses:
        seed = self.options.seed
        pixel_values = crops(self.corpus, self.records, self.stage.train_batch_size, seed, step)  # (B, 3, 64, 64)
        return autoencoding_loss(self.modules["vae"], pixel_values.to(self.options.device), step_generator(seed, step))

    def _contrastive(self, step: int) -> Losses:
        latents, input_ids, concepts = (tensor.to(self.options.device) for tensor in self.batch(step))
        encoder = self.modules["image_encoder"]
        assert isinstance(encoder, modules.ImageEncoder) and self.tokenizer is not None
        hidden = self.modules["text_encoder"](input_ids).last_hidden_state  # (B, L, D)
        text_features = encoder.text_features(hidden, input_ids, self.tokenizer.eos_token_id)  # (B, D)
        return contrastive_loss(text_features, encoder(latents), encoder.logit_scale, concepts)

    def _denoising(self, step: int) -> Losses:
        latents, input_ids = (tensor.to(self.options.device) for tensor in self.batch(step)[:2])
        hidden = self.modules["text_encoder"](input_ids).last_hidden_state  # (B, L, D)
        loss, metrics = denoising_loss(
            self.modules["unet"],
            self.alphas_cumprod,
            self.scheduler["prediction_type"],
            self.stage.snr_gamma,
            latents,
            hidden,
            # Of a batch in the hundreds: a CPU would take longer to make it than a GPU to learn from it.
            step_generator(self.options.seed, step, self.options.device),
        )
        if self.stage.text_weight == 0:
            return loss, metrics
        reading, more = self.reading.loss(self.modules["text_encoder"], step)
        return loss + self.stage.text_weight * reading, {**metrics, **more}

    def _decoding(self, step: int) -> Losses:
        seed = self.options.seed
        latents, pixel_values = (
            tensor.to(self.options.device)
            for tensor in decoded_pictures(
                self.corpus, self.records, self.latents, self.stage.train_batch_size, seed, step
            )
        )
        return decoding_loss(self.vae, latents, pixel_values, step_generator(seed, step))

    @cached_property
    def _enlarged(self) -> EnlargedPictures:
        """Made from the packages beside the corpus, once."""
        folder, seed = self.options.output / f"enlarged_{self.options.seed}", self.options.seed
        digest = hashlib.sha256()
        add_weights(digest, self.vae)
        digest.update(repr(list(self.corpus.concepts)).encode())
        if not holds(folder, digest.hexdigest()):
            build_enlarged(list(self.corpus.concepts), self.options.sources, self.vae, folder, seed)
            write_text(folder / MADE_OF, digest.hexdigest())
        return EnlargedPictures(folder)

    def _upscaling(self, step: int) -> Losses:
        batch = self._enlarged.batch(self.stage.train_batch_size, self.options.seed, step)
        small, large = (tensor.to(self.options.device) for tensor in batch)
        return upscaling_loss(self.modules["upscaler"], small, large)

    def sample(self, path: Path) -> None:
        """What the stage makes by now, as a PNG grid; a contrastive stage makes no pictures."""
        if self.stage.objective == "autoencoding":
            reconstruct(self.corpus, self.modules["vae"], path)
        elif "unet" in self.modules:
            assert self.stage.language is not None and self.tokenizer is not None
            prompts: Sequence[str] = self.recipe.sample_prompts[self.stage.language]
            if self.own is not None:  # in whichever language they are
                captions = self.own.table(self.own.filled[0], ["captions"])["captions"]
                prompts = [some[0] for some in captions.to_pylist()[:NUM_OWN_SAMPLES]]
            own = {} if self.guidance_scale is None else {"guidance_scale": self.guidance_scale}
            parts = {**self.modules, "vae": self.vae, **own}
            draw_samples(Pipeline(tokenizer=self.tokenizer, scheduler_config=self.scheduler, **parts), prompts, path)

    def export(self, folder: Path) -> None:
        """A model folder: of the whole model where the stage has its UNet, else of the stage's components."""
        saved = {name: module for name, module in self.modules.items() if name in modules.CLASSES}
        if self.stage.objective == "autoencoding":
            # One over the standard deviation of the corpus' latents (arXiv 2112.10752, appendix G).
            vae = saved["vae"]
            latents = encode_corpus(self.corpus, vae, self.corpus.pictures.shape[1])
            vae.register_to_config(scaling_factor=1 / latents.std().item())
        if "unet" in self.modules:
            assert self.stage.language is not None
            modules.write_model_folder(folder, {**saved, "vae": self.vae}, self.scheduler, self.guidance_scale)
            copy_plain(self.options.output / f"tokenizer_{self.vocabulary}", folder / "tokenizer")
            made_of = self.options.start_from or self.options.base
            if made_of is not None:
                modules.keep_untrained(made_of, folder)
            open_to_diffusers(folder)
            if self.vocabulary == PHRASES:
                self.phrases.known(STYLES_DRAWN, DESIGNS_DRAWN).save(folder)
        else:
            for name, module in saved.items():
                module.save_pretrained(folder / name)
