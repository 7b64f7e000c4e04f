"""The benchmark, end to end on the toy: two processes, one round."""

import json
from pathlib import Path

import pytest

from benchmarks import preview
from benchmarks.run import main
from runs.benchmark_tables import PAGES, TABLES, tables
from runs.blocks import read_block


def test_both_draw_the_same_picture_and_every_figure_is_written(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "reports" / "benchmark.json"
    arguments = ["--weights", str(toy_folder), "--dtypes", "float32", "--steps", "2", "--images", "1", "--rounds", "1"]
    assert main([*arguments, "--output", str(output)]) == 0
    report = json.loads(output.read_text("utf-8"))
    assert list(report["variants"]) == ["diffusers float32", "jsd float32"]
    for name, row in report["variants"].items():
        assert row["difference"] < 0.5 and row["largest_difference"] <= 1, (
            f"{name} draws another picture: the work compared is not the same"
        )
        assert all(value > 0 for key, value in row.items() if "difference" not in key), (name, row)
    assert report["ratios"]["jsd float32"]["image_seconds"] == pytest.approx(
        report["variants"]["diffusers float32"]["image_seconds"] / report["variants"]["jsd float32"]["image_seconds"]
    )
    assert "| jsd float32 |" in capsys.readouterr().out


def test_a_preview_is_measured_beside_its_step(toy_folder: Path, tmp_path: Path) -> None:
    preview.main(["--weights", str(toy_folder), "--steps", "3", "--output", str(tmp_path / "preview.json")])
    result = json.loads((tmp_path / "preview.json").read_text("utf-8"))
    assert result["steps"] == 3 and 0 < result["preview_seconds"] < result["step_seconds"] * 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_documents_have_the_figures_of_the_results(page: Path) -> None:
    text = page.read_text("utf-8")
    assert {name: read_block(text, name) for name in TABLES} == tables()
