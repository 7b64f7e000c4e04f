"""What plain transformers and diffusers make of our folders: the same ids, the same picture."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline, StableDiffusionPipeline
from toy_checker import write_toy_checker
from toy_folder import train_vocabulary
from transformers import AutoTokenizer

from jsd import Pipeline
from jsd.errors import ModelFolderError
from jsd.models.convert import convert_folder
from jsd.models.record import folder_licence
from jsd.models.tokenizer_json import write_tokenizer_json
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.sampling import initial_noise, noise_generators
from tests.prompting.vocabularies import LONG, WORDS, made_here
from tests.toy_sdxl import write_toy_sdxl_folder

MINI = Path(__file__).parents[2] / "weights" / "mini"
TEXTS = [
    *("", " ", "サラリーマン 油絵", "ＡＢＣ abc Abc", "か\u3099", "ﾊﾝｶｸ ｶﾅ", "</s> [PAD] <unk>", "℡ Ⅲ", "ΑΣ"),
    *("  a   b ", "\n改行\t", "猫の🐱", "苺と檸檬", "İ", "㍿", "長い" * 40),
]
LETTERS = [*map(chr, (*range(0x3041, 0x3100), *range(0x4E00, 0x5800), *range(0x20, 0x7F), *range(0xFF01, 0xFF5F)))]


# Of the toys' scheduler: see below.
pytestmark = pytest.mark.filterwarnings("ignore:The configuration file of this scheduler:FutureWarning")


@pytest.fixture(scope="module", params=["toy", "sdxl", "mini"])
def folder(request: pytest.FixtureRequest, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `jsd weights convert` writes one; the embedded model's is as it is."""
    if request.param == "mini":
        return MINI
    made = tmp_path_factory.mktemp("models")
    source = made / "source"
    if request.param == "toy":
        save_as_transformers_4(shutil.copytree(toy_folder, source) / "tokenizer")
    else:
        write_toy_sdxl_folder(source)
    convert_folder(source, made / request.param, "float32")
    return made / request.param


def save_as_transformers_4(tokenizer: Path) -> None:
    """What its T5Tokenizer wrote beside the vocabulary, and into the config."""
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "[PAD]", "cls_token": "[CLS]"}
    more = {"additional_special_tokens": ["[SEP]"]}
    (tokenizer / "special_tokens_map.json").write_text(json.dumps(names | more), "utf-8")
    (tokenizer / "added_tokens.json").write_text(json.dumps({"[MASK]": 6}), "utf-8")
    path = tokenizer / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8")) | names | more
    config["added_tokens_decoder"] = {"3": {"content": "[PAD]", "special": True}}
    path.write_text(json.dumps(config), "utf-8")


def read_otherwise(folder: Path, texts: list[str]) -> list[str]:
    """Those that transformers gives other ids than ours."""
    ours, theirs = JapaneseTokenizer.load(folder), AutoTokenizer.from_pretrained(folder)
    length = theirs.model_max_length
    read = theirs(texts, padding="max_length", truncation=True, max_length=length).input_ids
    return [text for text, ids in zip(texts, read, strict=True) if ours.encode(text) != ids]


def random_texts(letters: list[str]) -> list[str]:
    rng = random.Random(0)
    return ["".join(rng.choices(letters, k=rng.randrange(1, 20))) for _ in range(1000)]


def test_auto_tokenizer_gives_our_ids(folder: Path) -> None:
    assert read_otherwise(folder / "tokenizer", [*TEXTS, *random_texts(LETTERS)]) == []


def test_of_a_vocabulary_of_pairs_too(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(made_here()._processor.serialized_model_proto())
    write_tokenizer_json(tmp_path)
    parts = [LONG[start : start + size] for size in (2, 3, 5, 8) for start in range(len(LONG))]
    letters = [*WORDS.split(), *LONG, *LETTERS[:300], *"  aaaーー"]
    assert read_otherwise(tmp_path, [*TEXTS, LONG, WORDS, *parts, *random_texts(letters)]) == []


@pytest.mark.parametrize(
    "training", [{"model_type": "word"}, {"model_type": "bpe", "user_defined_symbols": ["油絵"]}], ids=["word", "bpe"]
)
def test_a_vocabulary_that_transformers_would_read_otherwise_is_refused(
    training: dict[str, object], tmp_path: Path
) -> None:
    train_vocabulary(tmp_path, vocab_size=100, **training)
    with pytest.raises(ModelFolderError) as caught:
        write_tokenizer_json(tmp_path)
    assert caught.value.code == "tokenizer.kind" and not (tmp_path / "tokenizer.json").exists()


def test_plain_diffusers_draws_our_picture(folder: Path) -> None:
    pipeline = Pipeline.load(folder, device="cpu", dtype="float32")
    request: dict[str, Any] = {"num_inference_steps": 5, "guidance_scale": 3.0}
    (ours,) = pipeline.generate("富士山 油絵", seed=3, scheduler="DDIM", upscale=1, **request)
    plain = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    assert "XL" in type(plain).__name__ or isinstance(plain, StableDiffusionPipeline)
    of_ours = {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}  # the toys' configs name others
    plain.scheduler = DDIMScheduler.from_config(plain.scheduler.config, **of_ours)
    plain.set_progress_bar_config(disable=True)
    size = pipeline.unet.config.sample_size
    noise = initial_noise(noise_generators([3]), (pipeline.latent_channels, size, size))
    theirs = plain("富士山 油絵", latents=noise, **request).images[0]
    difference = np.abs(np.asarray(ours.image, dtype=int) - np.asarray(theirs, dtype=int))
    assert difference.max() <= 2


def test_the_licence_of_a_class_that_diffusers_lacks_is_kept_and_the_checker_is_opened_too(
    toy_folder: Path, tmp_path: Path
) -> None:
    source = write_toy_checker(shutil.copytree(toy_folder, tmp_path / "source"))
    convert_folder(source, tmp_path / "new", "float32")
    assert folder_licence(tmp_path / "new") == folder_licence(source) != {}
    plain = DiffusionPipeline.from_pretrained(tmp_path / "new", local_files_only=True)
    assert plain.safety_checker is not None and plain.feature_extractor is not None


def test_a_length_that_nobody_set_is_written_as_it_is_read(toy_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(toy_folder / "tokenizer", tmp_path / "tokenizer")
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": int(1e30)}), "utf-8")
    write_tokenizer_json(folder)
    theirs = AutoTokenizer.from_pretrained(folder)
    length = theirs.model_max_length
    assert length == JapaneseTokenizer.load(folder).model_max_length
    assert len(theirs("猫", padding="max_length", truncation=True, max_length=length).input_ids) == length
