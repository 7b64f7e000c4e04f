"""Own pictures: LoRA on the text encoder and the UNet of a model folder that stays as it is (arXiv 2106.09685)."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor

from jsd.atomic import write_json
from jsd.errors import CorpusError
from jsd.images.tensors import image_to_tensor
from jsd.models.record import folder_digest
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.prompting.concepts import KnownConcepts
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.adapters import FILE, add_adapters, import_peft, lora_metadata, switched_off, write_lora
from jsd.training.corpora.readers import STATE_FILE, read_source
from jsd.training.corpora.records import HELD_OUT, KEPT, Noted, Picture, Record, pictures, warn_left_out
from jsd.training.corpora.shards import Shards, check_apart
from jsd.training.logs import draw_samples, train_logged
from jsd.training.loop import CHECKPOINT_FILE, check_settings, load_cached, told_unwritable
from jsd.training.objectives import Losses, denoising_loss, noised, snr_weight
from jsd.training.recipes import PRIOR_PROMPTS, Adapter, Recipe, Stage
from jsd.training.starting import TrainOptions, alphas_cumprod, run_settings, scheduler_config, step_generator
from jsd.training.streaming import warn_cut

PRIOR_FILE = "prior.pt"  # latents that the base drew
PRIOR_SEED = 1 << 20  # of its pictures, and on
CLASS_SHARE = 0.25  # of the prior pictures, where a class prompt is given
MAX_SAMPLES = 4
MAX_SIDE_PX = 2048  # the shorter one, of a picture that is kept in memory


def run_lora(recipe: Recipe, stage: Stage, options: TrainOptions) -> Path:
    """Train, or go on where it stopped; returns the LoRA file in the output folder."""
    assert stage.adapter is not None and options.base is not None
    import_peft()  # before minutes of work
    check_apart(options.corpus, options.output / "samples")
    own = own_pictures(options.corpus, options.trigger)
    # Of records whose columns have the digests of the pixels.
    digest = hashlib.sha256(repr([one.record for one in own]).encode()).hexdigest()[:10]
    settings = run_settings(stage, options, digest)
    options.output.mkdir(parents=True, exist_ok=True)
    check_settings(options.output / CHECKPOINT_FILE, settings)
    with options.processes.first_before_others():
        torch.manual_seed(options.seed)
        run = LoraRun(recipe, stage, options, own)
    ema, done = train_logged(recipe, stage, options, options.output, run, run.layers, settings)
    if not options.processes.is_first:
        return options.output / FILE
    ema.copy_to(run.layers.parameters())
    captions = [caption for one in own for caption in one.record.captions]
    prediction = run.scheduler["prediction_type"]
    said = lora_metadata(
        options.base, stage.adapter, prediction, options.trigger, captions, options.output.resolve().name
    )
    with told_unwritable(options.output / FILE):
        write_lora(options.output / FILE, run.layers, said)
    write_json(options.output / "run.json", done)
    return options.output / FILE


def own_pictures(source: Path, trigger: str) -> list[Picture]:
    """Every usable picture; one without a caption is called by the trigger words. What is left out is warned of."""
    noted: list[Noted] = []
    # One at a time: forty photographs as they are would take gigabytes.
    found = [_shrunk(one) for one in pictures((_own(one, trigger) for one in _items(source)), noted)]
    if not found:
        raise CorpusError(
            "lora.no_pictures",
            "{source} must hold pictures with captions, and has none that can be used ({reasons}); write a .txt beside "
            "each picture, or give --trigger WORDS",
            source=source,
            reasons=", ".join(sorted({one.reason for one in noted})),
        )
    warn_left_out(noted, len(found))
    return found


def _items(source: Path) -> Iterable[Record | Noted]:
    """Of an imported corpus its records, not what lies around them."""
    if not (source / STATE_FILE).is_file():
        return read_source(source)
    shards = Shards.load_filled(source)
    return (one for index in shards.filled for one in shards.records(index))


def _own(one: Record | Noted, trigger: str) -> Record | Noted:
    if isinstance(one, Noted):
        return one
    if one.columns.get("split") in HELD_OUT:
        return Noted(one.key, KEPT)
    return one if "".join(one.captions).strip() else replace(one, captions=(trigger,))


def _shrunk(one: Picture) -> Picture:
    """Without its file, and no larger than models draw."""
    image = one.image.copy()
    scale = MAX_SIDE_PX / min(image.size)  # of a strip the middle is taken, as large as it is
    image.thumbnail((scale * image.width, scale * image.height), Image.Resampling.LANCZOS)
    return Picture(replace(one.record, image=b""), image)


def said_caption(record: Record, adapter: Adapter, trigger: str, rng: random.Random) -> str:
    """A caption of the picture in one of the templates; the trigger words are in every one."""
    text = record.caption(rng)
    if trigger == "":
        return text
    return called(rng.choice(adapter.caption_templates).format(caption=text, trigger=trigger), trigger)


def read_caption(text: str, trigger: str, tokenizer: JapaneseTokenizer) -> str:
    """A caption with the trigger words, and with them once more before it where they would fall off its end."""
    return text if trigger in text[: tokenizer.describe(text).tail_start] else f"{trigger}、{text}"


def called(caption: str, trigger: str) -> str:
    """With the trigger words, which may be "", before it where they are not in it."""
    return caption if trigger in caption else f"{trigger}、{caption}"


def prior_prompts(folder: Path, adapter: Adapter, class_prompt: str) -> list[str]:
    """What the prior pictures show: the class, and what else the model knows, evenly."""
    known = KnownConcepts.load(folder)
    names = PRIOR_PROMPTS if known is None else [one.name for one in known.concepts]
    count = adapter.num_prior_pictures
    of_class = round(CLASS_SHARE * count) if class_prompt != "" else 0
    return [class_prompt] * of_class + [names[i * len(names) // (count - of_class)] for i in range(count - of_class)]


class LoraRun:
    """Everything loaded. `layers` are the modules that learn."""

    def __init__(self, recipe: Recipe, stage: Stage, options: TrainOptions, own: Sequence[Picture]) -> None:
        assert stage.adapter is not None and options.base is not None
        self.recipe, self.stage, self.options, self.adapter = recipe, stage, options, stage.adapter
        self.scheduler = scheduler_config(recipe, options)
        self.alphas_cumprod = alphas_cumprod(self.scheduler).to(options.device)
        self.pipeline = Pipeline.load(options.base, options.device, "float32", "torch")
        self.pipeline.tokenizer.known = None  # the prior is of bare names, in no design that a seed chooses
        self.records = [one.record for one in own]
        warn_cut((text for one in self.records for text in one.captions), self.pipeline.tokenizer)
        self.latents = torch.cat([self._encode(one.image) for one in own])  # (N, C, h, w)
        self.prior_prompts = prior_prompts(options.base, self.adapter, options.class_prompt)
        self.prior_latents = self._prior_latents()
        self.networks = {"unet": self.pipeline.unet, "text_encoder": self.pipeline.text_encoder}
        self.layers = add_adapters(self.networks, self.adapter)

    def _encode(self, image: Image.Image) -> Tensor:
        """The middle of the picture at the model's own size -> (1, C, h, w), scaled."""
        fitted = ImageOps.fit(image, self.pipeline.default_size, Image.Resampling.LANCZOS)
        return self.pipeline.encode_image(image_to_tensor(fitted)).cpu().clone()

    def _prior_latents(self) -> Tensor:
        """(P, C, h, w): what the base draws of `prior_prompts`, kept in a file for the next time."""
        path = self.options.output / PRIOR_FILE
        key = repr((folder_digest(self.options.base), self.prior_prompts))  # type: ignore[arg-type]
        return load_cached(path, key, self._draw_prior)

    def _draw_prior(self) -> Tensor:
        size, drawn = self.adapter.prior_batch_size, []
        for first in range(0, len(self.prior_prompts), size):
            requests = [
                SamplingOptions(prompt=prompt, upscale=1, seed=PRIOR_SEED + number)
                for number, prompt in enumerate(self.prior_prompts[first : first + size], first)
            ]
            job = self.pipeline.prepare(requests)
            with self.options.autocast:
                self.pipeline.run(job)
            drawn.append(job.latents.cpu().clone())
        return torch.cat(drawn)

    def batch(self, step: int) -> tuple[Tensor, list[str], Tensor, list[str]]:
        """Own latents (B, C, h, w) and captions, prior latents (P, C, h, w) and prompts: a function of the step."""
        rng = random.Random(f"{self.options.seed}/{self.stage.name}/{step}")
        weights = [record.repeats for record in self.records]
        own = rng.choices(range(len(self.records)), weights, k=self.stage.train_batch_size)
        trigger, tokenizer = self.options.trigger, self.pipeline.tokenizer
        said = [said_caption(self.records[i], self.adapter, trigger, rng) for i in own]
        captions = [read_caption(text, trigger, tokenizer) for text in said]
        prior = rng.choices(range(len(self.prior_prompts)), k=self.adapter.prior_batch_size)
        # Empty prompts are the other half of guidance: they too must stay what they were.
        prompts = ["" if rng.random() < self.stage.caption_dropout else self.prior_prompts[i] for i in prior]
        return self.latents[own], captions, self.prior_latents[prior], prompts

    def loss(self, step: int) -> Losses:
        own, captions, prior, prompts = self.batch(step)
        device, generator = self.options.device, step_generator(self.options.seed, step)
        kind, gamma = self.scheduler["prediction_type"], self.stage.snr_gamma
        unet, latents = self.pipeline.unet, own.to(device)
        hidden = self._hidden(captions)
        loss, metrics = denoising_loss(unet, self.alphas_cumprod, kind, gamma, latents, hidden, generator)
        noisy, _, timesteps, alpha_bar = noised(prior.to(device), self.alphas_cumprod, generator)
        with switched_off(self.networks):
            before = unet(noisy, timesteps, self._hidden(prompts)).sample.float()
        error = unet(noisy, timesteps, self._hidden(prompts)).sample.float() - before
        prior_loss = (snr_weight(alpha_bar, kind, gamma) * error.square()).mean()
        return loss + self.adapter.prior_loss_weight * prior_loss, {**metrics, "prior": prior_loss}

    def _hidden(self, texts: Sequence[str]) -> Tensor:
        """(B, L, D): the first window of each text."""
        input_ids = torch.tensor([self.pipeline.tokenizer.encode(text) for text in texts], device=self.options.device)
        states: Tensor = self.pipeline.text_encoder(input_ids).last_hidden_state
        return states

    def sample(self, path: Path) -> None:
        """The subject, its class, and what must not change, as a PNG grid."""
        trigger = self.options.trigger
        own = [one for one in (trigger, *(called(r.captions[0], trigger) for r in self.records)) if one][:MAX_SAMPLES]
        asked = dict.fromkeys((*own, self.options.class_prompt, *self.recipe.sample_prompts["ja"]))
        draw_samples(self.pipeline, [prompt for prompt in asked if prompt != ""], path)
