import json
import os
from pathlib import Path

import numpy as np
import pytest
from full_disk import small_disk
from PIL import Image

from jsd.cli import main

FAST = ["--num-inference-steps", "2", "--device", "cpu", "--dtype", "float32"]


@pytest.fixture
def arguments(toy_folder: Path, tmp_path: Path) -> list[str]:
    return ["generate", "サラリーマン 油絵", *FAST, "--weights", str(toy_folder), "--output-dir", str(tmp_path / "out")]


def test_it_prints_path_seed_and_seconds_of_each_picture(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--seed", "7", "--num-outputs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:3] for line in lines] == [["seed", "7"], ["seed", "8"]]
    for line in lines:
        path, seconds = Path(line.split()[0]), line.split()[3]
        assert path.parent == tmp_path / "out" and float(seconds) >= 0
        with Image.open(path) as image:
            assert image.size == (32, 32)
            assert json.loads(image.info["jsd"])["prompt"] == "サラリーマン 油絵"


def test_it_says_which_model_runs_where(
    arguments: list[str], toy_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments)
    error = capsys.readouterr().err
    assert str(toy_folder) in error and "cpu" in error and "float32" in error


def test_no_picture_is_overwritten(arguments: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        assert main([*arguments, "--seed", "0"]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["jsd-0-2.png", "jsd-0.png"]


def test_every_option_reaches_the_picture(arguments: list[str], tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8))
    picture.save(tmp_path / "in.png")
    Image.new("L", (48, 32), 255).save(tmp_path / "mask.png")
    given = {
        "--negative-prompt": "夏の海",
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
    words = [str(word) for pair in given.items() for word in pair]
    assert main([*arguments, *words]) == 0
    with Image.open(tmp_path / "out" / "jsd-11.png") as image:
        metadata = json.loads(image.info["jsd"])
    expected = {name.removeprefix("--").replace("-", "_"): value for name, value in given.items()}
    expected |= {"image": "in.png", "mask": "mask.png"}
    assert {name: metadata[name] for name in expected} == expected


def test_it_warns_of_what_the_model_does_not_read(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments[1] = "猫の肖像画 油絵" * 10
    assert main([*arguments, "--negative-prompt", "🐱"]) == 0
    error = capsys.readouterr().err
    assert "prompt: the prompt needs" in error, "the lost tail is not told"
    assert "negative_prompt: " in error and "🐱" in error, "the unread character is not told"


def test_a_style_is_remembered_and_for_other_tools_written_behind_the_prompt(
    arguments: list[str], tmp_path: Path
) -> None:
    arguments[1] = "猫\nネガティブ: 桜"
    assert main([*arguments, "--style", "油絵", "--seed", "3"]) == 0
    with Image.open(tmp_path / "out" / "jsd-3.png") as image:
        record = json.loads(image.info["jsd"])
        assert (record["prompt"], record["style"]) == (arguments[1], "油絵")
        assert image.info["parameters"].startswith("猫 油絵\nネガティブ: 桜"), "other tools know no style"


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--width", "33"], "width"),
        (["--num-inference-steps", "0"], "num_inference_steps"),
        (["--guidance-scale", "nan"], "guidance_scale"),
        (["--seed", "-1"], "seed"),
        (["--scheduler", "LMS"], "scheduler"),
        (["--image", "nowhere.png"], "image"),
        (["--mask", "nowhere.png"], "mask"),
        (["--device", "tpu"], "device"),
        (["--dtype", "float16"], "dtype"),
        (["--unknown-words", "drop"], "unknown_words"),
        (["--long-prompt", "drop"], "long_prompt"),
        (["--style", "苺絵"], "style"),
        (["--weights", "nowhere"], "weights"),
        (["--output-format", "gif"], "output_format"),
        (["--output-quality", "101"], "output_quality"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(
    words: list[str], field: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert field in lines[-1] and lines[-1].startswith("jsd: ")
    assert not any("Traceback" in line for line in lines)
    assert not (tmp_path / "out").exists(), "something was written for a request that failed"


def test_a_style_that_is_not_there_is_refused_before_the_model_is_loaded(
    arguments: list[str], toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "unloadable").mkdir()
    (tmp_path / "unloadable" / "tokenizer").symlink_to(toy_folder / "tokenizer")
    assert main([*arguments, "--weights", str(tmp_path / "unloadable"), "--style", "油彩"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "style" in line and "油彩" in line


def test_a_damaged_picture_is_refused_and_nothing_written(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main([*arguments, "--image", str(tmp_path / "cut.png")]) == 2
    assert not (tmp_path / "out").exists()


def test_an_output_folder_that_is_a_file_is_refused_before_the_work(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("mine")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "output_dir" in error and len(error.splitlines()) == 1, "the model was loaded first"
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("dangling", "leads nowhere"),
        ("dangling/new", "leads nowhere"),
        ("loop", "leads nowhere"),
        ("file/new", "not a folder"),
        ("n" * 256, "a shorter name"),
        ("new/" + "n" * 256, "a shorter name"),
        ("new/" * 1100, "a shorter name"),
        ("./" + "桜" * 86, "a shorter name"),
    ],
    ids=["link", "below a link", "loop", "file", "long", "long below a new one", "deep", "long in bytes"],
)
def test_an_output_folder_that_cannot_be_made_is_refused_before_the_work(
    name: str, why: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("mine")
    assert main([*arguments, "--output-dir", f"{tmp_path}/{name}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jsd: output_dir must be") and why in line and str(tmp_path) in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file", "loop"]


@pytest.mark.skipif(os.access("/", os.W_OK), reason="the superuser may write everywhere")
def test_an_output_folder_that_may_not_be_written_to_is_refused_before_the_work(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert main([*arguments, "--output-dir", str(tmp_path / "locked" / "new")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'locked'} is not: it may not be written to" in line


def test_an_output_folder_may_have_the_longest_name_and_be_a_link(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / ("n" * 255)).symlink_to(tmp_path)
    assert main([*arguments, "--seed", "7", "--output-dir", str(tmp_path / ("n" * 255))]) == 0
    assert (tmp_path / "jsd-7.png").is_file()


@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_a_full_disk_is_one_line_and_nothing_is_half_written(
    format: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    with small_disk(tmp_path / "out") as fill:
        fill()
        assert main([*arguments, "--seed", "7", "--output-format", format]) == 2
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["full"]
    *before, line = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line and f"jsd-7.{format}" in line
    assert not any("No space" in one or "Traceback" in one for one in before)


def test_a_disk_that_becomes_full_keeps_the_pictures_that_are_whole(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    with small_disk(tmp_path / "out") as fill:
        assert main([*arguments, "--seed", "7"]) == 0
        fill()
        assert main([*arguments, "--seed", "7"]) == 2
        assert {path.name for path in (tmp_path / "out").iterdir()} == {"full", "jsd-7.png"}
        with Image.open(tmp_path / "out" / "jsd-7.png") as image:
            image.load()
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]


def test_a_folder_that_cannot_be_made_on_a_full_disk_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", num_files=1):
        main([*arguments, "--output-dir", str(tmp_path / "disk" / "new")])
        assert not (tmp_path / "disk" / "new").exists()
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"jsd: {tmp_path / 'disk' / 'new'} must be a place") and "No space left on device" in line


@pytest.mark.parametrize(("language", "sentence"), [("ja", "描いてほしくないもの"), ("en", "should not show")])
def test_the_help_is_in_the_users_language(
    language: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSD_LANG", language)
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    assert sentence in " ".join(capsys.readouterr().out.split())


def test_a_model_without_a_safety_checker_says_so(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments)
    assert "no safety checker" in capsys.readouterr().err
