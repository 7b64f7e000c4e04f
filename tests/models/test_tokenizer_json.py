"""What plain transformers and diffusers make of our folders: the same ids, the same picture."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import AutoTokenizer

from jsd import Pipeline
from jsd.models.tokenizer_json import open_to_diffusers
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.sampling import initial_noise, noise_generators

MINI = Path(__file__).parents[2] / "weights" / "mini"
TEXTS = [
    *("", " ", "サラリーマン 油絵", "ＡＢＣ abc Abc", "か\u3099", "ﾊﾝｶｸ ｶﾅ", "</s> [PAD] <unk>", "℡ Ⅲ", "ΑΣ"),
    *("  a   b ", "\n改行\t", "猫の🐱", "苺と檸檬", "İ", "㍿", "長い" * 40),
]
LETTERS = [*map(chr, (*range(0x3041, 0x3100), *range(0x4E00, 0x5800), *range(0x20, 0x7F), *range(0xFF01, 0xFF5F)))]


@pytest.fixture(scope="module", params=["toy", "mini"])
def folder(request: pytest.FixtureRequest, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = tmp_path_factory.mktemp("models") / request.param
    shutil.copytree(toy_folder if request.param == "toy" else MINI, copied)
    open_to_diffusers(copied)
    return copied


def test_auto_tokenizer_gives_our_ids(folder: Path) -> None:
    ours, theirs = JapaneseTokenizer.load(folder / "tokenizer"), AutoTokenizer.from_pretrained(folder / "tokenizer")
    rng = random.Random(0)
    texts = [*TEXTS, *("".join(rng.choices(LETTERS, k=rng.randrange(1, 20))) for _ in range(1000))]
    length = theirs.model_max_length
    read = theirs(texts, padding="max_length", truncation=True, max_length=length).input_ids
    assert [text for text, ids in zip(texts, read, strict=True) if ours.encode(text) != ids] == []


@pytest.mark.parametrize("folder", ["mini"], indirect=True)
def test_plain_diffusers_draws_our_picture(folder: Path) -> None:
    pipeline = Pipeline.load(folder, device="cpu", dtype="float32")
    scheduler = "DDIM"
    (ours,) = pipeline.generate("富士山 油絵", seed=3, num_inference_steps=5, guidance_scale=3, scheduler=scheduler)
    plain = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    plain.set_progress_bar_config(disable=True)
    size = pipeline.unet.config.sample_size
    noise = initial_noise(noise_generators([3]), (pipeline.latent_channels, size, size))
    theirs = plain("富士山 油絵", num_inference_steps=5, guidance_scale=3.0, latents=noise).images[0]
    difference = np.abs(np.asarray(ours.image, dtype=int) - np.asarray(theirs, dtype=int))
    assert difference.max() <= 2
