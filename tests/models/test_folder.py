"""Choosing and verifying model folders, on copies of the toy folder with one thing broken each."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import jsd.models.folder
from jsd.errors import InvalidInputError, ModelFolderError
from jsd.models.folder import choose_folder, open_model_folder, verify_folder, weights_files, weights_root

UNET = "unet/diffusion_pytorch_model.safetensors"
TEXT_ENCODER = "text_encoder/model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(toy_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(toy_folder, tmp_path / "model")


def codes(folder: Path) -> list[str]:
    return [problem.code for problem in verify_folder(folder)]


def edit(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def to_bin(path: Path, name: str, rename: Callable[[str], str] = lambda name: name) -> Path:
    """Replace a safetensors file by the pickle that 2022 would have written."""
    tensors = {rename(key): tensor for key, tensor in load_file(path).items()}
    path.unlink()
    torch.save(tensors, path.with_name(name))
    return path.with_name(name)


def test_a_whole_folder_has_no_problems(folder: Path) -> None:
    assert [str(problem) for problem in verify_folder(folder)] == []


def test_a_pipeline_class_that_diffusers_lacks_is_no_problem(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    assert index["_class_name"] == "JapaneseStableDiffusionPipeline"
    assert open_model_folder(folder) == folder


def test_model_index_is_not_needed(folder: Path) -> None:
    (folder / "model_index.json").unlink()
    assert codes(folder) == []


def test_missing_unexpected_and_misshapen_tensors_are_all_named(folder: Path) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors["conv_in.weight"]
        tensors["conv_out.bias"] = torch.zeros(5)
        tensors["conv_extra.bias"] = torch.zeros(1)

    edit(folder / UNET, change)
    edit(folder / VAE, lambda tensors: tensors.pop("decoder.conv_in.bias"))
    found = [(problem.code, problem.params["name"]) for problem in verify_folder(folder)]
    assert sorted(found) == [
        ("folder.tensor_misshapen", "conv_out.bias"),
        ("folder.tensor_missing", "conv_in.weight"),
        ("folder.tensor_missing", "decoder.conv_in.bias"),
        ("folder.tensor_unexpected", "conv_extra.bias"),
    ]


@pytest.mark.parametrize("size", [0, 5, 1000, -1])
def test_truncated_safetensors_are_all_named(folder: Path, size: int) -> None:
    for name in (UNET, TEXT_ENCODER, VAE):
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
    problems = verify_folder(folder)
    assert [problem.code for problem in problems] == ["folder.damaged"] * 3
    assert {problem.params["path"] for problem in problems} == {folder / name for name in (UNET, TEXT_ENCODER, VAE)}


@pytest.mark.parametrize("size", [0, 5, 1000, -1])
def test_a_truncated_pickle_is_named(folder: Path, size: int) -> None:
    path = to_bin(folder / UNET, "diffusion_pytorch_model.bin")
    path.write_bytes(path.read_bytes()[:size])
    assert codes(folder) == ["folder.damaged"]


def test_a_pickle_that_would_run_code_is_not_run(folder: Path, tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "owned",)

    path = to_bin(folder / UNET, "diffusion_pytorch_model.bin")
    torch.save({"conv_in.weight": Payload()}, path)
    assert codes(folder) == ["folder.unsafe"]
    path.write_bytes(pickle.dumps(Payload(), protocol=2))
    assert codes(folder) != []
    assert not (tmp_path / "owned").exists(), "the pickle's payload was run"


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_a_text_encoder_of_2022_is_whole(folder: Path, prefix: str) -> None:
    path = to_bin(folder / TEXT_ENCODER, "pytorch_model.bin", lambda name: prefix + name)
    tensors = torch.load(path, weights_only=True)
    torch.save({**tensors, f"{prefix}embeddings.position_ids": torch.arange(16)[None]}, path)
    assert codes(folder) == []


def old_vae_name(name: str) -> str:
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
    return name


def test_a_vae_of_2022_is_whole(folder: Path) -> None:
    path = to_bin(folder / VAE, "diffusion_pytorch_model.bin", old_vae_name)
    assert "decoder.mid_block.attentions.0.proj_attn.weight" in torch.load(path, weights_only=True)
    assert codes(folder) == []


def test_half_precision_variants_are_whole(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet/diffusion_pytorch_model.fp16.safetensors")
    to_bin(folder / VAE, "diffusion_pytorch_model.fp16.bin")
    assert codes(folder) == []
    assert weights_files(folder, "unet")[0].load_options() == {"variant": "fp16", "use_safetensors": True}
    assert weights_files(folder, "vae")[0].load_options() == {"variant": "fp16", "use_safetensors": False}


def test_safetensors_go_before_pickles_and_full_before_half_precision(folder: Path) -> None:
    for name in ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.safetensors"):
        shutil.copyfile(folder / UNET, folder / "unet" / name)
    assert weights_files(folder, "unet")[0].path == folder / UNET


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (UNET, "folder.no_weights"),
        ("unet/config.json", "folder.file_missing"),
        ("scheduler/scheduler_config.json", "folder.file_missing"),
        ("tokenizer/spiece.model", "tokenizer.missing"),
    ],
)
def test_a_missing_file_is_named(folder: Path, name: str, code: str) -> None:
    (folder / name).unlink()
    (problem,) = verify_folder(folder)
    assert problem.code == code
    assert str(Path(name).parent) in str(problem)


@pytest.mark.parametrize("name", ["model_index.json", "vae/config.json", "scheduler/scheduler_config.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_config_that_is_no_json_object_is_named(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.encode("latin-1"))
    (problem,) = verify_folder(folder)
    assert (problem.code, problem.params["path"]) == ("folder.not_json", folder / name)


def test_a_config_of_no_model_is_named(folder: Path) -> None:
    config = json.loads((folder / "unet/config.json").read_text())
    (folder / "unet/config.json").write_text(json.dumps({**config, "down_block_types": ["NoSuchBlock", "DownBlock2D"]}))
    (problem,) = verify_folder(folder)
    assert problem.code == "folder.config"
    assert "NoSuchBlock" in str(problem)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("scheduler/scheduler_config.json", {"beta_schedule": "foo"}),
        ("scheduler/scheduler_config.json", {"beta_start": "x"}),
        ("scheduler/scheduler_config.json", {"prediction_type": "foo"}),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 0}),
        ("scheduler/scheduler_config.json", {"beta_end": ...}),
        ("vae/config.json", {"scaling_factor": "x"}),
        ("vae/config.json", {"scaling_factor": None}),
        ("vae/config.json", {"shift_factor": "x"}),
        ("unet/config.json", {"sample_size": None}),
        ("unet/config.json", {"sample_size": "16"}),
    ],
)
def test_a_value_that_nothing_can_be_drawn_with_is_named(folder: Path, file: str, change: dict[str, object]) -> None:
    config = json.loads((folder / file).read_text("utf-8")) | change
    kept = {name: value for name, value in config.items() if value is not ...}
    (folder / file).write_text(json.dumps(kept), "utf-8")
    (problem,) = verify_folder(folder)
    assert problem.code == "folder.config" and next(iter(change)) in str(problem)


def test_a_config_that_is_nested_without_end_is_named(folder: Path) -> None:
    (folder / "model_index.json").write_text("[" * 200_000, "utf-8")
    assert [problem.code for problem in verify_folder(folder)] == ["folder.not_json"]


def test_a_tokenizer_of_another_model_is_named(folder: Path) -> None:
    (folder / "tokenizer/tokenizer_config.json").unlink()
    (problem,) = verify_folder(folder)
    assert (problem.code, problem.params["value"], problem.params["limit"]) == ("folder.misfit", 77, 16)


def test_a_vae_of_another_model_is_named(folder: Path, make_toy_folder: Callable[..., Path]) -> None:
    shutil.rmtree(folder / "vae")
    shutil.copytree(make_toy_folder(latent_channels=8) / "vae", folder / "vae")
    (problem,) = verify_folder(folder)
    assert (problem.code, problem.params["value"], problem.params["limit"]) == ("folder.misfit", 8, 4)


def test_opening_a_broken_folder_tells_how_many_problems_in_one_line(folder: Path) -> None:
    (folder / "vae/config.json").unlink()
    (folder / UNET).write_bytes(b"")
    with pytest.raises(ModelFolderError) as caught:
        open_model_folder(folder)
    assert caught.value.params["count"] == 2
    assert "\n" not in str(caught.value)
    assert f"jsd weights verify {folder}" in str(caught.value)


def test_an_error_stays_short_when_everything_is_missing(folder: Path) -> None:
    edit(folder / UNET, lambda tensors: [tensors.pop(name) for name in list(tensors)[1:]])
    with pytest.raises(ModelFolderError) as caught:
        open_model_folder(folder)
    assert len(verify_folder(folder)) > 100
    assert len(str(caught.value)) < 2000


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert codes(tmp_path / "nowhere") == ["folder.missing"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `weights/`, and no JSD_WEIGHTS."""
    monkeypatch.delenv("JSD_WEIGHTS", raising=False)
    monkeypatch.setattr(jsd.models.folder, "weights_root", lambda: tmp_path / "weights")
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_the_order_of_choice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    for name in ("mini", "rinna", "named", "given"):
        (root / name).mkdir()
        if name == "named":
            monkeypatch.setenv("JSD_WEIGHTS", str(root / name))
        chosen.append(choose_folder(root / name if name == "given" else None))
    assert chosen == [
        (root / "mini", "the embedded model"),
        (root / "rinna", "found in weights/"),
        (root / "named", "JSD_WEIGHTS"),
        (root / "given", "--weights"),
    ]


def test_an_empty_variable_is_unset(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "mini").mkdir()
    monkeypatch.setenv("JSD_WEIGHTS", "")
    assert choose_folder()[0] == root / "mini"


@pytest.mark.parametrize("value", ["", "nowhere", "file"])
def test_a_named_folder_that_is_not_there_is_refused(root: Path, value: str) -> None:
    (root / "mini").mkdir()
    (root / "file").touch()
    path = "" if value == "" else root / value
    with pytest.raises(InvalidInputError) as caught:
        choose_folder(path)
    assert (caught.value.field, caught.value.params["value"]) == ("weights", path)


def test_a_variable_that_names_no_folder_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JSD_WEIGHTS", str(root / "nowhere"))
    with pytest.raises(InvalidInputError) as caught:
        choose_folder()
    assert caught.value.field == "JSD_WEIGHTS"


def test_no_model_at_all_says_how_to_name_one(root: Path) -> None:
    with pytest.raises(ModelFolderError, match="--weights or JSD_WEIGHTS"):
        choose_folder()


def test_the_embedded_model_is_beside_the_package_not_in_the_cwd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert weights_root() == Path(__file__).resolve().parents[2] / "weights"
