"""The request of a record: which of the files that are given it takes."""

from pathlib import Path

import pytest

from jsd.errors import InvalidInputError
from jsd.recorded import recorded_request


def test_two_lora_files_of_one_name_are_those_of_their_places(tmp_path: Path) -> None:
    """`adapter_model.safetensors` is what peft calls every one."""
    given = [tmp_path / folder / "w.safetensors" for folder in ("a", "b")]
    for path in given:
        path.parent.mkdir()
        path.touch()
    record = {"prompt": "猫", "seed": 0, "loras": ["w.safetensors:1.0", "w.safetensors:0.5"]}
    options = recorded_request(record, tmp_path, chosen={}, pictures={}, loras=[str(one) for one in given])
    assert options.loras == (f"{given[0]}:1.0", f"{given[1]}:0.5")


def test_a_lora_file_that_is_not_given_lies_beside_the_picture(tmp_path: Path) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).touch()
    record = {"prompt": "猫", "seed": 0, "loras": ["a.safetensors", "b.safetensors"]}
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.safetensors").touch()
    options = recorded_request(record, tmp_path, chosen={}, pictures={}, loras=[str(other / "b.safetensors")])
    assert options.loras == (f"{tmp_path}/a.safetensors:1.0", f"{other}/b.safetensors:1.0")


def test_the_weight_of_a_lora_file_is_the_records(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.touch()
    record = {"prompt": "猫", "seed": 0, "loras": ["a.safetensors:0.5"]}
    for given in (str(path), f"{path}:0.5"):
        options = recorded_request(record, tmp_path, chosen={}, pictures={}, loras=[given])
        assert options.loras == (f"{path}:0.5",)
    with pytest.raises(InvalidInputError, match="weight that the picture was drawn with"):
        recorded_request(record, tmp_path, chosen={}, pictures={}, loras=[f"{path}:1"])
