"""Run one stage of a recipe: gather what it starts from, train, write its model folder."""

import json
import platform
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import jsd
from jsd.data.corpus import Corpus
from jsd.errors import CheckpointError
from jsd.tokenizer import JapaneseTokenizer
from jsd.training import components
from jsd.training.batches import CaptionedLatents, crops, training_records
from jsd.training.latents import corpus_latents
from jsd.training.loop import append_json_line, train
from jsd.training.objectives import autoencoding_loss, contrastive_loss, denoising_loss
from jsd.training.recipes import Recipe, Stage
from jsd.training.vocabulary import train_tokenizer


@dataclass(frozen=True)
class TrainOptions:
    """What a run chooses; what a stage is stands in its row."""

    corpus: Path
    output: Path  # holds one folder for each stage
    seed: int = 0
    checkpointing_steps: int = 200
    device: str = "cpu"
    mixed_precision: bool = True  # bf16 autocast


class Autoencoding:
    def __init__(self, corpus: Corpus, stage: Stage, vae: nn.Module, options: TrainOptions) -> None:
        self.modules = nn.ModuleDict({"vae": vae})
        self.corpus, self.stage, self.options = corpus, stage, options
        self.records = training_records(corpus, stage.with_japan)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        seed = self.options.seed
        batch = crops(self.corpus, self.records, self.stage.train_batch_size, seed, step).to(self.options.device)
        return autoencoding_loss(self.modules["vae"], batch, step_generator(seed, step))


class Contrastive:
    def __init__(self, batches: CaptionedLatents, modules: dict[str, nn.Module], device: str) -> None:
        self.batches, self.modules, self.device = batches, nn.ModuleDict(modules), device

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        latents, input_ids, concepts = (tensor.to(self.device) for tensor in self.batches.batch(step))
        encoder = self.modules["image_encoder"]
        assert isinstance(encoder, components.ImageEncoder)
        hidden = self.modules["text_encoder"](input_ids).last_hidden_state  # (B, L, D)
        text_features = encoder.text_features(hidden, input_ids, self.batches.tokenizer.eos_token_id)
        return contrastive_loss(text_features, encoder(latents), encoder.logit_scale, concepts)


class Denoising:
    def __init__(
        self, batches: CaptionedLatents, modules: dict[str, nn.Module], scheduler: dict[str, Any], options: TrainOptions
    ) -> None:
        self.batches, self.options = batches, options
        self.everything = modules
        for name, module in modules.items():
            module.requires_grad_(name in batches.stage.trains)
        self.modules = nn.ModuleDict({name: modules[name] for name in batches.stage.trains})
        self.prediction_type: str = scheduler["prediction_type"]
        self.alphas_cumprod = alphas_cumprod(scheduler).to(options.device)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        latents, input_ids, _ = (tensor.to(self.options.device) for tensor in self.batches.batch(step))
        hidden = self.everything["text_encoder"](input_ids).last_hidden_state  # (B, L, D)
        return denoising_loss(
            self.everything["unet"], self.alphas_cumprod, self.prediction_type, self.batches.stage.snr_gamma,
            latents, hidden, step_generator(self.options.seed, step),
        )  # fmt: skip


def step_generator(seed: int, step: int) -> torch.Generator:
    """The noise of one step: on the CPU, so that it is the same on every device."""
    return torch.Generator("cpu").manual_seed((seed << 32) + step)


def alphas_cumprod(scheduler: dict[str, Any]) -> Tensor:
    """(T,): the share of signal left at each timestep, for Stable Diffusion's scaled-linear betas."""
    if scheduler["beta_schedule"] != "scaled_linear":
        raise CheckpointError("train.schedule", value=scheduler["beta_schedule"])
    betas = torch.linspace(scheduler["beta_start"] ** 0.5, scheduler["beta_end"] ** 0.5, scheduler["num_train_timesteps"])
    return torch.cumprod(1 - betas**2, dim=0)


