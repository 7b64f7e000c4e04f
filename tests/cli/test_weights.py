"""`jsd weights`, as a user runs it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jsd.cli.weights
import jsd.models.folder
from jsd.cli import main


@pytest.fixture
def root(toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`weights/` with the toy as the embedded model."""
    root = tmp_path / "weights"
    shutil.copytree(toy_folder, root / "mini")
    monkeypatch.delenv("JSD_WEIGHTS", raising=False)
    monkeypatch.setattr(jsd.models.folder, "weights_root", lambda: root)
    monkeypatch.setattr(jsd.cli.weights, "weights_root", lambda: root)
    return root


def test_list_marks_the_folder_in_use(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "other").mkdir()
    (root / ".rinna.partial").mkdir()
    assert main(["weights", "list"]) == 0
    mini, other, *to_fetch, reason = capsys.readouterr().out.splitlines()
    assert ["account" in line for line in to_fetch] == [True, True]
    assert mini.startswith(f"* {root / 'mini'}  ")
    assert "MB  F32 safetensors" in mini
    assert other.startswith(f"  {root / 'other'}  cannot be used, there are no weights of text_encoder, unet, vae;")
    assert reason == "* the embedded model"


def test_list_names_what_the_folder_in_use_lacks(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "mini/vae/diffusion_pytorch_model.safetensors").unlink()
    assert main(["weights", "list"]) == 0
    mini, *_others = capsys.readouterr().out.splitlines()
    assert "cannot be used, there are no weights of vae;" in mini and "MB" not in mini


def test_list_shows_a_folder_named_in_the_environment(
    root: Path, toy_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSD_WEIGHTS", str(toy_folder))
    assert main(["weights", "list"]) == 0
    assert f"* {toy_folder}  " in capsys.readouterr().out


def test_list_lets_no_name_steer_the_terminal(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "a\x1b[2J").mkdir()
    monkeypatch.setenv("JSD_WEIGHTS", "b\x1b[2J\nc")
    assert main(["weights", "list"]) == 0
    output = capsys.readouterr().out
    assert "\x1b" not in output and "aU+001B[2J" in output and "bU+001B[2JU+000Ac" in output


def test_list_without_any_folder_says_how_to_name_one(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(root)
    assert main(["weights", "list"]) == 0
    assert "JSD_WEIGHTS" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("is whole", "every file and tensor", "values are not compared")),
        ("ja", ("問題はありません", "ファイルとテンソル", "値は比較していません")),
    ],
)
def test_verify_says_what_of_a_whole_folder_it_checked(
    language: str,
    words: tuple[str, ...],
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    assert main(["weights", "verify", str(root / "mini")]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize(("language", "reason"), [("en", "no beta_start"), ("ja", "beta_start がありません")])
def test_what_a_noise_schedule_lacks_is_named_in_the_users_language(
    language: str, reason: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    path = root / "mini/scheduler/scheduler_config.json"
    config = json.loads(path.read_text("utf-8"))
    del config["beta_start"]
    path.write_text(json.dumps(config), "utf-8")
    assert main(["weights", "verify", str(root / "mini")]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert reason in line


def test_verify_lists_every_problem_and_fails(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "mini/vae/config.json").unlink()
    (root / "mini/unet/diffusion_pytorch_model.safetensors").write_bytes(b"")
    assert main(["weights", "verify", str(root / "mini")]) == 2
    output = capsys.readouterr()
    assert len(output.out.splitlines()) == 2
    assert "has 2 problem(s)" in output.err


def test_fetch_shows_the_licence_and_needs_it_accepted(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "fetch"]) == 2
    output = capsys.readouterr()
    assert "CreativeML OpenRAIL-M" in output.out
    assert "minors" in output.out, "the use restrictions must be shown"
    assert "--accept-licence" in output.err
    assert not (root / "rinna").exists()


def test_convert_writes_a_whole_folder(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "convert", str(root / "mini"), str(root / "half"), "--dtype", "float16"]) == 0
    assert capsys.readouterr().out == f"written: {root / 'half'} (float16)\n"
    assert main(["weights", "verify", str(root / "half")]) == 0


def test_random_says_that_it_is_random(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "random", str(root / "random"), "--dtype", "bfloat16"]) == 0
    assert "every weight is random" in capsys.readouterr().out
    assert main(["weights", "verify", str(root / "random")]) == 0


def test_an_existing_folder_is_kept(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "random", str(root / "mini")]) == 2
    assert capsys.readouterr().err.startswith("jsd: FOLDER must be a new or empty folder")


@pytest.mark.parametrize("action", ["convert", "random"])
def test_a_full_disk_leaves_nothing_and_says_so(root: Path, tmp_path: Path, action: str) -> None:
    program = """
import resource, sys
from jsd.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
sys.exit(main(sys.argv[1:]))
"""
    words = ["weights", action, *([str(root / "mini")] if action == "convert" else []), str(tmp_path / "new" / "model")]
    environment = {**os.environ, "JSD_LANG": "en"}
    done = subprocess.run([sys.executable, "-c", program, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"jsd: the model folder {tmp_path / 'new' / 'model'} could not")
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("action", ["convert", "random"])
def test_a_folder_below_a_file_is_one_line(
    root: Path, tmp_path: Path, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    source = [str(root / "mini")] if action == "convert" else []
    assert main(["weights", action, *source, str(tmp_path / "file" / "model")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "could not be written" in line and str(tmp_path / "file") in line


def test_the_dtypes_offered_are_those_that_run() -> None:
    from jsd.devices import DTYPES

    assert tuple(DTYPES) == jsd.cli.weights.DTYPES
