"""Run one stage of a recipe: gather what it starts from, train, write its model folder."""

import hashlib
import platform
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import jsd
from jsd.atomic import replacing_folder, write_json
from jsd.errors import CheckpointError
from jsd.models.configs import check_noise_schedule, read_json
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training import components
from jsd.training.batches import CaptionedLatents, crops, decoded_pictures, training_records
from jsd.training.corpora.corpus import Corpus
from jsd.training.latents import corpus_latents, encode_corpus
from jsd.training.logs import Log, draw_samples, reconstruct
from jsd.training.loop import CHECKPOINT_FILE, check_settings, train
from jsd.training.objectives import Losses, autoencoding_loss, contrastive_loss, decoding_loss, denoising_loss
from jsd.training.recipes import Recipe, Stage
from jsd.training.vocabulary import train_tokenizer

LATENTS_FILE = "latents.pt"
# Of a stage's row, what a run may change when it goes on.
MAY_CHANGE = ("max_train_steps", "learning_rate", "lr_warmup_steps", "ema_decay")
MODULES = {
    "autoencoding": ("vae",),
    "contrastive": ("text_encoder", "image_encoder"),
    "denoising": ("text_encoder", "unet"),
    "decoding": ("text_encoder", "unet", "vae"),
}


@dataclass(frozen=True)
class TrainOptions:
    """What a run chooses; what a stage is stands in its row."""

    corpus: Path
    output: Path  # holds one folder for each stage
    base: Path | None = None  # a Stable Diffusion v1 folder, for recipes that start from one
    start_from: Path | None = None  # a model folder to take everything from, instead of the stages before
    seed: int = 0
    checkpointing_steps: int = 200
    device: str = "cpu"
    mixed_precision: str = "bf16"  # of autocast; "no" for fp32


def source_folder(recipe: Recipe, stage: Stage, component: str, options: TrainOptions) -> Path:
    """The model folder whose `component` the stage starts from."""
    if options.start_from is not None:
        if not (options.start_from / component).is_dir():
            raise CheckpointError(
                "train.start_from",
                "--start-from must be a model folder with a {component}, got {value}; try weights/mini",
                component=component,
                value=options.start_from,
            )
        return options.start_from
    name = stage.starts_from[component]
    if name in recipe.stages:
        folder = options.output / name / "model"
        if not (folder / component).is_dir():
            raise CheckpointError(
                "train.order",
                "the stage {stage} starts from the stage {needs}, which has no model yet; run: jsd "
                "train --stage {needs}",
                stage=stage.name,
                needs=name,
            )
        return folder
    if options.base is None:
        raise CheckpointError(
            "train.base",
            "the recipe {recipe} takes its {component} from a Stable Diffusion v1 folder, and "
            "--base is not given; give one",
            recipe=recipe.name,
            component=component,
        )
    if not (options.base / component).is_dir():
        raise CheckpointError(
            "train.base_lacks",
            "--base must be a Stable Diffusion v1 folder with a {component}/, and {value} has none; check the path",
            component=component,
            value=options.base,
        )
    return options.base


def scheduler_config(recipe: Recipe, options: TrainOptions) -> dict[str, Any]:
    if recipe.scheduler is not None:
        return recipe.scheduler
    if options.base is None:
        raise CheckpointError(
            "train.base",
            "the recipe {recipe} takes its {component} from a Stable Diffusion v1 folder, and "
            "--base is not given; give one",
            recipe=recipe.name,
            component="scheduler",
        )
    path = options.base / "scheduler" / "scheduler_config.json"
    check_noise_schedule(path)
    config: dict[str, Any] = read_json(path)
    names = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps")
    return {name: config[name] for name in names} | {"prediction_type": config.get("prediction_type", "epsilon")}


def alphas_cumprod(scheduler: dict[str, Any]) -> Tensor:
    """(T,): the share of signal left at each timestep, for Stable Diffusion's scaled-linear betas."""
    if scheduler["beta_schedule"] != "scaled_linear":
        raise CheckpointError(
            "train.schedule",
            "training knows the noise schedule scaled_linear, the model folder's is {value}; start from another folder",
            value=scheduler["beta_schedule"],
        )
    roots = torch.linspace(
        scheduler["beta_start"] ** 0.5, scheduler["beta_end"] ** 0.5, scheduler["num_train_timesteps"]
    )
    return torch.cumprod(1 - roots**2, dim=0)


def image_encoder(recipe: Recipe) -> components.ImageEncoder:
    """The picture half of the contrastive stages, for the latents and the text encoder of the recipe."""
    unet = recipe.components["unet"]
    dim = recipe.components["text_encoder"]["hidden_size"]
    return components.ImageEncoder(unet["in_channels"], unet["sample_size"], 128, dim)


