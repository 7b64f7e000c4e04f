import json
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jsd.cli import main
from jsd.images import save_image

RECORD = {"prompt": "猫 油絵", "negative_prompt": "", "seed": 0, "image": None, "model": "mini"}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    save_image(Image.new("RGB", (16, 8)), tmp_path / "a.png", metadata=RECORD)
    return tmp_path / "a.png"


def test_it_prints_what_the_file_says(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(picture)]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if " " in line.strip())
    assert (rows["file"], rows["prompt"], rows["seed"], rows["model"]) == ("PNG 16x8", "猫 油絵", "0", "mini")
    assert rows["digital_source_type"].endswith("trainedAlgorithmicMedia")
    assert "image" not in rows, "what is unset is not shown"


def test_its_own_label_is_in_the_users_language_and_the_options_have_their_names(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSD_LANG", "ja")
    assert main(["info", str(picture)]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names[0] == "ファイル" and {"prompt", "seed", "model"} <= set(names)


def test_json_holds_all_of_it(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(picture), "--json"]) == 0
    output = capsys.readouterr().out
    said = json.loads(output)
    assert (said["source"], said["values"], said["format"], said["size"]) == ("jsd", RECORD, "PNG", [16, 8])
    assert "猫" in output, "Japanese must stay readable"


def test_another_tools_file_is_shown_and_cannot_steer_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pnginfo = PngInfo()
    pnginfo.add_text("parameters", "cat \x1b[31m\nSteps: 20, Sampler: Euler a, Seed: 3, Made \x9b: x")
    Image.new("RGB", (4, 4)).save(tmp_path / "b.png", pnginfo=pnginfo)
    assert main(["info", str(tmp_path / "b.png")]) == 0
    output = capsys.readouterr().out
    assert "K_EULER_ANCESTRAL" in output and "U+001B" in output
    assert "\x1b" not in output and "\x9b" not in output


@pytest.mark.parametrize(
    "record",
    ["{broken", "[1, 2]", "{}", '{"a":' * 5000, '{"seed": NaN}', '{"seed": 1e400}', '{"seed": ' + "9" * 5000 + "}"],
)
def test_a_record_that_is_no_json_says_nothing(record: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pnginfo = PngInfo()
    pnginfo.add_itxt("jsd", record)
    Image.new("RGB", (4, 4)).save(tmp_path / "d.png", pnginfo=pnginfo)
    assert main(["info", str(tmp_path / "d.png"), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 1


def test_another_tools_numbers_are_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pnginfo = PngInfo()
    pnginfo.add_itxt("parameters", "cat\nSteps: 20, Sampler: Euler a, CFG scale: 1e999, Denoising strength: nan")
    Image.new("RGB", (4, 4)).save(tmp_path / "e.png", pnginfo=pnginfo)
    assert main(["info", str(tmp_path / "e.png"), "--json"]) == 0

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert json.loads(capsys.readouterr().out, parse_constant=refuse)["values"]["guidance_scale"] == "1e999"


@pytest.mark.parametrize("content", ["nothing", "damaged", "text", "empty", "folder", "missing"])
def test_what_says_nothing_is_one_line_and_exit_code_2(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.png"
    if content == "nothing":
        Image.new("RGB", (4, 4)).save(path)
    elif content == "folder":
        path.mkdir()
    elif content != "missing":
        path.write_bytes({"damaged": b"\x89PNG\r\n\x1a\n", "text": b"words", "empty": b""}[content])
    assert main(["info", str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 1 and "c.png" in captured.err
