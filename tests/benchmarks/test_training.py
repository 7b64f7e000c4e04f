"""Our step and the example's, on the toy: each is measured as often as was asked, and says in which format."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import training
from jsd.training.starting import TrainOptions


@pytest.mark.parametrize("capabilities", [(), ("avx512_bf16",), ("amx_bf16",)])
def test_each_step_is_measured_in_the_format_that_is_fast_for_training(
    capabilities: tuple[str, ...], toy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(capabilities, True))
    output = tmp_path / "training.json"
    asked = ["--batch", "2", "--steps", "2", "--rounds", "2", "--output", str(output)]
    training.main(["--weights", str(toy_folder), *asked])
    report = json.loads(output.read_text("utf-8"))
    assert {name: len(seconds) for name, seconds in report["step_seconds"].items()} == dict.fromkeys(
        training.VARIANTS, 4
    )
    assert all(rate > 0 for rate in report["pictures_a_second"].values())
    assert ("bfloat16" in report["where"]) == (capabilities == ("amx_bf16",))


def test_a_run_that_names_no_format_is_in_float32() -> None:
    """bfloat16 on a CPU that does not compute with it takes fifteen times as long."""
    assert TrainOptions(Path("corpus"), Path("output")).mixed_precision == "no"
