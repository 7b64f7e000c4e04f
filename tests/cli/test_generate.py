import json
import os
from pathlib import Path

import numpy as np
import pytest
from full_disk import small_disk
from PIL import Image

from cli.conftest import Jsd

FAST = ["--num-inference-steps", "2", "--device", "cpu", "--dtype", "float32"]


@pytest.fixture
def arguments(toy_folder: Path, tmp_path: Path) -> list[str]:
    return ["generate", "サラリーマン 油絵", *FAST, "--weights", str(toy_folder), "--output-dir", str(tmp_path / "out")]


def record(path: Path) -> dict[str, object]:
    with Image.open(path) as image:
        return json.loads(image.info["jsd"])


def test_it_says_what_runs_where_and_names_each_picture(
    jsd: Jsd, arguments: list[str], toy_folder: Path, tmp_path: Path
) -> None:
    said = jsd(arguments, "--seed", 7, "--num-outputs", 2)
    assert [line.split()[1:3] for line in said.out] == [["seed", "7"], ["seed", "8"]]
    for line in said.out:
        path, seconds = Path(line.split()[0]), line.split()[3]
        assert path.parent == tmp_path / "out" and float(seconds) >= 0
        assert record(path)["prompt"] == "サラリーマン 油絵"
    told = "\n".join(said.err)
    assert all(word in told for word in (str(toy_folder), "cpu", "float32", "no safety checker"))


def test_no_picture_is_overwritten(jsd: Jsd, arguments: list[str], tmp_path: Path) -> None:
    assert [jsd(arguments, "--seed", 0).code for _ in range(2)] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["jsd-0-2.png", "jsd-0.png"]


def test_every_option_reaches_the_picture(jsd: Jsd, arguments: list[str], tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8))
    picture.save(tmp_path / "in.png")
    Image.new("L", (48, 32), 255).save(tmp_path / "mask.png")
    given = {
        "--negative-prompt": "夏の海",
        "--style": "油絵",
        "--width": 36,
        "--height": 24,
        "--num-inference-steps": 4,
        "--guidance-scale": 3.5,
        "--scheduler": "K_EULER",
        "--seed": 11,
        "--image": tmp_path / "in.png",
        "--mask": tmp_path / "mask.png",
        "--prompt-strength": 0.5,
        "--unknown-words": "replace",
        "--long-prompt": "truncate",
    }
    assert jsd(arguments, *[word for pair in given.items() for word in pair]).code == 0
    expected = {name.removeprefix("--").replace("-", "_"): value for name, value in given.items()}
    expected |= {"image": "in.png", "mask": "mask.png"}
    said = record(tmp_path / "out" / "jsd-11.png")
    assert {name: said[name] for name in expected} == expected


def test_it_tells_what_the_model_does_not_read(jsd: Jsd, arguments: list[str]) -> None:
    arguments[1] = "猫の肖像画 油絵" * 10
    said = "\n".join(jsd(arguments, "--negative-prompt", "🐱").err)
    assert "prompt: the prompt needs" in said, "the length is not told"
    assert "negative_prompt: " in said and "🐱" in said, "the unread character is not told"


