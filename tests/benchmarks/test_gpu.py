"""The run for a GPU, tried on a CPU with toys: whole, whatever one of its rows comes to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu
from jsd.models.random import model_configs


@pytest.mark.filterwarnings("default")
def test_every_row_is_measured_and_one_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    importer = gpu.importer

    def without_a_compiler(implementation: str) -> Callable[[], Any]:
        if implementation == "diffusers compiled":
            raise RuntimeError("no compiler")
        return importer(implementation)

    monkeypatch.setattr(gpu, "importer", without_a_compiler)
    output = tmp_path / "gpu.json"
    gpu.main(["--device", "cpu", "--size", "toy", "--steps", "2", "--images", "1", "--output", str(output)])
    report = json.loads(output.read_text("utf-8"))
    for name, model in report["models"].items():
        rows = {(row["implementation"], row["dtype"], row["batch"]): row for row in model["rows"]}
        for batch in gpu.BATCHES:
            ours, *others = (row for key, row in rows.items() if key[2] == batch)
            assert ours["difference"][1] <= 1 and all(row["difference"][1] < 16 for row in others), name
            assert any(row["ratio"] == 1 for row in others), "beside diffusers in the same format"
        guard = {
            "vae_overflows_in_float16": True,
            "and_is_finite_in_float32": True,
            "unet_of_nan": "generation.latents",
        }
        assert model["guard"] == guard
    assert [said.partition(":")[2] for said in report["not_run"]] == [" RuntimeError: no compiler"] * 2
    said = [line for line in capsys.readouterr().out.splitlines() if "T4" in line]
    assert len(said) == len(report["projections"]) == 4
    assert all(line.startswith("PROJECTION, not run") for line in said)


def test_a_step_counts_as_many_operations_as_were_published_of_it() -> None:
    """Stable Diffusion v1 with guidance: 2 x 803 GFLOP; its VAE's decoder 2515."""
    counted = gpu.count_flops(model_configs("full"))
    assert counted["step"] == pytest.approx(1.607e12, rel=0.01)
    assert counted["decode"] == pytest.approx(2.515e12, rel=0.01)