def step_generator(seed: int, step: int) -> torch.Generator:
    """The noise of one step: on the CPU, so that it is the same on every device."""
    return torch.Generator("cpu").manual_seed((seed << 32) + step)


def run_settings(stage: Stage, options: TrainOptions, corpus: Corpus) -> dict[str, object]:
    """What decides what every step computes; how many steps there are, at which rate, may change half way."""
    records = repr((corpus.records, list(corpus.concepts.values())))
    return {
        **{name: value for name, value in asdict(stage).items() if name not in MAY_CHANGE},
        "base": str(options.base),
        "start_from": str(options.start_from),
        "seed": options.seed,
        "mixed_precision": options.mixed_precision,
        "corpus": hashlib.sha256(records.encode()).hexdigest()[:10],
    }


def run_stage(recipe: Recipe, name: str, options: TrainOptions) -> Path:
    """Train one stage, or go on where it stopped; returns its model folder."""
    stage = recipe.stages[name]
    corpus = Corpus.load(options.corpus)
    folder = options.output / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = run_settings(stage, options, corpus)
    check_settings(folder / CHECKPOINT_FILE, settings)
    torch.manual_seed(options.seed)
    run = Run(recipe, stage, options, corpus)
    description = _description(recipe, stage, options)
    write_json(folder / "run.json", description)
    with Log(folder) as log:
        ema, seconds = train(
            stage,
            run.trained,
            run.loss,
            folder,
            settings=settings,
            checkpointing_steps=options.checkpointing_steps,
            autocast=torch.autocast(options.device, torch.bfloat16, enabled=options.mixed_precision == "bf16"),
            log=log.write,
            sample=lambda step: run.sample(folder / "samples" / f"{step:06}.png"),
        )
    ema.swap()
    # In one move: a later stage must not start from half a model.
    with replacing_folder(folder / "model") as partial:
        run.export(partial)
    write_json(folder / "run.json", {**description, "seconds": round(seconds, 1)})
    return folder / "model"