def test_for_other_tools_a_style_is_written_behind_the_prompt(jsd: Jsd, arguments: list[str], tmp_path: Path) -> None:
    arguments[1] = "猫\nネガティブ: 桜"
    assert jsd(arguments, "--style", "油絵", "--seed", 3).code == 0
    with Image.open(tmp_path / "out" / "jsd-3.png") as image:
        assert image.info["parameters"].startswith("猫 油絵\nネガティブ: 桜")


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--width", "33"], "width"),
        (["--guidance-scale", "nan"], "guidance_scale"),
        (["--image", "nowhere.png"], "image"),
        (["--image", "cut.png"], "image"),
        (["--mask", "nowhere.png"], "mask"),
        (["--device", "tpu"], "device"),
        (["--dtype", "float16"], "dtype"),
        (["--style", "苺絵"], "style"),
        (["--weights", "nowhere"], "weights"),
        (["--output-format", "gif"], "output_format"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    words: list[str], field: str, jsd: Jsd, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    said = jsd(arguments, words)
    assert said.code == 2 and said.err[-1].startswith("jsd: ") and field in said.err[-1]
    assert "Traceback" not in "".join(said.err) and not Path("out").exists()


def test_a_style_that_is_not_there_is_refused_before_the_model_is_loaded(
    jsd: Jsd, arguments: list[str], toy_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "unloadable").mkdir()
    (tmp_path / "unloadable" / "tokenizer").symlink_to(toy_folder / "tokenizer")
    assert jsd(arguments, "--weights", tmp_path / "unloadable", "--style", "油彩").refuses("style", "油彩")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("file", "not a folder"),
        ("file/new", "not a folder"),
        ("dangling", "leads nowhere"),
        ("dangling/new", "leads nowhere"),
        ("loop", "leads nowhere"),
        ("n" * 256, "a shorter name"),
        ("new/" + "n" * 256, "a shorter name"),
        ("new/" * 1100, "a shorter name"),
        ("./" + "桜" * 86, "a shorter name"),
    ],
    ids=[
        "file",
        "below a file",
        "link",
        "below a link",
        "loop",
        "long",
        "long below a new one",
        "deep",
        "long in bytes",
    ],
)
def test_an_output_folder_that_cannot_be_made_is_refused_before_the_work(
    name: str, why: str, jsd: Jsd, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("mine")
    assert jsd(arguments, "--output-dir", f"{tmp_path}/{name}").refuses("output_dir", why, str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "loop"]


if not os.access("/", os.W_OK):  # the superuser may write everywhere

    def test_a_locked_output_folder_is_refused_before_the_work(jsd: Jsd, arguments: list[str], tmp_path: Path) -> None:
        (tmp_path / "locked").mkdir(mode=0o500)
        assert jsd(arguments, "--output-dir", tmp_path / "locked" / "new").refuses("output_dir", "written to")


def test_an_output_folder_may_have_the_longest_name_and_be_a_link(
    jsd: Jsd, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / ("n" * 255)).symlink_to(tmp_path)
    assert jsd(arguments, "--seed", 7, "--output-dir", tmp_path / ("n" * 255)).code == 0
    assert (tmp_path / "jsd-7.png").is_file()


@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_a_disk_that_becomes_full_keeps_what_is_whole_and_nothing_else(
    format: str, jsd: Jsd, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    arguments += ["--seed", "7", "--output-format", format]
    with small_disk(tmp_path / "out") as fill:
        assert jsd(arguments).code == 0
        fill()
        said = jsd(arguments)
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"full", f"jsd-7.{format}"}
        with Image.open(tmp_path / "out" / f"jsd-7.{format}") as image:
            image.load()
    assert said.code == 2 and "No space left on device" in said.err[-1] and "Traceback" not in "".join(said.err)


def test_a_folder_that_cannot_be_made_on_a_full_disk_is_one_line(
    jsd: Jsd, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", num_files=1):
        said = jsd(arguments, "--output-dir", tmp_path / "disk" / "new")
        assert not (tmp_path / "disk" / "new").exists()
    assert said.err[-1].startswith(f"jsd: {tmp_path / 'disk' / 'new'}") and "No space left on device" in said.err[-1]


@pytest.mark.parametrize("field", ["image", "mask"])
def test_a_picture_without_a_name_is_refused(field: str, jsd: Jsd, arguments: list[str], tmp_path: Path) -> None:
    """As of a script whose variable is empty: it would get another picture, and no word of it."""
    Image.new("RGB", (32, 32)).save(tmp_path / "in.png")
    assert jsd(arguments, "--image", tmp_path / "in.png", f"--{field}", "").refuses(field, "picture file")
