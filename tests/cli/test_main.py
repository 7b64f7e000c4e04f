"""What no command expects: a full disk, a closed pipe, a name that cannot be shown. One line each."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from jsd.cli import main
from jsd.images import save_image


def jsd(*words: str, **options: object) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, "JSD_LANG": "en", **dict(options.pop("env", {}))}  # type: ignore[call-overload]
    command = [sys.executable, "-m", "jsd", *words]
    return subprocess.run(command, env=environment, **{"capture_output": True, **options})  # type: ignore[call-overload]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    save_image(Image.new("RGB", (16, 8)), tmp_path / "a.png", metadata={"prompt": "猫 油絵", "seed": 0})
    return tmp_path / "a.png"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
def test_an_output_that_is_full_is_one_line(picture: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = jsd("info", str(picture), capture_output=False, stdout=full, stderr=subprocess.PIPE)
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("jsd: ") and "No space left" in line
    assert done.returncode == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
@pytest.mark.parametrize("words", [("--version",), ("--help",), ("info", "--help")])
def test_help_that_cannot_be_written_is_one_line(words: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        buffered = {"PYTHONUNBUFFERED": ""}  # else argparse itself drops the fault
        done = jsd(*words, capture_output=False, stdout=full, stderr=subprocess.PIPE, env=buffered)
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("jsd: ") and "No space left" in line
    assert done.returncode == 1


def test_a_link_that_leads_to_itself_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert main(["weights", "random", str(loop)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jsd: {loop} ") and "leads to itself" in line


def test_a_reader_that_goes_away_is_no_fault_to_speak_of(picture: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = jsd("info", str(picture), capture_output=False, stdout=pipe, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_file_that_cannot_be_read_is_one_line_with_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = tmp_path / ("n" * 300)
    assert main(["weights", "verify", str(name)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"jsd: {name} ") and "too long" in line


@pytest.mark.parametrize("name", ["two\nlines.png", "\x1b[31mred.png", "\x9b.png", "half\udcff.png"])
def test_a_name_never_breaks_the_line_or_steers_the_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", name]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.endswith("\n")
    assert not set(error) & set("\x1b\x9b\udcff") and "U+" in error


def test_a_record_with_half_a_surrogate_pair_is_shown(picture: Path) -> None:
    save_image(Image.new("RGB", (4, 4)), picture, metadata={"prompt": "猫\udc00", "seed": 0})
    shown, written = jsd("info", str(picture)), jsd("info", str(picture), "--json")
    assert "猫U+DC00" in shown.stdout.decode()
    assert "猫\\udc00" in written.stdout.decode(), "JSON has an escape for it"


def test_japanese_can_be_printed_where_the_locale_has_none(picture: Path) -> None:
    done = jsd("info", str(picture), env={"PYTHONIOENCODING": "latin-1"})
    assert done.returncode == 0 and b"\\u732b" in done.stdout


@pytest.mark.parametrize("encoding", ["latin-1", "cp932", "ascii", "utf-8"])
def test_json_is_json_whatever_the_locale_can_hold(encoding: str, picture: Path) -> None:
    for words in (("info", str(picture)), ("prompt", "🐱猫é")):
        done = jsd(*words, "--json", env={"PYTHONIOENCODING": encoding})
        said = json.loads(done.stdout.decode(encoding))
        assert done.returncode == 0 and "猫" in json.dumps(said, ensure_ascii=False)


STEERING = "\x1b]0;title\x07\x9b31m\u202e"


def test_a_strangers_files_never_steer_the_terminal(
    picture: Path, toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, model = tmp_path / "rows.jsonl", shutil.copytree(toy_folder, tmp_path / "model")
    rows.write_text(json.dumps({"prompt": "猫", STEERING: 1}), "utf-8")
    concept = {"name": STEERING, "emoji": "", "spellings": [STEERING]}
    (model / "concepts.json").write_text(json.dumps({"styles": [], "concepts": [concept]}), "utf-8")
    weights = model / "vae" / "diffusion_pytorch_model.safetensors"
    save_file({STEERING: torch.zeros(1), **load_file(weights)}, weights)
    save_image(Image.new("RGB", (4, 4)), picture, metadata={"prompt": STEERING, "seed": 0})
    for words in (
        ["batch", rows, "--output-dir", tmp_path / "out"],
        ["concepts", "--weights", model],
        ["weights", "verify", model],
        ["info", picture, "--json"],
    ):
        main(list(map(str, words)))
        said = capsys.readouterr()
        assert "title" in said.out + said.err, words
        assert not set(said.out + said.err) & set("\x1b\x07\x9b\u202e"), words
        if words[0] == "info":
            assert json.loads(said.out)["values"]["prompt"] == STEERING


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_as_good_as_any(closed: str, toy_folder: Path, tmp_path: Path) -> None:
    words = f"prompt 猫 --weights {toy_folder}"
    if closed == ">&- 2>&-":
        words = f"generate 猫 --weights {toy_folder} --device cpu --num-inference-steps 1 --output-dir {tmp_path}/out"
    command = f'"{sys.executable}" -m jsd {words} {closed}'
    done = subprocess.run(["sh", "-c", command], env={**os.environ, "JSD_LANG": "en"}, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"") or "2>" not in closed
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert "generate" not in words or len(list((tmp_path / "out").iterdir())) == 1


def test_a_tilde_that_the_shell_left_is_the_home_folder(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["info", "~/a.png"]) == 0 and "猫 油絵" in capsys.readouterr().out
    assert main(["info", "~no-such-user/a.png"]) == 2 and "~no-such-user/a.png" in capsys.readouterr().err
    assert not (tmp_path / "~").exists()
