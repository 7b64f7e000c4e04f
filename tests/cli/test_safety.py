"""The safety checker as a user of the command line meets it."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from toy_checker import write_toy_checker

from cli.conftest import Jsd
from jsd.options import SamplingOptions
from jsd.pipeline import Pipeline

SEED = 77_777


@pytest.fixture(scope="module")
def guarded_folder(toy_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy model with a checker that flags one seed of 猫."""
    options = SamplingOptions(prompt="猫", num_inference_steps=2, seed=SEED)
    (unsafe,) = Pipeline.load(toy_folder, device="cpu", dtype="float32").generate(options)
    folder = shutil.copytree(toy_folder, tmp_path_factory.mktemp("guarded") / "toy")
    return write_toy_checker(folder, unsafe=[unsafe.image])


@pytest.fixture
def arguments(guarded_folder: Path, tmp_path: Path) -> list[str]:
    model = ["--weights", str(guarded_folder), "--device", "cpu", "--dtype", "float32"]
    return ["generate", "猫", "--num-inference-steps", "2", *model, "--output-dir", str(tmp_path / "out")]


def test_a_withheld_picture_is_a_line_and_no_file_and_its_neighbour_is_drawn_again_the_same(
    jsd: Jsd, arguments: list[str], guarded_folder: Path, tmp_path: Path
) -> None:
    said = jsd(arguments, "--seed", SEED - 1, "--num-outputs", 3)
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert [path.name for path in pictures] == [f"jsd-{SEED - 1}.png", f"jsd-{SEED + 1}.png"]
    assert sum(str(SEED) in line for line in said.err) == 1 and said.code == 0
    assert jsd("rerun", pictures[1], "--weights", guarded_folder, "--output-dir", tmp_path / "again").code == 0


def test_all_withheld_is_an_error_of_one_line(jsd: Jsd, arguments: list[str], tmp_path: Path) -> None:
    said = jsd(arguments, "--seed", SEED)
    assert said.code == 1 and "NSFW content detected" in said.err[-1] and not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", [["--disable-safety-checker"], ["--safety-threshold", "0.1"]])
def test_what_was_let_through_says_so_and_is_drawn_again_the_same(
    jsd: Jsd, arguments: list[str], guarded_folder: Path, tmp_path: Path, option: list[str]
) -> None:
    assert jsd(arguments, "--seed", SEED, option).code == 0
    path = tmp_path / "out" / f"jsd-{SEED}.png"
    with Image.open(path) as image:
        record = json.loads(image.info["jsd"])
    assert record["safety_checker"] == ("disabled" if option[0].startswith("--disable") else "on")
    assert (record["disable_safety_checker"], record["safety_threshold"]) in ((True, 0.0), (False, 0.1))
    assert jsd("rerun", path, "--weights", guarded_folder, "--output-dir", tmp_path / "again").code == 0
