"""Own pictures: what a LoRA file learns beside a model that stays as it is, and who can open it."""

import json
import random
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from jsd import Pipeline
from jsd.errors import CheckpointError, CorpusError, InvalidInputError, Note
from jsd.models.lora import VERSION, read_lora
from jsd.models.record import folder_digest
from jsd.options import SamplingOptions
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.adapters import add_adapters, switched_off, trigger_of, write_lora
from jsd.training.corpora.describing import write_sheet
from jsd.training.corpora.records import Record
from jsd.training.corpora.shards import import_pictures
from jsd.training.evaluation.subject import evaluate_lora
from jsd.training.lora import LoraRun, called, own_pictures, prior_prompts, read_caption, run_lora, said_caption
from jsd.training.recipes import LORA, LORA_FULL, PRIOR_PROMPTS, Recipe
from jsd.training.starting import TrainOptions
from jsd.training.streaming import warn_cut
from runs.subject import write
from tests.toy_sdxl import write_toy_sdxl_folder
from training.corpora.test_records import png

TRIGGER = "モコ"
ADAPTER = replace(LORA.stages["lora"].adapter, rank=2, num_prior_pictures=4, prior_batch_size=2)  # type: ignore[type-var]
STAGE = replace(LORA.stages["lora"], adapter=ADAPTER, train_batch_size=2, max_train_steps=3, lr_warmup_steps=1)
TOY = replace(LORA, stages={"lora": STAGE})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write(folder, 3)
    (folder / "01.txt").unlink()
    return folder


