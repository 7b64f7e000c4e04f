"""The safety checker as a user of the command line meets it."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from toy_checker import write_toy_checker

from jsd.cli import main
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline

SEED = 77_777
FLOAT32 = ["--device", "cpu", "--dtype", "float32"]


@pytest.fixture(scope="module")
def guarded_folder(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy model with a checker that flags one seed of 猫."""
    options = SamplingOptions(prompt="猫", num_inference_steps=2, seed=SEED)
    (unsafe,) = Pipeline.load(toy_folder, device="cpu", dtype="float32").generate(options)
    folder = shutil.copytree(toy_folder, tmp_path_factory.mktemp("guarded") / "toy")
    return write_toy_checker(folder, unsafe=[unsafe.image])


@pytest.fixture
def arguments(guarded_folder: Path, tmp_path: Path) -> list[str]:
    model = ["--weights", str(guarded_folder), "--output-dir", str(tmp_path / "out"), *FLOAT32]
    return ["generate", "猫", "--num-inference-steps", "2", *model]


def names(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").glob("*.png"))


def test_a_withheld_picture_is_a_line_and_no_file(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--seed", str(SEED - 1), "--num-outputs", "3"]) == 0
    assert names(tmp_path) == [f"jsd-{SEED - 1}.png", f"jsd-{SEED + 1}.png"]
    error = capsys.readouterr().err
    assert f"jsd: seed {SEED} is withheld" in error and "no safety checker" not in error


def test_all_withheld_is_an_error_of_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--seed", str(SEED)]) == 1
    assert "NSFW content detected" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [["--disable-safety-checker"], ["--safety-threshold", "0.1"]])
def test_what_was_let_through_says_so_and_is_drawn_again_the_same(
    arguments: list[str], guarded_folder: Path, tmp_path: Path, option: list[str]
) -> None:
    assert main([*arguments, "--seed", str(SEED), *option]) == 0
    path = tmp_path / "out" / f"jsd-{SEED}.png"
    with Image.open(path) as image:
        record = json.loads(image.info["jsd"])
    assert record["safety_checker"] == ("disabled" if option[0].startswith("--disable") else "on")
    assert (record["disable_safety_checker"], record["safety_threshold"]) in ((True, 0.0), (False, 0.1))
    again = ["--weights", str(guarded_folder), "--output-dir", str(tmp_path / "again")]
    assert main(["rerun", str(path), *again]) == 0


def test_a_picture_beside_a_withheld_one_is_drawn_again_the_same(
    arguments: list[str], guarded_folder: Path, tmp_path: Path
) -> None:
    assert main([*arguments, "--seed", str(SEED - 1), "--num-outputs", "3"]) == 0
    again = ["--weights", str(guarded_folder), "--output-dir", str(tmp_path / "again")]
    assert main(["rerun", str(tmp_path / "out" / f"jsd-{SEED + 1}.png"), *again]) == 0
