import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from traces import traces

from jsd.cli import main
from jsd.images import save_image
from jsd.images.metadata import read_picture_file


@pytest.fixture(autouse=True)
def no_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSD_WEIGHTS", raising=False)


def drawn(toy_folder: Path, folder: Path, *words: str) -> list[Path]:
    """The files of one `jsd generate`."""
    given = ["--num-inference-steps", "2", "--seed", "7", "--device", "cpu", "--dtype", "float32", *words]
    assert main(["generate", "猫の肖像画 油絵", *given, "--weights", str(toy_folder), "--output-dir", str(folder)]) == 0
    return sorted(folder.iterdir())


def photo(path: Path, seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    return path


@pytest.fixture
def again(toy_folder: Path, tmp_path: Path) -> list[str]:
    return ["--weights", str(toy_folder), "--output-dir", str(tmp_path / "again")]


@pytest.mark.parametrize("words", [(), ("--num-outputs", "3", "--scheduler", "K_EULER_ANCESTRAL")])
@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_the_file_comes_back_byte_for_byte(
    format: str, words: tuple[str, ...], toy_folder: Path, tmp_path: Path, again: list[str]
) -> None:
    file = drawn(toy_folder, tmp_path / "out", *words, "--output-format", format)[-1]
    assert main(["rerun", str(file), *again]) == 0
    (made,) = (tmp_path / "again").iterdir()
    assert made.name == file.name
    with Image.open(made) as one, Image.open(file) as other:
        assert one.tobytes() == other.tobytes(), "other pixels"
    assert made.read_bytes() == file.read_bytes(), "the same pixels, other metadata"


def test_a_file_knows_its_place_in_its_batch(toy_folder: Path, tmp_path: Path) -> None:
    """Rounding differs between batches of different sizes, so the same bits take the same size and place."""
    files = drawn(toy_folder, tmp_path / "out", "--num-outputs", "3")
    assert [read_picture_file(file).values["batch"] for file in files] == [[0, 3], [1, 3], [2, 3]]


def test_a_repainted_picture_comes_back_from_its_pictures(toy_folder: Path, tmp_path: Path, again: list[str]) -> None:
    (tmp_path / "in").mkdir()
    image, mask = photo(tmp_path / "in" / "photo.png"), tmp_path / "in" / "mask.png"
    Image.new("L", (32, 32), 255).save(mask)
    words = ["--image", str(image), "--mask", str(mask), "--prompt-strength", "0.5", "--guidance-scale", "1"]
    (file,) = drawn(toy_folder, tmp_path / "out", *words)
    assert main(["rerun", str(file), "--image", str(image), "--mask", str(mask), *again]) == 0
    shutil.copy(file, tmp_path / "in")
    assert main(["rerun", str(tmp_path / "in" / file.name), *again]) == 0, "the pictures beside it were not found"
    assert {path.read_bytes() for path in (tmp_path / "again").iterdir()} == {file.read_bytes()}


def test_without_its_picture_it_is_refused(
    toy_folder: Path, tmp_path: Path, again: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out", "--image", str(photo(tmp_path / "photo.png")))
    assert main(["rerun", str(file), *again]) == 2
    assert "photo.png" in capsys.readouterr().err.splitlines()[-1]


def test_with_another_picture_it_is_refused_unless_forced(
    toy_folder: Path, tmp_path: Path, again: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out", "--image", str(photo(tmp_path / "photo.png")))
    words = ["rerun", str(file), "--image", str(photo(tmp_path / "other.png", seed=1)), *again]
    assert main(words) == 2
    assert "--image" in capsys.readouterr().err.splitlines()[-1] and not (tmp_path / "again").exists()
    assert main([*words, "--force"]) == 0
    assert "≠" in capsys.readouterr().out, "a picture that differs was called the same"


def test_with_other_weights_it_is_refused_unless_forced(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out")
    other = shutil.copytree(toy_folder, tmp_path / "toy")
    weights = other / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0x10
    weights.write_bytes(data)
    words = ["rerun", str(file), "--weights", str(other), "--output-dir", str(tmp_path / "again")]
    assert main(words) == 2
    error = capsys.readouterr().err.splitlines()
    assert "digest" in error[-1] and not (tmp_path / "again").exists()
    assert main([*words, "--force"]) == 0


def test_a_picture_that_does_not_come_out_the_same_is_told(
    toy_folder: Path, tmp_path: Path, again: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out")
    record = read_picture_file(file).values | {"pixels_sha256": "0", "torch": "1.13.0"}
    save_image(Image.new("RGB", (32, 32)), file, metadata=record)
    assert main(["rerun", str(file), *again]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "not the same picture" in error and "torch 1.13.0" in error


def test_a_device_that_is_not_here_is_refused_unless_forced(toy_folder: Path, tmp_path: Path, again: list[str]) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out")
    save_image(Image.new("RGB", (32, 32)), file, metadata=read_picture_file(file).values | {"device": "xpu"})
    assert main(["rerun", str(file), *again]) == 2
    assert main(["rerun", str(file), *again, "--force"]) == 0


@pytest.mark.parametrize(
    "change", [{"prompt": None}, {"seed": None}, {"seed": "0"}, {"batch": [4, 4]}, {"batch": None}, {"batch": [0, 1e9]}]
)
def test_a_record_that_was_tampered_with_is_one_line(
    change: dict[str, object], toy_folder: Path, tmp_path: Path, again: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out")
    capsys.readouterr()
    save_image(Image.new("RGB", (32, 32)), file, metadata=read_picture_file(file).values | change)
    assert main(["rerun", str(file), *again]) == 2
    error = capsys.readouterr().err
    assert next(iter(change)) in error and len(error.splitlines()) == 1


def test_a_file_may_not_choose_a_path_of_this_machine(
    toy_folder: Path, tmp_path: Path, again: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out")
    photo(tmp_path / "secret.png")
    record = read_picture_file(file).values | {"image": str(tmp_path / "secret.png"), "model": "../toy"}
    save_image(Image.new("RGB", (32, 32)), file, metadata=record)
    assert main(["rerun", str(file), *again]) == 2
    assert str(tmp_path / "out" / "secret.png") in capsys.readouterr().err


def test_a_file_of_another_tool_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert main(["rerun", str(tmp_path / "a.png")]) == 2
    assert "jsd info" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a" * 5000, "half\udc00.png", "nul\0.png"])
def test_a_picture_name_that_no_file_can_have_is_one_line(
    name: str, toy_folder: Path, tmp_path: Path, again: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out")
    capsys.readouterr()
    save_image(Image.new("RGB", (32, 32)), file, metadata=read_picture_file(file).values | {"image": name})
    assert main(["rerun", str(file), *again]) in (1, 2)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_no_metadata_strips_the_file(toy_folder: Path, tmp_path: Path) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out", "--no-metadata")
    assert read_picture_file(file).values == {}


@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_no_metadata_leaves_nothing_in_the_file(
    format: str, toy_folder: Path, tmp_path: Path, again: list[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out", "--output-format", format)
    assert main(["rerun", str(file), *again, "--no-metadata"]) == 0
    (bare,) = (tmp_path / "again").iterdir()
    assert traces(file) != set() == traces(bare)
    with Image.open(bare) as one, Image.open(file) as other:
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("format", ["webp", "jpg"])
def test_another_quality_is_the_same_picture_in_another_file(
    format: str, toy_folder: Path, tmp_path: Path, again: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = drawn(toy_folder, tmp_path / "out", "--output-format", format)
    assert main(["rerun", str(file), *again, "--output-quality", "10"]) == 0
    (made,) = (tmp_path / "again").iterdir()
    assert made.stat().st_size < file.stat().st_size
    assert "=" in capsys.readouterr().out.splitlines()[-1], "it was drawn as it was, then written smaller"


def test_the_same_seed_gives_the_same_bytes_and_no_paths(toy_folder: Path, tmp_path: Path) -> None:
    one, other = (drawn(toy_folder, tmp_path / name)[0].read_bytes() for name in ("one", "other"))
    assert one == other
    assert str(tmp_path).encode() not in one and str(toy_folder).encode() not in one
    assert "CreativeML OpenRAIL-M" in json.dumps(read_picture_file(tmp_path / "one" / "jsd-7.png").values)
