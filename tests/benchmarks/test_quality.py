"""The table of ways to draw: each beside the reference, in what it costs and in what it changes."""

import json
from pathlib import Path

import pytest

from benchmarks import quality


def test_fewer_steps_and_less_guidance_cost_less_and_are_further_from_the_reference(
    toy_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "quality.json"
    asked = ["--prompts", "3", "--steps", "2", "4", "8", "--reference-steps", "8", "--schedulers", quality.DEFAULT]
    quality.main(["--weights", str(toy_folder), *asked, "--intervals", "0:1", "0.4:0.6", "--output", str(output)])
    rows = {(row["steps"], *row["interval"]): row for row in json.loads(output.read_text("utf-8"))["rows"]}
    whole = [rows[steps, 0, 1] for steps in (8, 4, 2)]
    assert [row["unet_share"] for row in whole] == [1, 0.5, 0.25]
    assert whole[0]["difference"] == 0 < whole[1]["difference"] < whole[2]["difference"]
    assert whole[0]["standard_error"] == 0 < whole[1]["standard_error"]
    for steps in (8, 4, 2):
        assert steps / 16 <= rows[steps, 0.4, 0.6]["unet_share"] < rows[steps, 0, 1]["unet_share"]
    assert len([line for line in capsys.readouterr().out.splitlines() if line.startswith("| DPM")]) == 6