def run_stage(recipe: Recipe, name: str, options: TrainOptions) -> Path:
    """Train one stage, or go on where it stopped; returns its model folder."""
    stage = recipe.stages[name]
    corpus = Corpus.load(options.corpus)
    folder = options.output / name
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    tokenizer = _tokenizer(recipe, stage, corpus, options)
    modules = {
        component: _component(recipe, stage, component, tokenizer, options).to(options.device)
        for component in _components(stage)
    }
    if stage.objective == "autoencoding":
        objective: Autoencoding | Contrastive | Denoising = Autoencoding(corpus, stage, modules["vae"], options)
    else:
        assert tokenizer is not None
        latents, _ = corpus_latents(corpus, options.output / "vae" / "model", options.device)
        dropout = stage.caption_dropout if stage.objective == "denoising" else 0.0
        batches = CaptionedLatents(corpus, latents, stage, tokenizer, options.seed, dropout)
        if stage.objective == "contrastive":
            objective = Contrastive(batches, modules, options.device)
        else:
            objective = Denoising(batches, modules, recipe.scheduler, options)
    autocast = torch.autocast(options.device, torch.bfloat16, enabled=options.mixed_precision)
    began = time.time()
    ema = train(
        stage, objective, folder, checkpointing_steps=options.checkpointing_steps, autocast=autocast,
        log=lambda step, values: append_json_line(folder / "log.jsonl", {"step": step, **values}),
    )  # fmt: skip
    ema.swap()
    _write_run(folder, recipe, stage, options, time.time() - began)
    return _export(recipe, stage, modules, options)


def _components(stage: Stage) -> tuple[str, ...]:
    return {"autoencoding": ("vae",), "contrastive": ("text_encoder", "image_encoder"),
            "denoising": ("text_encoder", "unet")}[stage.objective]  # fmt: skip


def _component(
    recipe: Recipe, stage: Stage, component: str, tokenizer: JapaneseTokenizer | None, options: TrainOptions
) -> nn.Module:
    if component in stage.starts_from:
        folder = options.output / stage.starts_from[component] / "model"
        if not (folder / component).is_dir():
            raise CheckpointError("train.order", stage=stage.name, needs=stage.starts_from[component])
        return components.load(component, folder)
    if component == "image_encoder":
        unet = recipe.components["unet"]
        dim = recipe.components["text_encoder"]["hidden_size"]
        return components.ImageEncoder(unet["in_channels"], unet["sample_size"], 128, dim)
    return components.build(component, recipe.components[component], tokenizer)


def _tokenizer(recipe: Recipe, stage: Stage, corpus: Corpus, options: TrainOptions) -> JapaneseTokenizer | None:
    if stage.language is None:
        return None
    folder = options.output / f"tokenizer_{stage.language}"
    if not folder.is_dir():
        train_tokenizer(corpus, stage.language, recipe.vocab_size[stage.language], recipe.model_max_length, folder)
    return JapaneseTokenizer.load(folder)


def _export(recipe: Recipe, stage: Stage, modules: dict[str, nn.Module], options: TrainOptions) -> Path:
    """A model folder: of the whole model after a denoising stage, of the trained component after the others."""
    folder = options.output / stage.name / "model"
    saved = {name: module for name, module in modules.items() if name in components.CLASSES}
    if stage.objective == "denoising":
        components.write_model_folder(folder, saved, recipe.scheduler)
        shutil.copytree(options.output / "vae" / "model" / "vae", folder / "vae", dirs_exist_ok=True)
        shutil.copytree(options.output / f"tokenizer_{stage.language}", folder / "tokenizer", dirs_exist_ok=True)
    else:
        for name, module in saved.items():
            module.save_pretrained(folder / name)  # type: ignore[operator]
    return folder


def _write_run(folder: Path, recipe: Recipe, stage: Stage, options: TrainOptions, seconds: float) -> None:
    run = {
        "recipe": recipe.name,
        "stage": asdict(stage),
        "options": {key: str(value) for key, value in asdict(options).items()},
        "seconds_of_last_call": round(seconds, 1),
        "hardware": torch.cuda.get_device_name() if options.device == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        "versions": {"jsd": jsd.__version__, "torch": torch.__version__, "python": sys.version.split()[0],
                     "platform": platform.machine()},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
