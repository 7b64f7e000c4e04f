"""The embedded model as it is committed: whole, small, and the one that the README's pictures are of."""

import json
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from jsd import Pipeline, SamplingOptions
from jsd.images.metadata import read_picture_file
from jsd.models.folder import verify_folder
from jsd.prompting.prompts import read_prompt
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.corpora.concepts import read_list
from runs import strip
from runs.blocks import ROOT
from runs.export_mini import MAX_BYTES

FOLDER = ROOT / "weights" / "mini"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline.load(FOLDER, device="cpu")


def test_it_is_whole() -> None:
    assert verify_folder(FOLDER) == []


def test_it_has_at_most_40_mb_without_the_upscaler() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file() and path.parent.name != "upscaler"]
    assert sum(path.stat().st_size for path in files) <= MAX_BYTES


def test_its_salaryman_in_oil_has_a_suit_on_a_dark_ground(pipeline: Pipeline) -> None:
    """An unseen pair, at the defaults: what another prompt's picture would not have."""
    (picture,) = pipeline.generate(SamplingOptions(prompt="サラリーマン 油絵", seed=0, upscale=1))
    pixels = np.asarray(picture.image, dtype=np.float32)  # (128, 128, 3)
    red, green, blue = pixels[100:, 40:88].mean(axis=(0, 1))
    assert blue > red, f"the suit is blue: {red:.0f} {green:.0f} {blue:.0f}"
    red, green, blue = pixels[20:50, 50:80].mean(axis=(0, 1))
    assert red > 1.5 * blue, f"the face is yellow: {red:.0f} {green:.0f} {blue:.0f}"
    corners = pixels[:24, :24].mean(), pixels[:24, -24:].mean()
    assert max(corners) < 130, "the ground of an oil painting is umber, that of other styles white or pale"


def test_the_readmes_strip_is_of_these_weights(pipeline: Pipeline) -> None:
    with Image.open(ROOT / "docs" / "strip.png") as image:
        drawn = json.loads(image.text["jsd"])["pictures"]
    assert {picture["model_sha256"] for picture in drawn} == {pipeline.provenance["model_sha256"]}
    assert [(one["prompt"], one["seed"]) for one in drawn] == [(prompt, strip.SEED) for prompt in strip.PROMPTS]


def test_the_contact_sheet_is_of_these_weights_and_all_prompts(pipeline: Pipeline) -> None:
    said = read_picture_file(strip.SHEET).values
    assert said["model_sha256"] == pipeline.provenance["model_sha256"]
    assert (said["prompts"], said["seed"]) == (strip.natural_prompts(), strip.SEED) and len(said["prompts"]) == 80
    assert strip.SHEET.stat().st_size < 400_000


@pytest.fixture(scope="module")
def tokenizer() -> JapaneseTokenizer:
    return JapaneseTokenizer.load(FOLDER / "tokenizer")


def test_every_kanji_for_everyday_use_is_read(tokenizer: JapaneseTokenizer) -> None:
    joyo = "".join(read_list("joyo"))
    assert len(joyo) == 2136 + 4 and not tokenizer.describe(joyo).unread


@pytest.mark.parametrize(("name", "low", "high"), [("unknown", 90, 100), ("known", 0, 9)])
def test_it_warns_of_what_it_does_not_know_and_of_nothing_else(
    tokenizer: JapaneseTokenizer, name: str, low: int, high: int
) -> None:
    """Of 100 prompts of unknown things, and of 200 of known ones; none was in the captions."""
    lines = (files("jsd.training.evaluation") / "sets" / f"{name}.txt").read_text("utf-8").splitlines()
    prompts = [line.partition(": ")[2].partition(" = ")[0] for line in lines if not line.startswith("#")]
    warned = [prompt for prompt in prompts if read_prompt(tokenizer, prompt).near is not None]
    assert low <= len(warned) <= high, warned
