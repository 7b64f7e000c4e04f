"""Model folders with one thing changed each: what is called whole loads, and what is not is named and does not load."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from jsd.errors import ModelFolderError
from jsd.models.folder import open_model_folder, verify_folder
from jsd.pipeline import Pipeline
from tests.toy_sdxl import write_toy_sdxl_folder

UNET, VAE, TEXT = (
    "unet/diffusion_pytorch_model.safetensors",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
)
SCHEDULER = "scheduler/scheduler_config.json"
STEMS = {UNET: "diffusion_pytorch_model", VAE: "diffusion_pytorch_model", TEXT: "pytorch_model"}

Change = Callable[[Path], object]


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def edit(folder: Path) -> None:
        found = load_file(folder / name)
        change(found)
        save_file(found, folder / name)

    return edit


def config(name: str, **values: object) -> Change:
    """Set values of a JSON file; `...` takes one out."""

    def edit(folder: Path) -> None:
        kept = {**json.loads((folder / name).read_text("utf-8")), **values}
        (folder / name).write_text(json.dumps({key: value for key, value in kept.items() if value is not ...}), "utf-8")

    return edit


def to_pickle(name: str, variant: str = "", rename: Callable[[str], str] = lambda name: name, **more: Any) -> Change:
    """As 2022 wrote it."""

    def edit(folder: Path) -> None:
        found = {rename(key): value for key, value in load_file(folder / name).items()}
        torch.save({**found, **more}, (folder / name).with_name(f"{STEMS[name]}{variant}.bin"))
        (folder / name).unlink()

    return edit


def sharded(name: str, count: int = 3, *, index: bool = True, variant: str = "", keep: bool = False) -> Change:
    """As diffusers and transformers write what is larger than a shard."""

    def edit(folder: Path) -> None:
        path = folder / name
        found, stem = load_file(path), path.name.removesuffix(".safetensors")
        names = [f"{stem}{variant}-{number + 1:05d}-of-{count:05d}.safetensors" for number in range(count)]
        weight_map = {key: names[number % count] for number, key in enumerate(found)}
        for shard in names:
            save_file({key: value for key, value in found.items() if weight_map[key] == shard}, path.with_name(shard))
        if index:
            index_name = f"{stem}.safetensors.index{variant}.json"
            path.with_name(index_name).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        if not keep:
            path.unlink()

    return edit


def both(*changes: Change) -> Change:
    return lambda folder: [change(folder) for change in changes]


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def write(name: str, data: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(data)


def cut(name: str, size: int) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def link(name: str, target: str) -> Change:
    return both(remove(name), lambda folder: (folder / name).symlink_to(target))


def pipe(name: str) -> Change:
    return both(remove(name), lambda folder: os.mkfifo(folder / name))


def old_vae_name(name: str) -> str:
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
    return name


SHARD = "unet/diffusion_pytorch_model-00002-of-00003.safetensors"
INDEX = "unet/diffusion_pytorch_model.safetensors.index.json"
WHOLE: dict[str, Change] = {
    "as it is": lambda folder: None,
    "without model_index.json": remove("model_index.json"),
    "a text encoder of 2022": to_pickle(
        TEXT, rename="text_model.{}".format, **{"text_model.embeddings.position_ids": torch.arange(16)[None]}
    ),
    "a VAE of 2022": to_pickle(VAE, rename=old_vae_name),
    "half precision": both(
        lambda folder: (folder / UNET).rename(folder / "unet/diffusion_pytorch_model.fp16.safetensors"),
        to_pickle(VAE, ".fp16"),
    ),
    "a damaged pickle beside it": write("unet/diffusion_pytorch_model.bin", b"no pickle"),
    "shards": both(sharded(UNET), sharded(VAE, 2), sharded(TEXT, 2)),
    "shards without an index": sharded(UNET, index=False),
    "shards of half precision": sharded(UNET, variant=".fp16"),
    "shards under an index that is stale": both(sharded(UNET), write(INDEX, b'{"weight_map": {"gone": "gone.bin"}}')),
    "shards under an index that is damaged": both(sharded(UNET), write(INDEX, b"{")),
    "a stale index": both(sharded(UNET, keep=True), *(remove(SHARD.replace("2-", f"{n}-")) for n in (1, 2, 3))),
    "a stale index beside a pickle": both(to_pickle(UNET), write(INDEX, b'{"weight_map": {"a": "a.safetensors"}}')),
    "what is left of other shards": both(
        sharded(UNET, index=False), write(SHARD.replace("00003", "00009"), b"left over")
    ),
}
# change -> the codes of what is told
BROKEN: dict[str, tuple[Change, list[str]]] = {
    "no weights": (remove(UNET), ["folder.no_weights"]),
    "no config": (remove("unet/config.json"), ["folder.file_missing"]),
    "no noise schedule": (remove(SCHEDULER), ["folder.file_missing"]),
    "no vocabulary": (remove("tokenizer/spiece.model"), ["tokenizer.missing"]),
    "tensors": (
        both(
            tensors(UNET, lambda found: found.pop("conv_in.weight")),
            tensors(UNET, lambda found: found.update({"conv_out.bias": torch.zeros(5), "more.bias": torch.ones(1)})),
            tensors(VAE, lambda found: found.pop("decoder.conv_in.bias")),
        ),
        ["folder.tensor_missing", "folder.tensor_misshapen", "folder.tensor_unexpected", "folder.tensor_missing"],
    ),
    "a shard is missing": (both(sharded(UNET), remove(SHARD)), ["folder.no_shard"]),
    "a shard without index is missing": (both(sharded(UNET, index=False), remove(SHARD)), ["folder.no_shard"]),
    "all shards are missing": (
        both(sharded(UNET, 2), *(remove(SHARD.replace("2-of-00003", f"{n}-of-00002")) for n in (1, 2))),
        ["folder.no_shard"] * 2,
    ),
    "a shard is damaged": (both(sharded(UNET), cut(SHARD, 1000)), ["folder.damaged"]),
    "an index that leads out of the folder": (
        both(remove(UNET), write(INDEX, b'{"weight_map": {"conv_in.bias": "../vae/diffusion_pytorch_model.bin"}}')),
        ["folder.no_weights"],
    ),
    **{f"cut to {size}": (cut(UNET, size), ["folder.damaged"]) for size in (0, 5, 1000, -1)},
    **{
        f"a pickle cut to {size}": (
            both(to_pickle(UNET), cut("unet/diffusion_pytorch_model.bin", size)),
            ["folder.damaged"],
        )
        for size in (0, 5, 1000, -1)
    },
    **{
        f"{name} is {text!r}": (write(name, text), ["folder.not_json"])
        for name in ("model_index.json", "vae/config.json", SCHEDULER)
        for text in (b"", b"{", b"[]", b"\xff", b"[" * 200_000)
    },
    **{
        f"{name} is {kind}": (change(name), [code])
        for name, code in (
            ("unet/config.json", "folder.file_missing"),
            (SCHEDULER, "folder.file_missing"),
            ("model_index.json", "folder.file_missing"),
            (UNET, "folder.no_weights"),
            ("tokenizer/spiece.model", "tokenizer.missing"),
        )
        for kind, change in (("endless", lambda name: link(name, "/dev/zero")), ("a pipe", pipe))
    },
    **{
        f"{name}: {values}": (config(name, **values), ["folder.config"])
        for name, values in (
            (SCHEDULER, {"beta_schedule": "foo"}),
            (SCHEDULER, {"beta_start": "x"}),
            (SCHEDULER, {"prediction_type": "foo"}),
            (SCHEDULER, {"num_train_timesteps": 0}),
            (SCHEDULER, {"beta_end": ...}),
            ("vae/config.json", {"scaling_factor": "x"}),
            ("vae/config.json", {"scaling_factor": None}),
            ("vae/config.json", {"shift_factor": "x"}),
            ("unet/config.json", {"sample_size": None}),
            ("unet/config.json", {"sample_size": "16"}),
            ("unet/config.json", {"sample_size": 10**9}),
            ("unet/config.json", {"down_block_types": ["NoSuchBlock", "DownBlock2D"]}),
            ("unet/config.json", {"addition_embed_type": "text_time"}),
            ("unet/config.json", {"encoder_hid_dim_type": "image_proj"}),
            ("vae/config.json", {"latents_mean": [0.0] * 4}),
            ("unet/config.json", {"layers_per_block": 10**9}),
            ("unet/config.json", {"transformer_layers_per_block": [[1, 10**6], 1]}),
            ("vae/config.json", {"block_out_channels": [32] * 10**5}),
            ("text_encoder/config.json", {"num_hidden_layers": 10**9}),
            ("vae/config.json", {"num_encoder_blocks": [1, 3, 10**9]}),
            ("text_encoder/config.json", {"num_attention_heads": 0}),
        )
    },
    "a tokenizer of another model": (remove("tokenizer/tokenizer_config.json"), ["folder.misfit"]),
}


@pytest.fixture
def folder(toy_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(toy_folder, tmp_path / "model")


@pytest.fixture(scope="module")
def original(toy_folder: Path) -> Pipeline:
    return Pipeline.load(toy_folder, device="cpu", dtype="float32")


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_loads_with_the_weights_that_it_had(name: str, folder: Path, original: Pipeline) -> None:
    WHOLE[name](folder)
    assert [str(problem) for problem in verify_folder(folder)] == []
    loaded = Pipeline.load(folder, device="cpu", dtype="float32")
    for component in ("text_encoder", "unet", "vae"):
        found, expected = (getattr(one, component).state_dict() for one in (loaded, original))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in expected), component


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named_in_one_line_and_does_not_load(name: str, folder: Path) -> None:
    change, codes = BROKEN[name]
    change(folder)
    problems = verify_folder(folder)
    assert [problem.code for problem in problems] == codes
    assert not any("\n" in str(problem) for problem in problems)
    with pytest.raises(ModelFolderError, match=f"{len(codes)} problem"):
        Pipeline.load(folder)


def test_problems_name_the_file_and_what_is_wrong_in_it(folder: Path) -> None:
    both(sharded(UNET), remove(SHARD), config(SCHEDULER, beta_end=...), tensors(VAE, dict.popitem))(folder)
    noise, shard, tensor = map(str, verify_folder(folder))
    assert SCHEDULER in noise and "beta_end" in noise
    assert SHARD in shard
    assert str(folder / "vae") in tensor


def test_a_pickle_that_would_run_code_is_not_run(folder: Path, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "owned",)

    to_pickle(UNET, **{"conv_in.weight": Payload()})(folder)
    assert [problem.code for problem in verify_folder(folder)] == ["folder.unsafe"]
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Payload(), protocol=2))
    assert verify_folder(folder) != []
    assert not (tmp_path / "owned").exists(), "the pickle's payload was run"


def test_parts_of_another_model_are_told(folder: Path, make_toy_folder: Callable[..., Path]) -> None:
    shutil.rmtree(folder / "vae")
    shutil.copytree(make_toy_folder(latent_channels=8) / "vae", folder / "vae")
    assert [(one.code, one.params["value"], one.params["limit"]) for one in verify_folder(folder)] == [
        ("folder.misfit", 8, 4),
        ("folder.misfit", 8, 4),
    ]


def test_an_error_stays_one_short_line_when_everything_is_missing(folder: Path, tmp_path: Path) -> None:
    tensors(UNET, lambda found: [found.pop(name) for name in list(found)[1:]])(folder)
    with pytest.raises(ModelFolderError, match=f"jsd weights verify {folder}") as caught:
        open_model_folder(folder)
    assert caught.value.params["count"] == len(verify_folder(folder)) > 100
    assert len(str(caught.value)) < 2000 and "\n" not in str(caught.value)
    assert [problem.code for problem in verify_folder(tmp_path / "nowhere")] == ["folder.missing"]


@pytest.mark.parametrize("name", [UNET, TEXT, "text_encoder/pytorch_model.bin"])
def test_a_file_that_git_lfs_has_not_fetched_is_called_that(name: str, folder: Path) -> None:
    (folder / name).with_name("model.safetensors").unlink(missing_ok=True)
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 492265879\n", "utf-8")
    with pytest.raises(ModelFolderError, match="git lfs pull") as caught:
        open_model_folder(folder)
    assert str(folder / name) in str(caught.value)


SECOND = "tokenizer_2/tokenizer_config.json"
# What is done to the tokenizer of SDXL's second encoder -> the codes of what is told.
SECOND_TOKENIZERS: dict[str, tuple[Change, list[str]]] = {
    "none": (lambda folder: shutil.rmtree(folder / "tokenizer_2"), []),
    "CLIP's": (both(remove("tokenizer_2/spiece.model"), write("tokenizer_2/vocab.json", b"{}")), ["tokenizer.missing"]),
    "another padding": (config(SECOND, pad_token="[MASK]"), []),
    "capital letters": (config(SECOND, do_lower_case=False), ["folder.misfit"]),
    "another length": (config(SECOND, model_max_length=8), ["folder.misfit"]),
}


@pytest.fixture(scope="module")
def sdxl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_sdxl_folder(tmp_path_factory.mktemp("models") / "sdxl")


@pytest.mark.parametrize("name", SECOND_TOKENIZERS)
def test_the_second_encoders_tokenizer_must_read_as_the_first(name: str, sdxl_folder: Path, tmp_path: Path) -> None:
    change, codes = SECOND_TOKENIZERS[name]
    change(shutil.copytree(sdxl_folder, tmp_path / "model"))
    assert [problem.code for problem in verify_folder(tmp_path / "model")] == codes
