"""Checkpoints as 2022 wrote them -> safetensors, on the toy folder."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from jsd.devices import choose_placement
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.models.convert import convert_folder, new_folder
from jsd.models.folder import verify_folder

WEIGHTS = {
    "unet/diffusion_pytorch_model": "unet/diffusion_pytorch_model.bin",
    "vae/diffusion_pytorch_model": "vae/diffusion_pytorch_model.bin",
    "text_encoder/model": "text_encoder/pytorch_model.bin",
}


def old_name(component: str, name: str) -> str:
    if component == "text_encoder":
        return f"text_model.{name}"
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        if component == "vae":
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
    return name


@pytest.fixture(scope="module")
def old_folder(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy folder as rinna's was published: pickles, old names, a buffer that is no weight."""
    folder = shutil.copytree(toy_folder, tmp_path_factory.mktemp("old") / "rinna")
    for stem, name in WEIGHTS.items():
        component = stem.partition("/")[0]
        tensors = load_file(folder / f"{stem}.safetensors")
        old = {old_name(component, key): tensor for key, tensor in tensors.items()}
        if component == "text_encoder":
            old["text_model.embeddings.position_ids"] = torch.arange(16)[None]
        torch.save(old, folder / name)
        (folder / f"{stem}.safetensors").unlink()
    (folder / "LICENSE").write_text("CreativeML OpenRAIL-M")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "junk").touch()
    return folder


def test_an_old_folder_becomes_the_same_weights_as_safetensors(
    old_folder: Path, toy_folder: Path, tmp_path: Path
) -> None:
    convert_folder(old_folder, tmp_path / "new", "float32")
    for stem in WEIGHTS:
        converted, original = (load_file(folder / f"{stem}.safetensors") for folder in (tmp_path / "new", toy_folder))
        assert converted.keys() == original.keys()
        assert all(torch.equal(converted[name], original[name]) for name in original), stem
    assert verify_folder(tmp_path / "new") == []


def test_a_converted_text_encoder_loads_in_transformers(old_folder: Path, toy_folder: Path, tmp_path: Path) -> None:
    from transformers import CLIPTextModel

    convert_folder(old_folder, tmp_path / "new", "float32")
    input_ids = torch.arange(16)[None]
    outputs = [
        CLIPTextModel.from_pretrained(folder / "text_encoder")(input_ids).last_hidden_state
        for folder in (tmp_path / "new", toy_folder)
    ]
    assert torch.equal(*outputs)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_written_in_the_dtype_asked_for(old_folder: Path, tmp_path: Path, dtype: str) -> None:
    written = convert_folder(old_folder, tmp_path / "new", dtype)
    assert written == getattr(torch, dtype)
    found = {
        tensor.dtype for stem in WEIGHTS for tensor in load_file(tmp_path / "new" / f"{stem}.safetensors").values()
    }
    assert found == {written}
    assert json.loads((tmp_path / "new/text_encoder/config.json").read_text())["dtype"] == dtype


def test_without_a_dtype_it_is_the_one_that_will_run(old_folder: Path, tmp_path: Path) -> None:
    assert convert_folder(old_folder, tmp_path / "new") == choose_placement().dtype


def test_the_licence_comes_along_and_old_weights_do_not(old_folder: Path, tmp_path: Path) -> None:
    convert_folder(old_folder, tmp_path / "new", "float32")
    names = {path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*")}
    assert "LICENSE" in names
    assert not [name for name in names if name.endswith(".bin") or ".cache" in name]


def test_links_of_the_hubs_cache_become_files(old_folder: Path, tmp_path: Path) -> None:
    linked = shutil.copytree(old_folder, tmp_path / "linked")
    spiece = linked / "tokenizer" / "spiece.model"
    spiece.unlink()
    spiece.symlink_to(old_folder / "tokenizer" / "spiece.model")
    convert_folder(linked, tmp_path / "new", "float32")
    assert not (tmp_path / "new/tokenizer/spiece.model").is_symlink()


def test_a_component_that_is_a_link_is_converted(old_folder: Path, tmp_path: Path) -> None:
    linked = shutil.copytree(old_folder, tmp_path / "linked")
    for name in ("tokenizer", "vae"):
        shutil.rmtree(linked / name)
        (linked / name).symlink_to(old_folder / name)
    convert_folder(linked, tmp_path / "new", "float32")
    convert_folder(old_folder, tmp_path / "other", "float32")
    one, other = (
        {path.relative_to(place) for path in place.rglob("*")} for place in (tmp_path / "new", tmp_path / "other")
    )
    assert one == other and Path("vae/config.json") in one


def test_the_folder_that_a_command_runs_in_is_not_replaced(
    old_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match="name a new one in it"):
        convert_folder(old_folder, Path(), "float32")


def test_what_a_link_leads_to_is_filled(old_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "new").symlink_to(tmp_path / "disk")
    convert_folder(old_folder, tmp_path / "new", "float32")
    assert (tmp_path / "new").is_symlink() and (tmp_path / "disk" / "vae" / "config.json").is_file()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["disk", "new"]


def test_values_beyond_half_precision_are_refused_and_nothing_stays(old_folder: Path, tmp_path: Path) -> None:
    source = shutil.copytree(old_folder, tmp_path / "source")
    path = source / WEIGHTS["unet/diffusion_pytorch_model"]
    tensors = torch.load(path, weights_only=True)
    tensors["conv_in.bias"][0] = 1e6
    torch.save(tensors, path)
    with pytest.raises(ModelFolderError) as caught:
        convert_folder(source, tmp_path / "new", "float16")
    assert (caught.value.code, caught.value.params["name"]) == ("weights.overflow", "conv_in.bias")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_broken_source_is_refused_before_anything_is_written(old_folder: Path, tmp_path: Path) -> None:
    source = shutil.copytree(old_folder, tmp_path / "source")
    (source / "vae/config.json").unlink()
    with pytest.raises(ModelFolderError, match="config"):
        convert_folder(source, tmp_path / "new", "float32")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_dtype_that_is_none_is_refused(old_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="int8"):
        convert_folder(old_folder, tmp_path / "new", "int8")


def test_a_folder_in_the_way_is_kept(old_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidInputError):
        convert_folder(old_folder, tmp_path, "float32")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interrupted_folder_vanishes(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "new") as partial:
        (partial / "half").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_an_old_folder_also_loads_as_it_is(old_folder: Path, toy_folder: Path) -> None:
    from jsd.pipeline import Pipeline

    old, new = (Pipeline.load(folder, device="cpu", dtype="float32") for folder in (old_folder, toy_folder))
    for component in ("text_encoder", "unet", "vae"):
        loaded, expected = (getattr(pipeline, component).state_dict() for pipeline in (old, new))
        assert all(torch.equal(loaded[name], expected[name]) for name in expected), component
