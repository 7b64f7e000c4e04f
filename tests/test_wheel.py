"""A wheel, built from the files that git knows, installed alone and tried outside the checkout."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import torch

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | variables
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    try:
        names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")[:-1]
    except (FileNotFoundError, AssertionError):
        pytest.skip("git is not here, or this is no clone: what belongs to the project is unknown")
    for name in names:
        if (ROOT / name).is_file() and not name.startswith(("docs/", "tests/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    run(*pip, "--wheel-dir", built, source, cwd=source)
    (path,) = built.iterdir()
    return path


@pytest.fixture(scope="module")
def jsd(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment of its own, which has this one's packages but not its jsd."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(str(Path(torch.__file__).parents[1]))
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    return folder / "bin" / "jsd"


def files(folder: Path) -> set[str]:
    paths = (path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def test_a_wheel_has_the_model_the_predictor_and_every_file_of_the_package(wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    models = files(ROOT / "weights" / "mini") | files(ROOT / "weights" / "clip_ja")
    bundled = {f"jsd/_bundle/{name}" for name in (*models, "predict.py")}
    assert packed == files(ROOT / "jsd") | bundled


def test_it_draws_and_lists_outside_the_checkout(jsd: Path, tmp_path: Path) -> None:
    variables = {"XDG_DATA_HOME": str(tmp_path / "data"), "JSD_WEIGHTS": ""}
    run(jsd, "generate", "猫", "--num-inference-steps", "1", "--output-dir", "out", cwd=tmp_path, **variables)
    assert len(list((tmp_path / "out").glob("*.png"))) == 1
    assert str(jsd.parents[1]) in run(jsd, "weights", "list", cwd=tmp_path, **variables), "it took another's model"
    assert not (tmp_path / "data").exists(), "nothing is written that was not asked for"


@contextmanager
def serving(jsd: Path, command: str, answers: str, words: bytes, cwd: Path) -> Iterator[str]:
    """The address of a server, once `answers` has `words`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "JSD_WEIGHTS")}
    with (cwd / "log").open("wb") as log:
        arguments = [jsd, command, "--port", address.rpartition(":")[2]]
        process = subprocess.Popen(arguments, cwd=cwd, env=environment, stdout=log, stderr=log)
    try:
        for _ in range(1800):
            assert process.poll() is None, (cwd / "log").read_text()[-3000:]
            with suppress(OSError), urlopen(f"{address}{answers}", timeout=10) as answer:
                if words in answer.read():
                    break
            time.sleep(0.1)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def test_it_serves_and_opens_the_page_outside_the_checkout(jsd: Path, tmp_path: Path) -> None:
    with serving(jsd, "serve", "/health-check", b'"READY"', tmp_path) as address:
        body = b'{"input": {"prompt": "cat", "num_inference_steps": 1}}'
        with urlopen(Request(f"{address}/predictions", body, {"Content-Type": "application/json"})) as answer:
            assert b"data:image/png;base64," in answer.read()
    with serving(jsd, "web", "/", b"<html", tmp_path) as address, urlopen(f"{address}/config") as settings:
        assert b"components" in settings.read()
