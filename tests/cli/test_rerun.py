import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from traces import traces

from cli.conftest import Jsd
from jsd.images import save_image
from jsd.images.metadata import read_picture_file
from jsd.models.record import folder_digest

Drawn = Callable[..., list[Path]]


@pytest.fixture(autouse=True)
def no_other_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JSD_WEIGHTS", raising=False)


@pytest.fixture
def drawn(jsd: Jsd, toy_folder: Path, tmp_path: Path) -> Drawn:
    """The files of one `jsd generate`."""

    def draw(*words: object, folder: str = "out") -> list[Path]:
        given = ["--num-inference-steps", 2, "--seed", 7, "--device", "cpu", "--dtype", "float32", *words]
        where = ["--weights", toy_folder, "--output-dir", tmp_path / folder]
        assert jsd("generate", "猫の肖像画 油絵", given, where).code == 0
        return sorted((tmp_path / folder).iterdir())

    return draw


@pytest.fixture
def again(toy_folder: Path, tmp_path: Path) -> list[str]:
    return ["--weights", str(toy_folder), "--output-dir", str(tmp_path / "again")]


def photo(path: Path, seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    return path


def rewrite(file: Path, **changes: object) -> None:
    """Another picture with the record of `file`, tampered with."""
    save_image(Image.new("RGB", (32, 32)), file, metadata=read_picture_file(file).values | changes)


@pytest.mark.parametrize("words", [(), ("--num-outputs", "3", "--scheduler", "K_EULER_ANCESTRAL")])
@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_the_file_comes_back_byte_for_byte(
    format: str, words: tuple[str, ...], jsd: Jsd, drawn: Drawn, tmp_path: Path, again: list[str]
) -> None:
    file = drawn(*words, "--output-format", format)[-1]
    assert jsd("rerun", file, again).code == 0
    (made,) = (tmp_path / "again").iterdir()
    assert made.name == file.name
    with Image.open(made) as one, Image.open(file) as other:
        assert one.tobytes() == other.tobytes(), "other pixels"
    assert made.read_bytes() == file.read_bytes(), "the same pixels, other metadata"


def test_a_file_knows_its_place_in_its_batch(drawn: Drawn) -> None:
    """Rounding differs between batches of different sizes, so the same bits take the same size and place."""
    files = drawn("--num-outputs", 3)
    assert [read_picture_file(file).values["batch"] for file in files] == [[0, 3], [1, 3], [2, 3]]


def test_a_repainted_picture_comes_back_from_its_pictures(
    jsd: Jsd, drawn: Drawn, tmp_path: Path, again: list[str]
) -> None:
    (tmp_path / "in").mkdir()
    image, mask = photo(tmp_path / "in" / "photo.png"), tmp_path / "in" / "mask.png"
    Image.new("L", (32, 32), 255).save(mask)
    pictures = ["--image", image, "--mask", mask]
    (file,) = drawn(*pictures, "--prompt-strength", 0.5, "--guidance-scale", 1)
    assert jsd("rerun", file, pictures, again).code == 0
    shutil.copy(file, tmp_path / "in")
    assert jsd("rerun", tmp_path / "in" / file.name, again).code == 0, "the pictures beside it were not found"
    assert {path.read_bytes() for path in (tmp_path / "again").iterdir()} == {file.read_bytes()}


def test_without_its_picture_or_with_another_it_is_refused_unless_forced(
    jsd: Jsd, drawn: Drawn, tmp_path: Path, again: list[str]
) -> None:
    (file,) = drawn("--image", photo(tmp_path / "photo.png"))
    assert "photo.png" in jsd("rerun", file, again).err[-1]
    words = ["rerun", file, "--image", photo(tmp_path / "other.png", seed=1), *again]
    said = jsd(words)
    assert said.code == 2 and "--image" in said.err[-1] and not (tmp_path / "again").exists()
    forced = jsd(words, "--force")
    assert forced.code == 0 and "≠" in "".join(forced.out), "a picture that differs was called the same"


@pytest.mark.parametrize(
    ("flag", "name"), [("--image", "photo.png"), ("--mask", "photo.png"), ("--lora", "own.safetensors")]
)
def test_what_it_was_not_drawn_with_is_refused(
    flag: str, name: str, jsd: Jsd, drawn: Drawn, tmp_path: Path, again: list[str]
) -> None:
    photo(tmp_path / "photo.png")
    said = jsd("rerun", drawn()[-1], flag, tmp_path / name, again)
    assert (
        said.code == 2 and flag.strip("-") in said.err[-1] and name in said.err[-1] and "leave it out" in said.err[-1]
    )


def test_with_other_weights_it_is_refused_unless_forced(
    jsd: Jsd, drawn: Drawn, toy_folder: Path, tmp_path: Path
) -> None:
    (file,) = drawn()
    other = shutil.copytree(toy_folder, tmp_path / "toy")
    weights = other / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0x10
    weights.write_bytes(data)
    words = ["rerun", file, "--weights", other, "--output-dir", tmp_path / "again"]
    said = jsd(words)
    assert said.code == 2 and "digest" in said.err[-1] and not (tmp_path / "again").exists()
    editions = {folder_digest(toy_folder): "1234abc"}
    (other / "editions.json").write_text(json.dumps(editions), "utf-8")
    assert "git archive 1234abc weights/mini" in jsd(words).err[-1], "an earlier edition says where it is to be had"
    assert jsd(words, "--force").code == 0


def test_another_upscaler_is_told_before_anything_is_drawn(jsd: Jsd, drawn: Drawn, again: list[str]) -> None:
    file = drawn("--upscale", "2")[-1]
    rewrite(file, upscaler_sha256="0" * 64)
    said = jsd("rerun", file, again)
    assert said.code == 2 and "enlarged by the upscaler" in said.err[-1] and "0000000000" in said.err[-1]
    rewrite(file, upscale=1)
    assert "enlarged by" not in jsd("rerun", file, again).err[-1], "what is not enlarged does not need it"


def test_a_picture_that_does_not_come_out_the_same_is_told(jsd: Jsd, drawn: Drawn, again: list[str]) -> None:
    (file,) = drawn()
    rewrite(file, pixels_sha256="0", torch="1.13.0")
    said = jsd("rerun", file, again)
    assert said.code == 1 and "torch 1.13.0" in said.err[-1]


def test_a_picture_that_another_program_changed_is_not_called_the_same(
    jsd: Jsd, drawn: Drawn, again: list[str]
) -> None:
    (file,) = drawn()
    rewrite(file)
    said = jsd("rerun", file, again)
    assert said.code == 1 and "≠" in said.out[-1] and "changed" in said.err[-1]
    forced = jsd("rerun", file, again, "--force")
    assert forced.code == 0 and "≠" in forced.out[-1]


def test_a_file_is_of_one_picture_whatever_it_says(jsd: Jsd, drawn: Drawn, again: list[str]) -> None:
    (file,) = drawn()
    rewrite(file, num_outputs=2, num_candidates=3)
    said = jsd("rerun", file, again, "--force")
    assert said.code == 0 and len(said.out) == 1


def test_a_device_that_is_not_here_is_refused_unless_forced(jsd: Jsd, drawn: Drawn, again: list[str]) -> None:
    (file,) = drawn()
    rewrite(file, device="xpu")
    refused = jsd("rerun", file, again)
    assert refused.code == 2 and "--force" in refused.err[-1] and "'xpu'" in refused.err[-1]
    assert jsd("rerun", file, again, "--force").code == 0


@pytest.mark.parametrize(
    "change",
    [
        *({"prompt": None}, {"seed": None}, {"seed": "0"}, {"batch": [4, 4]}, {"batch": None}, {"batch": [0, 1e9]}),
        *({"lora_files": wrong} for wrong in ([1], 1, [{"name": "a.safetensors"}])),
        *({"image": name} for name in ("a" * 5000, "half\udc00.png", "nul\0.png")),
    ],
)
def test_a_record_that_was_tampered_with_is_one_line(
    change: dict[str, object], jsd: Jsd, drawn: Drawn, again: list[str]
) -> None:
    (file,) = drawn()
    rewrite(file, **change)
    said = jsd("rerun", file, again)
    assert said.code in (1, 2) and len(said.err) == 1
    assert "image" in change or said.refuses(next(iter(change)))


def test_a_batch_that_is_too_large_to_be_drawn_again_is_no_damage(jsd: Jsd, drawn: Drawn, again: list[str]) -> None:
    (file,) = drawn()
    rewrite(file, batch=[3, 70])
    assert jsd("rerun", file, again).refuses("batch", "70", "--force")
    assert jsd("rerun", file, again, "--force").code == 0


def test_a_file_may_not_choose_a_path_of_this_machine(jsd: Jsd, drawn: Drawn, tmp_path: Path, again: list[str]) -> None:
    (file,) = drawn()
    rewrite(file, image=str(photo(tmp_path / "secret.png")), model="../toy")
    said = jsd("rerun", file, again)
    assert said.code == 2 and str(tmp_path / "out" / "secret.png") in "".join(said.err)


def test_a_file_of_another_tool_is_refused(jsd: Jsd, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert jsd("rerun", tmp_path / "a.png").refuses("jsd info")


@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_no_metadata_leaves_nothing_in_the_file(
    format: str, jsd: Jsd, drawn: Drawn, tmp_path: Path, again: list[str]
) -> None:
    (file,) = drawn("--output-format", format)
    assert jsd("rerun", file, again, "--no-metadata").code == 0
    (bare,) = (tmp_path / "again").iterdir()
    assert traces(file) != set() == traces(bare)
    with Image.open(bare) as one, Image.open(file) as other:
        assert one.tobytes() == other.tobytes()


def test_no_metadata_strips_what_is_generated(drawn: Drawn) -> None:
    (file,) = drawn("--no-metadata")
    assert read_picture_file(file).values == {}


@pytest.mark.parametrize("format", ["webp", "jpg"])
def test_another_quality_is_the_same_picture_in_another_file(
    format: str, jsd: Jsd, drawn: Drawn, tmp_path: Path, again: list[str]
) -> None:
    (file,) = drawn("--output-format", format)
    said = jsd("rerun", file, again, "--output-quality", 10)
    (made,) = (tmp_path / "again").iterdir()
    assert made.stat().st_size < file.stat().st_size
    assert said.code == 0 and "=" in said.out[-1], "it was drawn as it was, then written smaller"


def test_the_same_seed_gives_the_same_bytes_and_no_paths(drawn: Drawn, toy_folder: Path, tmp_path: Path) -> None:
    one, other = (drawn(folder=name)[0].read_bytes() for name in ("one", "other"))
    assert one == other and str(tmp_path).encode() not in one and str(toy_folder).encode() not in one
    assert "CreativeML OpenRAIL-M" in json.dumps(read_picture_file(tmp_path / "one" / "jsd-7.png").values)
