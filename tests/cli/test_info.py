import json
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cli.conftest import Jsd
from jsd.images import save_image

RECORD = {"prompt": "猫 油絵", "negative_prompt": "", "seed": 0, "image": None, "model": "mini"}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    save_image(Image.new("RGB", (16, 8)), tmp_path / "a.png", metadata=RECORD)
    return tmp_path / "a.png"


def with_text(path: Path, key: str, text: str) -> Path:
    pnginfo = PngInfo()
    pnginfo.add_itxt(key, text)
    Image.new("RGB", (4, 4)).save(path, pnginfo=pnginfo)
    return path


def test_it_prints_what_the_file_says(jsd: Jsd, picture: Path) -> None:
    rows = dict(line.split(maxsplit=1) for line in jsd("info", picture).out if " " in line.strip())
    assert (rows["file"], rows["prompt"], rows["seed"], rows["model"]) == ("PNG 16x8", "猫 油絵", "0", "mini")
    assert rows["digital_source_type"].endswith("trainedAlgorithmicMedia")
    assert "image" not in rows, "what is unset is not shown"


def test_labels_are_in_the_users_language_and_options_have_their_names(
    jsd: Jsd, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JSD_LANG", "ja")
    names = [line.split()[0] for line in jsd("info", picture).out]
    assert not names[0].isascii() and {"prompt", "seed", "model"} <= set(names)


def test_json_holds_all_of_it(jsd: Jsd, picture: Path) -> None:
    output = "\n".join(jsd("info", picture, "--json").out)
    said = json.loads(output)
    assert (said["source"], said["values"], said["format"], said["size"]) == ("jsd", RECORD, "PNG", [16, 8])
    assert "猫" in output, "Japanese must stay readable"


def test_another_tools_file_is_shown_and_cannot_steer_the_terminal(jsd: Jsd, tmp_path: Path) -> None:
    text = "cat \x1b[31m\nSteps: 20, Sampler: Euler a, Seed: 3, Made \x9b: x"
    output = "\n".join(jsd("info", with_text(tmp_path / "b.png", "parameters", text)).out)
    assert "K_EULER_ANCESTRAL" in output and "U+001B" in output and not set(output) & {"\x1b", "\x9b"}


@pytest.mark.parametrize(
    "record",
    ["{broken", "[1, 2]", "{}", '{"a":' * 5000, '{"seed": NaN}', '{"seed": 1e400}', '{"seed": ' + "9" * 5000 + "}"],
)
def test_a_record_that_is_no_json_says_nothing(record: str, jsd: Jsd, tmp_path: Path) -> None:
    assert jsd("info", with_text(tmp_path / "d.png", "jsd", record), "--json").refuses()


def test_another_tools_numbers_are_json_too(jsd: Jsd, tmp_path: Path) -> None:
    text = "cat\nSteps: 20, Sampler: Euler a, CFG scale: 1e999, Denoising strength: nan"
    output = "\n".join(jsd("info", with_text(tmp_path / "e.png", "parameters", text), "--json").out)
    assert json.loads(output, parse_constant=pytest.fail)["values"]["guidance_scale"] == "1e999"


@pytest.mark.parametrize("content", ["nothing", "damaged", "text", "empty", "folder", "missing"])
def test_what_says_nothing_is_one_line(content: str, jsd: Jsd, tmp_path: Path) -> None:
    path = tmp_path / "c.png"
    if content == "nothing":
        Image.new("RGB", (4, 4)).save(path)
    elif content == "folder":
        path.mkdir()
    elif content != "missing":
        path.write_bytes({"damaged": b"\x89PNG\r\n\x1a\n", "text": b"words", "empty": b""}[content])
    assert jsd("info", path).refuses("c.png")
