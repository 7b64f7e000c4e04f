import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from toy_checker import write_toy_checker
from traces import traces

from jsd.cli import batch, main
from jsd.images.metadata import read_picture_file

ROWS = [{"prompt": f"猫 {number}", "seed": number, "num_inference_steps": 1} for number in range(3)]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return path


def command(file: Path, toy_folder: Path) -> list[str]:
    model = ["--weights", str(toy_folder), "--device", "cpu", "--dtype", "float32"]
    return ["batch", str(file), "--output-dir", str(file.parent / "out"), *model]


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_bytes().splitlines()]


def pictures(folder: Path) -> dict[str, int]:
    """name -> when written"""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("[0-9]*.png")}


def test_every_row_becomes_its_picture(toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "rows.jsonl", [*ROWS, {**ROWS[0], "num_outputs": 2, "width": 64, "seed": None}])
    assert main(command(file, toy_folder)) == 0
    made = records(tmp_path / "out")
    assert [(record["row"], len(record["files"])) for record in made] == [(1, 1), (2, 1), (3, 1), (4, 2)]
    for record in made:
        for name, seed in zip(record["files"], record["seeds"], strict=True):
            said = read_picture_file(tmp_path / "out" / name).values
            assert (said["prompt"], said["seed"]) == (record["options"]["prompt"], seed)
    assert made[3]["seeds"][1] == made[3]["seeds"][0] + 1 and made[3]["options"]["width"] == 64
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 5 + 2, "each picture, the grid and the page are named"
    assert "4/4" in captured.err, "no progress was shown"
    with Image.open(tmp_path / "out" / "grid.png") as grid:
        assert grid.size == (768, 512)
    assert "猫 2" in (tmp_path / "out" / "index.html").read_text("utf-8")


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


def test_progress_with_an_estimate_is_a_line_of_its_own_in_a_log(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "SECONDS_BETWEEN_LOG_LINES", 0)
    file = write(tmp_path / "rows.jsonl", [{**row, "prompt": "🐱"} for row in ROWS])
    assert main(command(file, toy_folder)) == 0
    error = capsys.readouterr().err
    assert "\r" not in error, "a line was drawn over"
    told = [line for line in error.splitlines() if not line.startswith("jsd: row ")]
    estimates = [re.search(r"(\d/3) \[\d\d:\d\d<(\?|\d\d:\d\d)", line) for line in told]
    assert all(estimates), f"a line is neither a sentence nor the progress: {told}"
    assert dict.fromkeys(found[1] for found in estimates if found) == dict.fromkeys(["0/3", "1/3", "2/3", "3/3"])
    assert all(found[2] != "?" for found in estimates[1:] if found), "no estimate once a row was drawn"


def test_a_log_hears_of_the_progress_only_now_and_then(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "SECONDS_BETWEEN_LOG_LINES", 3600)
    assert main(command(write(tmp_path / "rows.jsonl", ROWS * 3), toy_folder)) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "/9 [" in line]
    assert len(told) == 2, "at the start and at the end"


