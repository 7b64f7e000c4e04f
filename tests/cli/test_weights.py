"""`jsd weights`, as a user runs it."""

import json
import shutil
from pathlib import Path

import pytest
from full_disk import small_files

import jsd.cli.weights
import jsd.models.folder
from cli.conftest import Jsd
from jsd.devices import DTYPES


@pytest.fixture
def root(toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`weights/` with the toy as the embedded model."""
    root = tmp_path / "weights"
    shutil.copytree(toy_folder, root / "mini")
    monkeypatch.delenv("JSD_WEIGHTS", raising=False)
    monkeypatch.setattr(jsd.models.folder, "weights_root", lambda: root)
    monkeypatch.setattr(jsd.cli.weights, "weights_root", lambda: root)
    return root


def test_list_marks_the_folder_in_use_and_what_can_be_fetched(jsd: Jsd, root: Path) -> None:
    (root / "other").mkdir()
    (root / ".rinna.partial").mkdir()
    mini, other, *to_fetch, reason = jsd("weights", "list").out
    assert len(to_fetch) == 2 and all("jsd weights fetch" in line for line in to_fetch)
    assert mini.startswith(f"* {root / 'mini'}  ") and "F32 safetensors" in mini
    assert other.startswith(f"  {root / 'other'}  ") and "text_encoder, unet, vae" in other
    assert reason.startswith("* ")


def test_list_names_what_the_folder_in_use_lacks(jsd: Jsd, root: Path) -> None:
    (root / "mini/vae/diffusion_pytorch_model.safetensors").unlink()
    mini = jsd("weights", "list").out[0]
    assert "vae" in mini and "unet" not in mini and "MB" not in mini


def test_list_shows_a_folder_named_in_the_environment(
    jsd: Jsd, root: Path, toy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_WEIGHTS", str(toy_folder))
    assert f"* {toy_folder}  " in "\n".join(jsd("weights", "list").out)


def test_list_knows_a_folder_by_any_of_its_names(jsd: Jsd, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("JSD_WEIGHTS", "mini")
    lines = [line for line in jsd("weights", "list").out if "mini  " in line]
    assert len(lines) == 1 and lines[0].startswith(f"* {root / 'mini'}  ")


def test_list_lets_no_name_steer_the_terminal(jsd: Jsd, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "a\x1b[2J").mkdir()
    monkeypatch.setenv("JSD_WEIGHTS", "b\x1b[2J\nc")
    output = "\n".join(jsd("weights", "list").out)
    assert "\x1b" not in output and "aU+001B[2J" in output and "bU+001B[2JU+000Ac" in output


def test_list_without_any_folder_says_how_to_name_one(jsd: Jsd, root: Path) -> None:
    shutil.rmtree(root)
    assert "JSD_WEIGHTS" in jsd("weights", "list").out[-1]


def test_verify_names_every_problem(jsd: Jsd, root: Path) -> None:
    assert (whole := jsd("weights", "verify", root / "mini")).code == 0 and len(whole.out) == 1
    path = root / "mini/scheduler/scheduler_config.json"
    config = json.loads(path.read_text("utf-8"))
    del config["beta_start"]
    path.write_text(json.dumps(config), "utf-8")
    (root / "mini/vae/config.json").unlink()
    (root / "mini/unet/diffusion_pytorch_model.safetensors").write_bytes(b"")
    said = jsd("weights", "verify", root / "mini")
    assert said.code == 2 and len(said.out) == 3
    assert all(sum(word in line for line in said.out) == 1 for word in ("vae/config", "unet/diffusion", "beta_start"))


def test_fetch_shows_the_licence_and_needs_it_accepted(jsd: Jsd, root: Path) -> None:
    said = jsd("weights", "fetch")
    assert said.code == 2 and "--accept-licence" in said.err[-1]
    shown = "\n".join(said.out)
    assert "CreativeML OpenRAIL-M" in shown and "minors" in shown, "the use restrictions must be shown"
    assert not (root / "rinna").exists()


def test_the_hubs_cache_is_verified_and_converted_as_it_is_drawn_with(jsd: Jsd, root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "models--rinna--toy"
    shutil.copytree(root / "mini", cache / "snapshots" / "0123")
    assert jsd("weights", "verify", cache).code == 0
    assert jsd("weights", "convert", cache, tmp_path / "converted").code == 0
    assert jsd("weights", "verify", tmp_path / "converted").code == 0


def test_a_folder_needs_no_other_to_be_like(jsd: Jsd, root: Path, tmp_path: Path) -> None:
    said = jsd("weights", "convert", root / "mini", tmp_path / "new", "--like", root / "mini")
    assert said.code == 2 and "--like" in said.err[-1] and "leave it out" in said.err[-1]
    assert not (tmp_path / "new").exists()


def test_convert_and_random_write_whole_folders_and_keep_those_that_are_there(jsd: Jsd, root: Path) -> None:
    half = jsd("weights", "convert", root / "mini", root / "half", "--dtype", "float16")
    assert half.code == 0 and str(root / "half") in half.out[0] and "float16" in half.out[0]
    made = jsd("weights", "random", root / "random", "--dtype", "bfloat16")
    assert made.code == 0 and "random" in made.out[-1]
    assert [jsd("weights", "verify", root / name).code for name in ("half", "random")] == [0, 0]
    assert jsd("weights", "random", root / "mini").refuses("FOLDER")


def test_endings_count_in_any_case(jsd: Jsd, root: Path) -> None:
    assert jsd("weights", "convert", root / "mini", root / "A.SAFETENSORS").code == 0
    assert (root / "A.SAFETENSORS").is_file()
    assert jsd("weights", "convert", root / "A.SAFETENSORS", root / "again").code == 0
    assert jsd("weights", "convert", root / "mini", root / "a.CKPT").refuses("TARGET")


@pytest.mark.parametrize("action", ["convert", "random"])
def test_a_full_disk_leaves_nothing_and_says_so(jsd: Jsd, root: Path, tmp_path: Path, action: str) -> None:
    words = ["weights", action, *([root / "mini"] if action == "convert" else []), tmp_path / "new" / "model"]
    with small_files(10_000):
        said = jsd(words)
    assert said.code == 2 and str(tmp_path / "new" / "model") in said.err[-1]
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("action", ["convert", "random"])
def test_a_folder_below_a_file_is_one_line(jsd: Jsd, root: Path, tmp_path: Path, action: str) -> None:
    (tmp_path / "file").write_text("mine")
    source = [root / "mini"] if action == "convert" else []
    assert jsd("weights", action, source, tmp_path / "file" / "model").refuses(str(tmp_path / "file"))


def test_the_dtypes_offered_are_those_that_run() -> None:
    assert tuple(DTYPES) == jsd.cli.weights.DTYPES
