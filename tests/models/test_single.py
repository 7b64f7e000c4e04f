"""A model folder as the one file of A1111 and ComfyUI: what diffusers makes of the file is the folder again."""

import json
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders import single_file_utils as theirs
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from toy_checker import write_toy_checker

from jsd.errors import JsdError
from jsd.models.components import expected_shapes
from jsd.models.random import model_configs
from jsd.models.single import FILES, _files, read_single, write_single
from jsd.models.single_names import place
from jsd.prompting.tokenizer import JapaneseTokenizer
from tests.toy_sdxl import write_toy_sdxl_folder

WEIGHTS = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


@pytest.fixture(scope="module", params=["v1", "sdxl"])
def folder(request: pytest.FixtureRequest, toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("models") / request.param
    return shutil.copytree(toy_folder, made) if request.param == "v1" else write_toy_sdxl_folder(made)


@pytest.fixture(scope="module")
def file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "model.safetensors"
    write_single(folder, path, "float32")
    return path


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    stems = WEIGHTS | ({"text_encoder_2": "model"} if (folder / "text_encoder_2").is_dir() else {})
    return {
        f"{component}.{name}": tensor
        for component, stem in stems.items()
        for name, tensor in load_file(folder / component / f"{stem}.safetensors").items()
    }


def test_diffusers_own_reading_of_the_file_is_the_folder(folder: Path, file: Path) -> None:
    configs = {name: json.loads((folder / name / "config.json").read_text("utf-8")) for name in ("unet", "vae")}
    config: dict[str, Any] = configs["unet"]
    # Of Stable Diffusion's own sizes diffusers knows this; here it is told.
    found = {f"unet.{name}": one for name, one in theirs.convert_ldm_unet_checkpoint(load_file(file), config).items()}
    vae = theirs.convert_ldm_vae_checkpoint(load_file(file), configs["vae"])
    found |= {f"vae.{name}": one for name, one in vae.items()}
    if (folder / "text_encoder_2").is_dir():
        # The class is asked for its width alone, which the projection has in the released model.
        width = json.loads((folder / "text_encoder_2" / "config.json").read_text("utf-8"))["hidden_size"]
        prefix = "conditioner.embedders.1.model."
        checkpoint = load_file(file)
        encoder = type("Encoder", (), {"config": type("Config", (), {"projection_dim": width})})()
        second = theirs.convert_open_clip_checkpoint(encoder, checkpoint, prefix=prefix)
        found |= {f"text_encoder_2.{name}": one for name, one in second.items() if "position_ids" not in name}
    expected = {name: one for name, one in tensors(folder).items() if not name.startswith("text_encoder.")}
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize(
    ("size", "known"),
    [
        ("full", ["model.diffusion_model.output_blocks.8.2.conv.weight", "cond_stage_model.transformer.text_model."]),
        ("sdxl", ["model.diffusion_model.label_emb.0.0.weight", "conditioner.embedders.1.model.text_projection"]),
    ],
)
def test_of_the_released_shapes_the_names_are_the_released_files(size: str, known: list[str]) -> None:
    names = {
        place(component, name, config, is_sdxl=size == "sdxl").name: torch.empty(shape, device="meta")
        for component, config in model_configs(size).items()
        for name, shape in expected_shapes(component, config).items()
    }
    assert all(any(name.startswith(one) for name in names) for one in known)
    config = model_configs(size)["unet"]
    unet = theirs.convert_ldm_unet_checkpoint(names, config)
    assert {name: tuple(one.shape) for name, one in unet.items()} == expected_shapes("unet", config)


def test_the_file_becomes_the_folder_again(folder: Path, file: Path, tmp_path: Path) -> None:
    read_single(file, tmp_path / "again", "float32")
    again, before = tensors(tmp_path / "again"), tensors(folder)
    assert again.keys() == before.keys() and all(torch.equal(again[name], before[name]) for name in before)
    ids = [JapaneseTokenizer.load(one / "tokenizer").encode("猫の肖像画") for one in (folder, tmp_path / "again")]
    assert ids[0] == ids[1]


def test_an_index_of_shards_does_not_come_along(folder: Path, tmp_path: Path) -> None:
    """diffusers would look for the shards."""
    copied = shutil.copytree(folder, tmp_path / "copied")
    (copied / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text("{}")
    assert _files(copied) == _files(folder)


def test_a_vocabulary_and_configs_come_along_however_large(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jsd.models.single.MAX_KEPT_BYTES", 0)
    configs = {f"{part}/config.json" for part in WEIGHTS} | {"scheduler/scheduler_config.json"}
    assert _files(folder).keys() >= {"tokenizer/spiece.model", "tokenizer/tokenizer_config.json", *configs}
    assert "model_index.json" not in _files(folder)


def test_a_file_without_metadata_wants_the_folder_that_it_is_like(folder: Path, file: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(file) | {"alphas_cumprod": torch.ones(3)}, bare)
    with pytest.raises(JsdError, match="--like"):
        read_single(bare, tmp_path / "new", "float32")
    read_single(bare, tmp_path / "new", "float32", like=folder)
    assert tensors(tmp_path / "new").keys() == tensors(folder).keys()


def test_what_is_not_in_the_file_is_named(folder: Path, tmp_path: Path) -> None:
    guarded = write_toy_checker(shutil.copytree(folder, tmp_path / "guarded"))
    index = json.loads((guarded / "model_index.json").read_text("utf-8"))
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    (guarded / "model_index.json").write_text(json.dumps(index), "utf-8")
    assert write_single(guarded, tmp_path / "a.safetensors", "float32")[1] == ["safety_checker"]
    read_single(tmp_path / "a.safetensors", tmp_path / "again", "float32")
    assert not (tmp_path / "again" / "safety_checker").exists()


@pytest.mark.parametrize("folder", ["v1"], indirect=True)
def test_what_cannot_be_read_is_one_sentence_and_nothing_stays(folder: Path, file: Path, tmp_path: Path) -> None:
    with safe_open(file, framework="pt") as opened:
        files = json.loads(opened.metadata()[FILES])
    found = load_file(file)
    misshapen = found | {"model.diffusion_model.input_blocks.0.0.weight": torch.ones(3)}
    unbuildable = b64encode(b'{"down_block_types": ["NoSuchBlock"]}').decode()
    cases: dict[str, tuple[dict[str, torch.Tensor], object]] = {
        r"input_blocks\.0\.0\.weight.*\[3\]": (misshapen, files),
        "metadata must hold": (found, files | {"../../evil.json": "e30="}),
        "its metadata": (found, [1]),
        r"unet.config\.json must describe": (found, files | {"unet/config.json": unbuildable}),
        r"another model than the configs": (found, files | {"vae/config.json": b64encode(b"{}").decode()}),
        r"model_index\.json must be a JSON object": (found, files | {"model_index.json": b64encode(b"[]").decode()}),
    }
    for named, (values, kept) in cases.items():
        save_file(values, tmp_path / "a.safetensors", metadata={FILES: json.dumps(kept)})
        with pytest.raises(JsdError, match=named):
            read_single(tmp_path / "a.safetensors", tmp_path / "new", "float32")
    (tmp_path / "a.safetensors").write_bytes(file.read_bytes()[:5000])
    with pytest.raises(JsdError, match="cannot be read"):
        read_single(tmp_path / "a.safetensors", tmp_path / "new", "float32")
    with pytest.raises(JsdError, match="exists"):
        write_single(folder, tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("folder", ["v1"], indirect=True)
def test_values_beyond_half_precision_are_refused_and_nothing_stays(folder: Path, file: Path, tmp_path: Path) -> None:
    found, name = load_file(file), "model.diffusion_model.input_blocks.0.0.bias"
    found[name][0] = 1e6
    save_file(found, tmp_path / "a.safetensors")
    with pytest.raises(JsdError) as caught:
        read_single(tmp_path / "a.safetensors", tmp_path / "new", "float16", like=folder)
    assert (caught.value.code, caught.value.params["name"]) == ("weights.overflow", name)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