class Run:
    """One stage with everything loaded. `trained` are the modules that learn, `modules` all that the loss needs."""

    def __init__(self, recipe: Recipe, stage: Stage, options: TrainOptions, corpus: Corpus) -> None:
        self.recipe, self.stage, self.options, self.corpus = recipe, stage, options, corpus
        if "unet" in MODULES[stage.objective]:
            self.scheduler = scheduler_config(recipe, options)
            self.alphas_cumprod = alphas_cumprod(self.scheduler).to(options.device)
        self.tokenizer = None if stage.language is None else self._tokenizer(stage.language)
        self.modules = {name: self._module(name) for name in MODULES[stage.objective]}
        for module in self.modules.values():
            module.requires_grad_(False)
        # A module's name has no dot.
        self.trained = nn.ModuleDict({name.replace(".", "/"): self._part(name) for name in stage.trains})
        self.trained.requires_grad_()
        if stage.objective == "denoising":
            self._check_widths()
        if "vae" in self.modules:
            self.vae = self.modules["vae"]
            self.records = training_records(corpus, stage.with_japan)
        else:
            self.vae = components.load("vae", source_folder(recipe, stage, "vae", options)).to(options.device)
            self.batches = self._batches()
        if stage.objective == "decoding":
            self.latents = self._latents(corpus.pictures.shape[1])
        losses: dict[str, Callable[[int], Losses]] = {
            "autoencoding": self._autoencoding,
            "contrastive": self._contrastive,
            "denoising": self._denoising,
            "decoding": self._decoding,
        }
        self.loss = losses[stage.objective]

    def _part(self, name: str) -> nn.Module:
        """A component, or "vae.decoder": a part of one."""
        component, _, part = name.partition(".")
        module: nn.Module = self.modules[component].get_submodule(part)
        return module

    def _latents(self, size_px: int) -> Tensor:
        """(N, C, h, w) of all pictures, scaled."""
        cache = self.options.output / LATENTS_FILE
        return corpus_latents(self.corpus, self.vae, size_px, self.options.device, cache)

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

    def _tokenizer(self, language: str) -> JapaneseTokenizer:
        """The one in the output folder: copied from `start_from`, or trained on the corpus, if there is none yet."""
        folder = self.options.output / f"tokenizer_{language}"
        if self.options.start_from is not None:
            if not (self.options.start_from / "tokenizer").is_dir():
                raise CheckpointError(
                    "train.start_from",
                    "--start-from must be a model folder with a {component}, got {value}; try weights/mini",
                    component="tokenizer",
                    value=self.options.start_from,
                )
            shutil.copytree(self.options.start_from / "tokenizer", folder, dirs_exist_ok=True)
        elif not folder.is_dir():
            train_tokenizer(
                self.corpus, language, self.recipe.vocab_size[language], self.recipe.model_max_length, folder
            )
        return JapaneseTokenizer.load(folder)

    def _module(self, name: str) -> Any:
        if name in self.stage.starts_from:
            module = components.load(name, source_folder(self.recipe, self.stage, name, self.options))
        elif name == "image_encoder":
            module = image_encoder(self.recipe)
        else:
            module = components.build(name, self.recipe.components[name], self.tokenizer)
        return module.to(self.options.device)

    def _batches(self) -> CaptionedLatents:
        assert self.tokenizer is not None
        unet = self.modules["unet"].config if "unet" in self.modules else self.recipe.components["unet"]
        latents = self._latents(unet["sample_size"] * 2 ** (len(self.vae.config.block_out_channels) - 1))
        dropout = self.stage.caption_dropout if self.stage.objective == "denoising" else 0.0
        return CaptionedLatents(self.corpus, latents, self.stage, self.tokenizer, self.options.seed, dropout)

    def _autoencoding(self, step: int) -> Losses:
        seed = self.options.seed
        pixel_values = crops(self.corpus, self.records, self.stage.train_batch_size, seed, step)  # (B, 3, 64, 64)
        return autoencoding_loss(self.modules["vae"], pixel_values.to(self.options.device), step_generator(seed, step))

    def _contrastive(self, step: int) -> Losses:
        latents, input_ids, concepts = (tensor.to(self.options.device) for tensor in self.batches.batch(step))
        encoder = self.modules["image_encoder"]
        assert isinstance(encoder, components.ImageEncoder) and self.tokenizer is not None
        hidden = self.modules["text_encoder"](input_ids).last_hidden_state  # (B, L, D)
        text_features = encoder.text_features(hidden, input_ids, self.tokenizer.eos_token_id)  # (B, D)
        return contrastive_loss(text_features, encoder(latents), encoder.logit_scale, concepts)

    def _denoising(self, step: int) -> Losses:
        latents, input_ids, _ = (tensor.to(self.options.device) for tensor in self.batches.batch(step))
        hidden = self.modules["text_encoder"](input_ids).last_hidden_state  # (B, L, D)
        return denoising_loss(
            self.modules["unet"],
            self.alphas_cumprod,
            self.scheduler["prediction_type"],
            self.stage.snr_gamma,
            latents,
            hidden,
            step_generator(self.options.seed, step),
        )

    def _decoding(self, step: int) -> Losses:
        seed = self.options.seed
        latents, pixel_values = (
            tensor.to(self.options.device)
            for tensor in decoded_pictures(
                self.corpus, self.records, self.latents, self.stage.train_batch_size, seed, step
            )
        )
        return decoding_loss(self.vae, latents, pixel_values, step_generator(seed, step))

    def sample(self, path: Path) -> None:
        """What the stage makes by now, as a PNG grid; a contrastive stage makes no pictures."""
        path.parent.mkdir(exist_ok=True)
        if self.stage.objective == "autoencoding":
            reconstruct(self.corpus, self.modules["vae"], path)
        elif "unet" in self.modules:
            assert self.stage.language is not None and self.tokenizer is not None
            prompts = self.recipe.sample_prompts[self.stage.language]
            draw_samples(prompts, self.tokenizer, {**self.modules, "vae": self.vae}, self.scheduler, path)

    def export(self, folder: Path) -> None:
        """A model folder: of the whole model where the stage has its UNet, else of the stage's components."""
        saved = {name: module for name, module in self.modules.items() if name in components.CLASSES}
        if self.stage.objective == "autoencoding":
            # One over the standard deviation of the corpus' latents (arXiv 2112.10752, appendix G).
            vae = saved["vae"]
            latents = encode_corpus(self.corpus, vae, self.corpus.pictures.shape[1], self.options.device)
            vae.register_to_config(scaling_factor=1 / latents.std().item())
        if "unet" in self.modules:
            assert self.stage.language is not None
            components.write_model_folder(
                folder, {**saved, "vae": self.vae}, self.scheduler, self.recipe.guidance_scale
            )
            tokenizer = self.options.output / f"tokenizer_{self.stage.language}"
            shutil.copytree(tokenizer, folder / "tokenizer", dirs_exist_ok=True)
        else:
            for name, module in saved.items():
                module.save_pretrained(folder / name)


def _description(recipe: Recipe, stage: Stage, options: TrainOptions) -> dict[str, object]:
    on_cuda = options.device == "cuda"
    return {
        "recipe": recipe.name,
        "stage": asdict(stage),
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()},
        "hardware": torch.cuda.get_device_name() if on_cuda else f"CPU, {torch.get_num_threads()} threads",
        "machine": platform.machine(),
        "versions": {
            "jsd": jsd.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "diffusers", "transformers", "sentencepiece", "numpy")},
        },
    }