def test_a_bad_row_is_reported_by_number_and_the_others_are_drawn(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [ROWS[0], {"prompt": "猫", "steps": 3}, {**ROWS[1], "width": 33}, {**ROWS[1], "image": "no.png"}, ROWS[2]]
    file = write(tmp_path / "rows.jsonl", rows)
    assert main(command(file, toy_folder)) == 2
    error = capsys.readouterr().err
    for words in ("row 2: steps", "row 3: width", "row 4: image", "3 of 5 rows failed", "index.html"):
        assert words in error, f"«{words}» was not said"
    assert len(pictures(tmp_path / "out")) == 2
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert all(f"row {number}" in page for number in (2, 3, 4))


def test_what_a_row_loses_is_told_and_recorded(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(write(tmp_path / "rows.jsonl", [ROWS[0], {**ROWS[1], "prompt": "🐱"}]), toy_folder)) == 0
    assert "row 2: prompt: " in capsys.readouterr().err
    assert "🐱" in records(tmp_path / "out")[1]["notes"][0]["message"]


def test_a_full_disk_stops_the_run_and_leaves_nothing_half_written(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "rows.jsonl", ROWS)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        assert main(command(file, toy_folder)) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "output" in capsys.readouterr().err.splitlines()[-1]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.jsonl"]
    assert main(command(file, toy_folder)) == 0, "the same command does not go on once there is room"
    assert len(pictures(tmp_path / "out")) == 3


def test_a_corrected_file_draws_only_what_failed_or_is_new(toy_folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", [ROWS[0], {**ROWS[1], "width": 33}])
    assert main(command(file, toy_folder)) == 2
    before = pictures(tmp_path / "out")
    write(file, [ROWS[2], ROWS[0], ROWS[1]])
    assert main(command(file, toy_folder)) == 0
    after = pictures(tmp_path / "out")
    assert len(after) == 3 and before.items() < after.items(), "a finished row was drawn again"


def test_another_format_is_drawn_anew_and_the_first_one_is_kept(toy_folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", ROWS)
    assert main(command(file, toy_folder)) == 0
    before = pictures(tmp_path / "out")
    assert main([*command(file, toy_folder), "--output-format", "webp"]) == 0
    assert len(list((tmp_path / "out").glob("[0-9]*.webp"))) == len(ROWS)
    assert pictures(tmp_path / "out") == before


def test_a_picture_that_was_removed_is_drawn_again(toy_folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", ROWS)
    main(command(file, toy_folder))
    name = records(tmp_path / "out")[1]["files"][0]
    before = (tmp_path / "out" / name).read_bytes()
    (tmp_path / "out" / name).unlink()
    assert main(command(file, toy_folder)) == 0
    assert (tmp_path / "out" / name).read_bytes() == before


def test_a_killed_run_goes_on_where_it_was(toy_folder: Path, tmp_path: Path) -> None:
    count = 20
    rows = [{"prompt": f"猫 {number}", "num_inference_steps": 4} for number in range(count)]
    file, out = write(tmp_path / "rows.jsonl", rows), tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "jsd", *command(file, toy_folder)],
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
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # What a kill in the middle of a write leaves.
    with (out / "results.jsonl").open("ab") as results:
        results.write(b'{"row": 99, "key"')
    done = {name for record in records_of_whole_lines(out) for name in record["files"]}
    before = pictures(out)
    assert 3 <= len(done) < count, "the run was not killed in the middle"
    assert main(command(file, toy_folder)) == 0
    after = pictures(out)
    assert [record["row"] for record in records(out)] == list(range(1, count + 1)), "a row was lost or drawn twice"
    assert all(after[name] == before[name] for name in done), "a finished row was drawn again"
    assert set(after) == {name for record in records(out) for name in record["files"]}, "a picture belongs to no row"
    assert not list(out.glob(".*")), "a half-written file was left"


def records_of_whole_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_bytes().split(b"\n")[:-1]]


def test_nothing_left_to_do_loads_no_model(toy_folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", ROWS[:1])
    main(command(file, toy_folder))
    assert main([*command(file, toy_folder), "--device", "nowhere"]) == 0


def test_another_model_is_refused(toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "rows.jsonl", ROWS[:1])
    main(command(file, toy_folder))
    results = tmp_path / "out" / "results.jsonl"
    record = json.loads(results.read_text("utf-8"))
    results.write_text(json.dumps({**record, "model_sha256": "another"}) + "\n", "utf-8")
    write(file, ROWS[:2])
    assert main(command(file, toy_folder)) == 2
    assert "another" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(("name", "content"), [("rows.jsonl", ""), ("rows.csv", "prompt,steps\na,3\n")])
def test_a_file_that_is_wrong_as_a_whole_is_one_line(
    name: str, content: str, toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    assert main(command(tmp_path / name, toy_folder)) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1 and not (tmp_path / "out").exists()


def test_a_style_is_every_rows_that_names_none(toy_folder: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", [ROWS[0], {**ROWS[1], "prompt": "桜\nネガティブ: 猫"}])
    assert main([*command(file, toy_folder), "--style", "油絵"]) == 0
    drawn = records(tmp_path / "out")
    assert [record["options"]["style"] for record in drawn] == ["油絵", "油絵"]
    before = pictures(tmp_path / "out")
    assert main([*command(file, toy_folder), "--style", "油絵"]) == 0
    assert pictures(tmp_path / "out") == before, "a finished row was drawn again"
    assert main([*command(file, toy_folder), "--style", "水彩画"]) == 0
    assert len(pictures(tmp_path / "out")) == 4, "another style is another picture"


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
    arguments: list[str], words: str, toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command(write(tmp_path / "rows.jsonl", ROWS), toy_folder), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line and not (tmp_path / "out").exists()


def test_a_withheld_picture_is_told_and_its_row_is_finished(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "rows.jsonl", [{**ROWS[0], "num_outputs": 3}])
    main(command(file, toy_folder))
    names = records(tmp_path / "out")[0]["files"]
    guarded = shutil.copytree(toy_folder, tmp_path / "guarded")
    with Image.open(tmp_path / "out" / names[1]) as picture:
        write_toy_checker(guarded, unsafe=[picture.convert("RGB")])
    file = write(tmp_path / "guarded" / "rows.jsonl", [{**ROWS[0], "num_outputs": 3}])
    capsys.readouterr()
    assert main(command(file, guarded)) == 0
    (record,) = records(guarded / "out")
    assert record["files"] == [names[0], names[2]] and record["seeds"] == [0, 2]
    assert [withheld["seed"] for withheld in record["withheld"]] == [1]
    assert "row 1: seed 1 is withheld" in capsys.readouterr().err


@pytest.mark.parametrize("format", ["png", "webp", "jpg"])
def test_no_metadata_leaves_nothing_in_any_file(format: str, toy_folder: Path, tmp_path: Path) -> None:
    words = [*command(write(tmp_path / "rows.jsonl", ROWS[:1]), toy_folder), "--output-format", format]
    assert main([*words, "--no-metadata"]) == 0
    (bare,) = (tmp_path / "out").glob(f"[0-9]*.{format}")
    assert traces(bare) == traces(tmp_path / "out" / "grid.png") == set()
    with Image.open(bare) as image:
        pixels = image.tobytes()
    assert main(words) == 0, "it is drawn again, with metadata"
    (full,) = {*(tmp_path / "out").glob(f"[0-9]*.{format}")} - {bare}
    with Image.open(full) as image:
        assert traces(full) != set() and image.tobytes() == pixels, "the metadata changed the picture"


@pytest.mark.parametrize("format", ["webp", "jpg"])
def test_a_lower_quality_is_a_smaller_file(format: str, toy_folder: Path, tmp_path: Path) -> None:
    words = [*command(write(tmp_path / "rows.jsonl", ROWS[:1]), toy_folder), "--output-format", format]
    sizes = []
    for quality in (0, 80, 100):
        folder = tmp_path / str(quality)
        assert main([*words, "--output-quality", str(quality), "--output-dir", str(folder)]) == 0
        sizes += [path.stat().st_size for path in folder.glob(f"[0-9]*.{format}")]
    assert len(sizes) == 3 and sizes == sorted(set(sizes))
