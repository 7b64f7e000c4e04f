"""A prompt of one thing in no style is drawn in a design that its seed chooses: the embedded model's."""

import pytest
import torch
from PIL import Image

from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline
from jsd.prompting.designs import in_design, without_designs
from jsd.prompting.prompts import PromptReading, read_prompts
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.corpora.words import read_look_words
from jsd.training.recipes import DESIGNS_DRAWN
from runs.blocks import ROOT

FOLDER = ROOT / "weights" / "mini"
FLAT = DESIGNS_DRAWN.index("フラット")  # a seed that draws flat


@pytest.fixture(scope="module")
def tokenizer() -> JapaneseTokenizer:
    return JapaneseTokenizer.load(FOLDER / "tokenizer")


def read(tokenizer: JapaneseTokenizer, seed: int, **options: object) -> PromptReading:
    """`seed` 0 chooses no words."""
    request = SamplingOptions(**options)  # type: ignore[arg-type]
    return in_design(tokenizer, read_prompts(tokenizer, request), request, seed).prompt


@pytest.mark.parametrize(
    "prompt",
    [
        *("猫", "かわいいハムスターの絵", "キラキラ", "(猫:1.2)", "赤ちゃん", "白鳥", "にこにこしている犬"),
        *("猫をかわいく描いて", "緑茶", "森の鹿", "荷物を運ぶトラック", "面白い猫", "一番かわいい犬", "走る犬"),
    ],
)
def test_seeds_take_turns(tokenizer: JapaneseTokenizer, prompt: str) -> None:
    drawn = [read(tokenizer, seed, prompt=prompt).design for seed in range(2 * len(DESIGNS_DRAWN))]
    assert drawn == [*DESIGNS_DRAWN, *DESIGNS_DRAWN]


def test_a_design_is_read_behind_the_prompt_and_shown_nowhere_else(tokenizer: JapaneseTokenizer) -> None:
    flat, typed = read(tokenizer, FLAT, prompt="(猫:1.2)"), read(tokenizer, 0, prompt="(猫:1.2) フラット")
    assert flat.padded(1)[0].input_ids == typed.padded(1)[0].input_ids and flat.padded(1)[0].weights[0] == 1.2
    bare = read(tokenizer, 0, prompt="(猫:1.2)")
    assert bare.to_json() == flat.to_json() and bare.padded(1) != flat.padded(1)


@pytest.mark.parametrize(
    "options",
    [
        {"prompt": "猫の油絵"},
        {"prompt": "浮世絵風の猫"},
        {"prompt": "猫の写真"},
        {"prompt": "ネコ　３Ｄ"},
        {"prompt": "赤い猫"},
        {"prompt": "虹色の猫"},
        {"prompt": "猫三匹"},
        {"prompt": "猫９匹"},
        {"prompt": "猫と猫"},
        {"prompt": "絵本風の猫"},
        {"prompt": "ディズニー風の猫"},
        {"prompt": "犬 猫"},
        {"prompt": "ねこの上の帽子"},
        {"prompt": "りんごを食べるうさぎ"},
        {"prompt": "犬と猫"},
        {"prompt": "それは何"},
        {"prompt": ""},
        {"prompt": "猫\nネガティブ: フラット"},
        {"prompt": "猫", "negative_prompt": "絵文字"},
        {"prompt": "猫", "style": "油絵"},
        {"prompt": "猫", "image": Image.new("RGB", (128, 128))},
        {"prompt": "猫", "loras": ("own.safetensors",)},
        {"prompt": "猫" + "、とてもとてもかわいらしく大きくて元気でやさしい" * 2},
    ],
    ids=lambda options: "-".join(map(str, options.values()))[:30],
)
def test_what_says_more_than_a_thing_has_no_design(tokenizer: JapaneseTokenizer, options: dict[str, object]) -> None:
    assert read(tokenizer, FLAT, **options).design == ""


def test_a_prompt_that_fills_the_window_has_no_design(tokenizer: JapaneseTokenizer) -> None:
    full = next(
        reading
        for reading in (read(tokenizer, 0, prompt="猫" + "ね" * count) for count in range(40))
        if reading.num_tokens == reading.num_tokens_available
    )
    assert len(full.windows) == 1 and full.things == ("猫",)
    assert read(tokenizer, FLAT, prompt=full.text) == full


def test_models_without_a_list_have_no_designs(tokenizer: JapaneseTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    with without_designs(tokenizer):
        assert read(tokenizer, FLAT, prompt="猫").design == ""
    assert read(tokenizer, FLAT, prompt="猫").design == "フラット"
    monkeypatch.setattr(tokenizer, "known", None)
    assert read(tokenizer, FLAT, prompt="猫").design == ""


def test_the_folder_has_the_designs_and_the_words_of_the_recipe(tokenizer: JapaneseTokenizer) -> None:
    known = tokenizer.known
    assert known is not None and known.designs == DESIGNS_DRAWN and known.words_without_design == read_look_words()
    assert {"赤", "油絵", "浮世絵", "ふたつ"} < set(known.words_without_design)


def test_a_picture_says_its_design_and_is_the_one_that_its_seed_draws_alone() -> None:
    pipeline = Pipeline.load(FOLDER)
    request = SamplingOptions(prompt="猫", seed=0, num_outputs=4, num_inference_steps=1, upscale=1)
    together = pipeline.prepare(request)
    alone = pipeline.prepare(SamplingOptions(prompt="猫", seed=FLAT, num_inference_steps=1))
    assert torch.equal(together.conditioning.prompt_embeds[FLAT], alone.conditioning.prompt_embeds[0])
    assert not torch.equal(together.conditioning.prompt_embeds[0], alone.conditioning.prompt_embeds[0])
    designs = [picture.metadata.get("design", "") for picture in pipeline.generate(request)]
    assert designs == list(DESIGNS_DRAWN)
