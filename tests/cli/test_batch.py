import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from full_disk import small_files
from PIL import Image
from toy_checker import write_toy_checker
from traces import traces

from cli.conftest import Jsd
from jsd.cli import batch
from jsd.images.metadata import read_picture_file

ROWS = [{"prompt": f"猫 {number}", "seed": number, "num_inference_steps": 1} for number in range(3)]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.jsonl", ROWS)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def command(file: Path, out: Path, toy_folder: Path) -> list[str]:
    model = ["--weights", str(toy_folder), "--device", "cpu", "--dtype", "float32"]
    return ["batch", str(file), "--output-dir", str(out), *model]


def records(folder: Path) -> list[dict[str, Any]]:
    """Of whole lines: a kill may leave half a one."""
    return [json.loads(line) for line in (folder / "results.jsonl").read_bytes().split(b"\n")[:-1]]


def pictures(folder: Path) -> dict[str, int]:
    """name -> when written"""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[0-9]*.png")}


def test_every_row_becomes_its_picture(jsd: Jsd, command: list[str], file: Path, out: Path) -> None:
    write(file, [*ROWS, {**ROWS[0], "num_outputs": 2, "width": 64, "seed": None}])
    said = jsd(command)
    made = records(out)
    assert [(record["row"], len(record["files"])) for record in made] == [(1, 1), (2, 1), (3, 1), (4, 2)]
    for record in made:
        for name, seed in zip(record["files"], record["seeds"], strict=True):
            values = read_picture_file(out / name).values
            assert (values["prompt"], values["seed"]) == (record["options"]["prompt"], seed)
    assert made[3]["seeds"][1] == made[3]["seeds"][0] + 1 and made[3]["options"]["width"] == 64
    assert said.code == 0 and len(said.out) == 5 + 2, "each picture, the grid and the page are named"
    assert "4/4" in "".join(said.err), "no progress was shown"
    with Image.open(out / "grid.png") as grid:
        assert grid.size == (768, 512)
    assert "猫 2" in (out / "index.html").read_text("utf-8")


def test_the_estimate_counts_only_what_this_run_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "SECONDS_BETWEEN_LOG_LINES", 0)
    with batch.progress_bar(2_000, num_finished=1_000) as bar:
        for _ in range(2):
            time.sleep(0.1)
            bar.update()
        shown = re.search(r"1002/2000 \[\d\d:\d\d<(\d+):(\d\d)", str(bar))
    assert shown is not None, f"«{bar}» tells no time"
    seconds = int(shown[1]) * 60 + int(shown[2])
    assert seconds >= 90, f"998 rows of 0.1 s are to take {seconds} s"


