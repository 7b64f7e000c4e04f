"""Latents from the disk: every picture once an epoch, as often as it repeats, the same after a resume."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models import AutoencoderKL
from safetensors.torch import load_file
from toy_folder import write_toy_folder
from toy_recipe import TOY

from jsd.errors import CheckpointError, CorpusError, Note
from jsd.models.record import folder_licence
from jsd.prompting.tokenizer import JapaneseTokenizer
from jsd.training.corpora.opening import open_corpus
from jsd.training.corpora.records import Record
from jsd.training.corpora.shards import Shards, import_pictures
from jsd.training.evaluation.own import _spaced
from jsd.training.sharding import Engine, make_files
from jsd.training.stages import run_stage
from jsd.training.starting import TrainOptions
from jsd.training.streaming import LatentsTask, StreamedLatents
from training.corpora.test_records import png

COUNT = 23


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    """23 pictures in five shards; each shows its number, and the last is repeated three times."""
    place = tmp_path_factory.mktemp("streaming") / "mine"
    items = [
        Record(f"{n}.png", png((10 * n, 0, 0)), (f"{n}",), columns={"repeats": 3} if n == COUNT - 1 else {})
        for n in range(COUNT)
    ]
    return import_pictures(items, {}, place, lambda read: None, records_a_shard=5)[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_folder(tmp_path_factory.mktemp("models") / "toy")


def stream(shards: Shards, model: Path, seed: int = 0) -> StreamedLatents:
    vae = AutoencoderKL.from_pretrained(model / "vae")
    tokenizer = JapaneseTokenizer.load(model / "tokenizer")
    return StreamedLatents(LatentsTask(shards, model, 32, "cpu"), vae, TOY.stages["stage2"], tokenizer, seed, 0.0)


def test_an_epoch_shows_each_picture_as_often_as_it_repeats(shards: Shards, model: Path) -> None:
    found = stream(shards, model)
    assert found.total == COUNT + 2
    epochs = [[found.place(epoch * found.total + n) for n in range(found.total)] for epoch in range(2)]
    for shown in epochs:
        counted = Counter(shown)
        assert len(counted) == COUNT and counted.pop((4, 2)) == 3 and set(counted.values()) == {1}
    assert epochs[0] != epochs[1] and epochs[0] != sorted(epochs[0])
    assert [found.place(n) for n in range(40)] != [stream(shards, model, seed=1).place(n) for n in range(40)]


def test_what_the_source_keeps_for_a_test_is_never_shown(model: Path, tmp_path: Path) -> None:
    splits = ["train", "test", None, "validation", "unseen"]
    items = [
        Record(f"{n}.png", png((50 * n, 0, 0)), (f"{n}",), columns={} if split is None else {"split": split})
        for n, split in enumerate(splits)
    ]
    shards = import_pictures(items, {}, tmp_path / "mine", lambda read: None)[0]
    with pytest.warns(Note, match="3 of 5 pictures are not trained on"):
        found = stream(shards, model)
    assert {found.place(n) for n in range(10)} == {(0, 0), (0, 2)}
    assert [record.key for record in _spaced(shards)] == ["1.png", "3.png", "4.png"], "what is evaluated"
    kept = import_pictures(items[3:], {}, tmp_path / "kept", lambda read: None)[0]
    with pytest.raises(CorpusError, match="keeps all 2 for a test"):
        stream(kept, model)


@pytest.mark.parametrize("repeats", ["10", 10, 10.5, "twice", -5, float("nan"), [3], None, 10**400])
def test_a_column_of_repeats_may_hold_anything(repeats: object) -> None:
    right = {"10": 10, "10.5": 10.5, f"{10**400}": 1}
    assert Record("a.png", b"", ("猫",), columns={"repeats": repeats}).repeats == right.get(str(repeats), 1)


def test_a_batch_is_of_its_step_alone_and_pairs_each_picture_with_its_caption(shards: Shards, model: Path) -> None:
    ahead, again = stream(shards, model), stream(shards, model)
    for step in range(9):
        ahead.batch(step)
    latents, input_ids, concepts = ahead.batch(9)
    for one, other in zip(again.batch(9), (latents, input_ids, concepts), strict=True):
        assert torch.equal(one, other)
    vae = AutoencoderKL.from_pretrained(model / "vae")
    for n, one in enumerate(latents):
        shard, row = ahead.place(9 * len(latents) + n)
        number = 5 * shard + row
        assert input_ids[n].tolist() == ahead.tokenizer.encode(str(number))
        picture = torch.tensor([10 * number, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 32, 32) / 127.5 - 1
        with torch.no_grad():
            mean = vae.encode(picture).latent_dist.mean[0]
            assert torch.allclose(one, mean * vae.config.scaling_factor, atol=0.01)


def test_latents_are_half_precision_and_made_once(shards: Shards, model: Path) -> None:
    paths = stream(shards, model).paths
    assert {np.load(path).dtype for path in paths} == {np.dtype(np.float16)}
    times = [path.stat().st_mtime_ns for path in paths]
    paths[2].unlink()
    stream(shards, model)
    again = [path.stat().st_mtime_ns for path in paths]
    assert [n for n in range(5) if times[n] != again[n]] == [2], "only what is missing is made"


def test_a_shard_that_is_damaged_is_named_and_the_others_are_made(shards: Shards, model: Path, tmp_path: Path) -> None:
    damaged = Shards(tmp_path / "copy", shards.counts)
    shutil.copytree(shards.folder, damaged.folder)
    damaged.path(1).write_bytes(b"PAR1")
    paths = [tmp_path / f"{n}.npy" for n in range(5)]
    failures = make_files(LatentsTask(damaged, model, 32, "cpu"), paths, Engine(), lambda made: None)
    assert list(failures) == [1] and "00001.parquet" in failures[1]
    assert [path.is_file() for path in paths] == [True, False, True, True, True]


def test_a_folder_as_it_is_trains_a_stage_and_a_run_that_broke_off_ends_at_the_same_weights(
    shards: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, model = tmp_path / "photos", write_toy_folder(tmp_path / "toy")
    place.mkdir()
    for record in (record for index in range(5) for record in shards.records(index)):
        assert isinstance(record.image, bytes)
        (place / record.key).write_bytes(record.image)
        (place / record.key).with_suffix(".txt").write_text(record.captions[0])
    recipe = replace(TOY, stages={"stage2": replace(TOY.stages["stage2"], max_train_steps=3)})
    options = TrainOptions(place, tmp_path / "whole", start_from=model, checkpointing_steps=2, mixed_precision="no")
    ends = [run_stage(recipe, "stage2", options)]
    options, batch = replace(options, output=tmp_path / "halves"), StreamedLatents.batch

    def dying(self: StreamedLatents, step: int) -> object:
        if step == 2:
            raise KeyboardInterrupt
        return batch(self, step)

    monkeypatch.setattr(StreamedLatents, "batch", dying)
    with pytest.raises(KeyboardInterrupt):
        run_stage(recipe, "stage2", options)
    monkeypatch.setattr(StreamedLatents, "batch", batch)
    ends.append(run_stage(recipe, "stage2", options))
    one, other = (load_file(folder / "unet" / "diffusion_pytorch_model.safetensors") for folder in ends)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert folder_licence(ends[0]) == folder_licence(model) != {}
    assert (tmp_path / "halves" / "pictures" / "corpus.json").is_file()


def test_what_is_left_out_of_a_folder_as_it_is_is_told(tmp_path: Path) -> None:
    place = tmp_path / "photos"
    place.mkdir()
    for name in ("a", "b"):
        (place / f"{name}.png").write_bytes(png((255, 0, 0)) if name == "a" else b"no picture")
        (place / f"{name}.txt").write_text("猫", "utf-8")
    with pytest.warns(Note, match="1 of 2 pictures are left out: b.png"):
        assert isinstance(open_corpus(place, tmp_path / "out"), Shards)


@pytest.mark.parametrize(("stage", "remedy"), [("vae", "stage2"), ("joint", "stage2")])
def test_stages_of_the_embedded_corpus_are_refused(shards: Shards, tmp_path: Path, stage: str, remedy: str) -> None:
    with pytest.raises(CheckpointError, match=remedy):
        run_stage(TOY, stage, TrainOptions(shards.folder, tmp_path / "out"))