@pytest.fixture(scope="module")
def options(corpus: Path, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainOptions:
    output = tmp_path_factory.mktemp("lora") / "my-cat"
    return TrainOptions(corpus, output, base=toy_folder, mixed_precision="no", checkpointing_steps=3, trigger=TRIGGER)


@pytest.fixture(scope="module")
def trained(options: TrainOptions) -> Path:
    return run_lora(TOY, STAGE, options)


def networks(folder: Path) -> dict[str, Any]:
    pipeline = Pipeline.load(folder, "cpu", "float32")
    return {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}


@torch.inference_mode()
def outputs(unet: Any, text_encoder: Any) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    sample, text = (torch.randn(shape, generator=generator) for shape in ((1, 4, 8, 8), (1, 16, 32)))
    drawn = unet(sample, 500, encoder_hidden_states=text).sample
    return drawn, text_encoder(torch.arange(16)[None]).last_hidden_state


def with_ours(path: Path, folder: Path) -> tuple[Tensor, Tensor]:
    pipeline = Pipeline.load(folder, "cpu", "float32")
    pipeline.adapters.apply([str(path)])
    return outputs(pipeline.unet, pipeline.text_encoder)


def with_peft_names(path: Path, folder: Path) -> tuple[Tensor, Tensor]:
    updates = read_lora(path, networks(folder)).updates
    named = {
        f"{network}.{module}.lora_{part}.weight": tensor.clone()
        for (network, module), (a, b, _) in updates.items()
        for part, tensor in (("A", a), ("B", b))
    }
    save_file(named, path.with_name("peft.safetensors"))
    return with_ours(path.with_name("peft.safetensors"), folder)


def with_diffusers(path: Path, folder: Path) -> tuple[Tensor, Tensor]:
    from diffusers.loaders import StableDiffusionLoraLoaderMixin as Loader

    parts = networks(folder)
    tensors, alphas = Loader.lora_state_dict(path, unet_config=parts["unet"].config)
    Loader.load_lora_into_unet(tensors, network_alphas=alphas, unet=parts["unet"])
    Loader.load_lora_into_text_encoder(tensors, network_alphas=alphas, text_encoder=parts["text_encoder"])
    return outputs(**parts)


@pytest.mark.parametrize("recipe", [LORA, LORA_FULL], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("reader", [with_ours, with_peft_names, with_diffusers])
def test_a_file_gives_every_reader_what_was_trained(
    reader: Any, recipe: Recipe, toy_folder: Path, tmp_path: Path
) -> None:
    parts = networks(toy_folder)
    before = outputs(**parts)
    torch.manual_seed(0)
    layers = add_adapters(parts, recipe.stages["lora"].adapter)  # type: ignore[arg-type]
    assert all(torch.equal(a, b) for a, b in zip(outputs(**parts), before, strict=True)), "without effect at first"
    for layer in layers.values():
        torch.nn.init.normal_(layer.weight, std=0.1)  # type: ignore[arg-type]
    write_lora(tmp_path / "own.safetensors", layers, {VERSION: "0.1.0"})
    for found, expected, bare in zip(
        reader(tmp_path / "own.safetensors", toy_folder), outputs(**parts), before, strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-2, atol=2e-3)  # the file is in float16
        assert (expected - bare).abs().max() > 0.05
    with switched_off(parts):
        assert all(torch.equal(a, b) for a, b in zip(outputs(**parts), before, strict=True))


def test_a_file_says_what_it_was_trained_on_and_how_it_is_called(trained: Path, toy_folder: Path) -> None:
    with safe_open(trained, framework="pt") as file:
        said = file.metadata()
    assert said["base_model_sha256"] == folder_digest(toy_folder)
    assert said["modelspec.trigger_phrase"] == trigger_of(f"{trained}:0.5") == TRIGGER
    assert json.loads(said["ss_tag_frequency"])["my-cat"][TRIGGER] == 1, "the picture without a caption"
    assert said["base_licence"] == said["modelspec.license"], "the toy has rinna's class, and so its licence"


def test_it_is_drawn_with_and_leaves_samples_and_a_log(trained: Path, toy_folder: Path) -> None:
    pipeline = Pipeline.load(toy_folder, "cpu", "float32")
    drawn = [
        pipeline.generate("猫", seed=0, num_inference_steps=2, loras=loras)[0].image.tobytes()
        for loras in ((), (f"{trained}:0.7",), ())
    ]
    assert drawn[0] == drawn[2] != drawn[1]
    assert [path.name for path in trained.parent.glob("samples/*")] == ["000003.png"]
    assert len(list(trained.parent.glob("tensorboard/*"))) == 1
    assert set(json.loads((trained.parent / "log.jsonl").read_text().splitlines()[-1])) >= {"loss", "prior", "mse"}


@pytest.mark.parametrize("step", [0, 1, 3])
def test_killed_anywhere_the_same_command_ends_at_the_same_file(
    step: int, trained: Path, options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = replace(options, output=tmp_path / "my-cat", checkpointing_steps=1)

    def interrupt(self: LoraRun, at: object = None) -> None:
        if step == 0 or (isinstance(at, Path) and at.stem == f"{step:06}"):
            raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(LoraRun, "loss" if step == 0 else "sample", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_lora(TOY, STAGE, again)
    monkeypatch.setattr(LoraRun, "_draw_prior", lambda self: pytest.fail("the prior pictures are drawn once"))
    monkeypatch.setattr(LoraRun, "sample", lambda self, path: None)
    ended, expected = load_file(run_lora(TOY, STAGE, again)), load_file(trained)
    assert ended.keys() == expected.keys() and all(torch.equal(ended[name], expected[name]) for name in ended)
    with pytest.raises(CheckpointError, match="trigger"):
        run_lora(TOY, STAGE, replace(again, trigger="ほか"))


def test_other_prompts_are_held_where_they_were(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoraRun, "sample", lambda self, path: None)
    moved = []
    for weight in (0.0, 100.0):
        stage = replace(
            STAGE, adapter=replace(ADAPTER, prior_loss_weight=weight), max_train_steps=12, learning_rate=1e-2
        )
        output = tmp_path / str(weight)
        run_lora(TOY, stage, replace(options, output=output, checkpointing_steps=12))
        moved.append(json.loads((output / "log.jsonl").read_text().splitlines()[-1])["prior"])
    assert moved[1] < moved[0] / 2


def test_captions_have_the_trigger_words_and_what_the_picture_is_called() -> None:
    record = Record("a.png", b"", ("座っている", "モコの顔"), (3.0, 1.0))
    said = [said_caption(record, ADAPTER, TRIGGER, random.Random(n)) for n in range(200)]
    assert set(said) == {"モコ、座っている", "モコの顔", "モコ", "モコの絵"}
    assert said.count("モコ、座っている") > said.count("モコの顔")
    assert said_caption(record, ADAPTER, "", random.Random(0)) in record.captions
    assert [called(text, TRIGGER) for text in record.captions] == ["モコ、座っている", "モコの顔"]


def test_trigger_words_that_would_fall_off_a_long_caption_stand_before_it(toy_folder: Path) -> None:
    tokenizer = JapaneseTokenizer.load(toy_folder / "tokenizer")
    long = "座っている" * tokenizer.model_max_length
    assert read_caption("モコの顔", TRIGGER, tokenizer) == "モコの顔"
    assert read_caption(f"モコ、{long}", TRIGGER, tokenizer) == f"モコ、{long}"
    assert read_caption(f"{long}モコ", TRIGGER, tokenizer) == f"モコ、{long}モコ"
    assert read_caption(long, "", tokenizer) == long
    with pytest.warns(Note, match=f"1 of 2 captions are longer than the {tokenizer.model_max_length} tokens"):
        warn_cut(["モコの顔", long], tokenizer)


def test_prior_prompts_are_the_class_and_what_the_model_knows(toy_folder: Path, tmp_path: Path) -> None:
    adapter = replace(ADAPTER, num_prior_pictures=16)
    prompts = prior_prompts(toy_folder, adapter, "ねこ")
    assert prompts[:4] == ["ねこ"] * 4 and len(prompts) == 16 and set(prompts[4:]) < set(PRIOR_PROMPTS)
    known = {"styles": [], "concepts": [{"name": f"物{n}", "emoji": "🐱", "spellings": []} for n in range(32)]}
    (tmp_path / "concepts.json").write_text(json.dumps(known), "utf-8")
    assert prior_prompts(tmp_path, adapter, "") == [f"物{n}" for n in range(0, 32, 2)]


def test_an_sdxl_base_is_refused(options: TrainOptions, tmp_path: Path) -> None:
    base = write_toy_sdxl_folder(tmp_path / "sdxl")
    with pytest.raises(CheckpointError, match="SDXL"):
        run_lora(TOY, STAGE, replace(options, output=tmp_path / "out", base=base))


def test_what_is_trained_is_not_written_among_the_pictures_that_it_learns(options: TrainOptions) -> None:
    with pytest.raises(InvalidInputError, match="output must lie apart"):
        run_lora(TOY, STAGE, replace(options, output=options.corpus / "out"))


def test_the_distance_between_one_picture_and_no_other_is_none(
    trained: Path, toy_folder: Path, corpus: Path, tmp_path: Path
) -> None:
    pipeline, own = Pipeline.load(toy_folder, "cpu", "float32"), own_pictures(corpus, TRIGGER)[:1]
    asked = {"seeds": 1, "options": SamplingOptions(prompt="", num_inference_steps=1), "output": tmp_path}
    report: Any = evaluate_lora(pipeline, str(trained), own, [TRIGGER], ["富士山", "猫"], **asked)  # type: ignore[arg-type]
    assert report["subject"]["its_pictures"] is None
    assert "Infinity" not in (tmp_path / "report.json").read_text("utf-8")


def test_of_a_large_photograph_no_more_is_kept_than_models_draw(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 3000), "red").save(tmp_path / "a.png")
    (kept,) = own_pictures(tmp_path, TRIGGER)
    assert kept.image.size == (2730, 2048) and kept.record.image == b""
    assert (kept.record.columns["width"], kept.record.columns["height"]) == (4000, 3000)


def test_of_a_long_strip_the_middle_stays_as_large_as_it_is(tmp_path: Path) -> None:
    Image.new("RGB", (300, 4000), "red").save(tmp_path / "a.png")
    (kept,) = own_pictures(tmp_path, TRIGGER)
    assert kept.image.size == (300, 4000)


def test_what_the_source_keeps_for_a_test_is_not_learnt(tmp_path: Path) -> None:
    rows = []
    for name in ("train/a.png", "test/b.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (80, 80)).save(tmp_path / name)
        rows.append(json.dumps({"file_name": name, "text": "モコ"}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows), "utf-8")
    with pytest.warns(Note, match=r"1 of 2 pictures are left out: test/b\.png \(kept for a test\)"):
        (kept,) = own_pictures(tmp_path, TRIGGER)
    assert kept.record.key == "train/a.png"


def test_pictures_without_captions_need_trigger_words(corpus: Path) -> None:
    assert [one.record.captions for one in own_pictures(corpus, TRIGGER)][1] == (TRIGGER,)
    with pytest.warns(Note, match=r"1 of 3 pictures are left out: 01\.png \(no caption\)"):
        assert len(own_pictures(corpus, "")) == 2
    for caption in corpus.glob("*.txt"):
        caption.rename(caption.with_suffix(".kept"))
    try:
        with pytest.raises(CorpusError, match="--trigger"):
            own_pictures(corpus, "")
    finally:
        for caption in corpus.glob("*.kept"):
            caption.rename(caption.with_suffix(".txt"))


def test_the_report_tells_learnt_from_left_alone(
    trained: Path, toy_folder: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline that draws the subject's own picture for its name, with the file, and what it drew for the rest."""
    pipeline = Pipeline.load(toy_folder, "cpu", "float32")
    own = own_pictures(corpus, TRIGGER)
    generate = pipeline.generate

    def draw(request: Any, **values: Any) -> Any:
        drawn = generate(replace(request, loras=()), **values)
        if request.loras and (request.prompt == TRIGGER or bleeds):
            drawn = [replace(one, image=own[0].image.resize(one.image.size)) for one in drawn]
        return drawn

    monkeypatch.setattr(pipeline, "generate", draw)
    reports = []
    for bleeds in (False, True):
        options = SamplingOptions(prompt="", num_inference_steps=1, guidance_scale=1.0)
        report: Any = evaluate_lora(
            pipeline,
            str(trained),
            own,
            [TRIGGER],
            ["富士山", "猫"],
            seeds=2,
            options=options,
            output=tmp_path / str(bleeds),
        )
        assert report["subject"]["with"] < 0.2 * report["subject"]["without"]
        assert np.array(json.loads((tmp_path / str(bleeds) / "report.json").read_text("utf-8"))) == report
        reports.append(report["others"])
    assert reports[0]["moved"] < 1e-3 and reports[0]["to_subject_with"] == reports[0]["to_subject_without"]
    assert reports[1]["moved"] > 0.5 and reports[1]["to_subject_with"] < 0.2 * reports[1]["to_subject_without"]


def test_of_an_imported_corpus_its_records_are_learnt_and_not_what_lies_around_them(tmp_path: Path) -> None:
    items = [Record(f"{number}.png", png(), ("モコ",)) for number in range(2)]
    shards, _noted = import_pictures(items, {}, tmp_path / "mine", lambda read: None)
    write_sheet(shards, tmp_path / "mine" / "sheet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [one.record.key for one in own_pictures(tmp_path / "mine", TRIGGER)] == ["0.png", "1.png"]
    (tmp_path / "mine" / "corpus.json").write_text('{"description": {}}')
    with pytest.raises(CorpusError, match="jsd data import"):
        own_pictures(tmp_path / "mine", TRIGGER)