@pytest.mark.parametrize(("seconds", "told"), [(0, ["0/3", "1/3", "2/3", "3/3"]), (3600, ["0/3", "3/3"])])
def test_progress_is_a_line_of_its_own_in_a_log_now_and_then(
    seconds: float, told: list[str], jsd: Jsd, command: list[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "SECONDS_BETWEEN_LOG_LINES", seconds)
    write(file, [{**row, "prompt": "🐱"} for row in ROWS])
    error = jsd(command).err
    assert "\r" not in "".join(error), "a line was drawn over"
    lines = [line for line in error if not line.startswith("jsd: row ")]
    estimates = [re.search(r"(\d/3) \[\d\d:\d\d<(\?|\d\d:\d\d)", line) for line in lines]
    assert all(estimates), f"a line is neither a sentence nor the progress: {lines}"
    assert list(dict.fromkeys(found[1] for found in estimates if found)) == told
    assert all(found[2] != "?" for found in estimates[1:] if found), "no estimate once a row was drawn"


def test_a_bad_row_is_reported_by_number_and_the_others_are_drawn(
    jsd: Jsd, command: list[str], file: Path, out: Path
) -> None:
    write(
        file, [ROWS[0], {"prompt": "猫", "steps": 3}, {**ROWS[1], "width": 33}, {**ROWS[1], "image": "no.png"}, ROWS[2]]
    )
    said = jsd(command)
    assert said.code == 2 and len(pictures(out)) == 2
    for words in ("row 2: steps", "row 3: width", "row 4: image", "3 of 5", "index.html"):
        assert words in "\n".join(said.err), f"«{words}» was not said"
    page = (out / "index.html").read_text("utf-8")
    assert all(f"row {number}" in page for number in (2, 3, 4))


def test_what_a_row_loses_is_told_and_recorded(jsd: Jsd, command: list[str], file: Path, out: Path) -> None:
    write(file, [ROWS[0], {**ROWS[1], "prompt": "🐱"}])
    assert "row 2: prompt: " in "\n".join(jsd(command).err)
    assert "🐱" in records(out)[1]["notes"][0]["message"]


def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(jsd: Jsd, command: list[str], out: Path) -> None:
    with small_files(500):
        said = jsd(command)
    assert said.code == 2 and "output" in said.err[-1]
    assert {path.name for path in out.iterdir()} == {".lock", "results.jsonl"}
    assert jsd(command).code == 0, "the same command does not go on once there is room"
    assert len(pictures(out)) == 3


def test_a_corrected_file_draws_only_what_failed_is_new_or_was_removed(
    jsd: Jsd, command: list[str], file: Path, out: Path
) -> None:
    write(file, [ROWS[0], {**ROWS[1], "width": 33}])
    assert jsd(command).code == 2
    before = pictures(out)
    write(file, [ROWS[2], ROWS[0], ROWS[1]])
    assert jsd(command).code == 0
    after = pictures(out)
    assert len(after) == 3 and before.items() < after.items(), "a finished row was drawn again"
    removed = out / records(out)[-1]["files"][0]
    bytes_before = removed.read_bytes()
    removed.unlink()
    assert jsd(command).code == 0 and removed.read_bytes() == bytes_before
    assert jsd(command, "--device", "nowhere").code == 0, "nothing is left to do, and a model was loaded"


def test_another_format_or_style_is_drawn_anew_and_the_first_one_is_kept(
    jsd: Jsd, command: list[str], file: Path, out: Path
) -> None:
    write(file, [ROWS[0], {**ROWS[1], "prompt": "桜\nネガティブ: 猫", "style": "油絵"}])
    assert jsd(command).code == 0
    before = pictures(out)
    assert jsd(command, "--output-format", "webp").code == 0
    assert len(list(out.glob("[0-9]*.webp"))) == 2 and pictures(out) == before
    assert jsd(command, "--style", "水彩画").code == 0
    assert records(out)[-1]["options"]["style"] == "水彩画"
    assert len(pictures(out)) == 3, "the row that names its style has it already"
    assert jsd(command, "--style", "水彩画").code == 0 and len(pictures(out)) == 3


def test_a_killed_run_goes_on_where_it_was(jsd: Jsd, command: list[str], file: Path, out: Path) -> None:
    count = 20
    write(file, [{"prompt": f"猫 {number}", "num_inference_steps": 4} for number in range(count)])
    process = subprocess.Popen(
        [sys.executable, "-m", "jsd", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        for _ in range(12_000):
            if (out / "results.jsonl").is_file() and len(records(out)) >= 3:
                break
            assert process.poll() is None, "the run ended by itself"
            time.sleep(0.01)
        assert jsd(command).refuses("another run")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # What a kill in the middle of a write leaves.
    with (out / "results.jsonl").open("ab") as results:
        results.write(b'{"row": 99, "key"')
    done = {name for record in records(out) for name in record["files"]}
    before = pictures(out)
    assert 3 <= len(done) < count, "the run was not killed in the middle"
    assert jsd(command).code == 0
    after = pictures(out)
    assert [record["row"] for record in records(out)] == list(range(1, count + 1)), "a row was lost or drawn twice"
    assert all(after[name] == before[name] for name in done), "a finished row was drawn again"
    assert set(after) == {name for record in records(out) for name in record["files"]}, "a picture belongs to no row"
    assert not list(out.glob(".*.tmp*")), "a half-written file was left"


def test_another_model_is_refused(jsd: Jsd, command: list[str], file: Path, out: Path) -> None:
    write(file, ROWS[:1])
    jsd(command)
    record = json.loads((out / "results.jsonl").read_text("utf-8"))
    (out / "results.jsonl").write_text(json.dumps({**record, "model_sha256": "another"}) + "\n", "utf-8")
    write(file, ROWS[:2])
    said = jsd(command)
    assert said.code == 2 and "another" in said.err[-1]


@pytest.mark.parametrize("content", ["", "prompt,steps\na,3\n"])
def test_a_file_that_is_wrong_as_a_whole_is_one_line(
    content: str, jsd: Jsd, command: list[str], file: Path, out: Path
) -> None:
    table = file.with_suffix(".csv")
    table.write_text(content)
    assert jsd("batch", table, command[2:]).refuses() and not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--style", "ピカソ風"], "style"),
        (["--engine", "dask"], "engine"),
        (["--workers", "2"], "workers is for the engine ray"),
        (["--ray-address", "a:1"], "ray_address is for the engine ray"),
        (["--engine", "ray", "--workers", "0"], "workers"),
    ],
)
def test_what_the_command_cannot_do_is_refused_before_any_row(
    arguments: list[str], words: str, jsd: Jsd, command: list[str], out: Path
) -> None:
    assert jsd(command, arguments).refuses(words) and not out.exists()


def test_a_withheld_picture_is_told_and_its_row_is_finished(
    jsd: Jsd, command: list[str], file: Path, out: Path, toy_folder: Path, tmp_path: Path
) -> None:
    write(file, [{**ROWS[0], "num_outputs": 3}])
    jsd(command)
    names = records(out)[0]["files"]
    guarded = shutil.copytree(toy_folder, tmp_path / "guarded")
    with Image.open(out / names[1]) as picture:
        write_toy_checker(guarded, unsafe=[picture.convert("RGB")])
    said = jsd(command, "--weights", guarded, "--output-dir", tmp_path / "checked")
    (record,) = records(tmp_path / "checked")
    assert record["files"] == [names[0], names[2]] and record["seeds"] == [0, 2]
    assert [withheld["seed"] for withheld in record["withheld"]] == [1]
    assert said.code == 0 and any(line.startswith("jsd: row 1: seed 1 ") for line in said.err)


@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_no_metadata_leaves_nothing_in_any_file(
    format: str, jsd: Jsd, command: list[str], file: Path, out: Path
) -> None:
    write(file, ROWS[:1])
    command += ["--output-format", format]
    assert jsd(command, "--no-metadata").code == 0
    (bare,) = out.glob(f"[0-9]*.{format}")
    assert traces(bare) == traces(out / "grid.png") == set()
    with Image.open(bare) as image:
        pixels = image.tobytes()
    assert jsd(command).code == 0, "it is drawn again, with metadata"
    (full,) = {*out.glob(f"[0-9]*.{format}")} - {bare}
    with Image.open(full) as image:
        assert traces(full) != set() and image.tobytes() == pixels, "the metadata changed the picture"


@pytest.mark.parametrize("format", ["webp", "jpg"])
def test_a_lower_quality_is_a_smaller_file(
    format: str, jsd: Jsd, command: list[str], file: Path, tmp_path: Path
) -> None:
    write(file, ROWS[:1])
    sizes = []
    for quality in (0, 80, 100):
        folder = tmp_path / str(quality)
        words = ["--output-format", format, "--output-quality", quality, "--output-dir", folder]
        assert jsd(command, words).code == 0
        sizes += [path.stat().st_size for path in folder.glob(f"[0-9]*.{format}")]
    assert len(sizes) == 3 and sizes == sorted(set(sizes))
