"""Networks on their device: the weights of a folder, and what no file holds."""

from pathlib import Path

import pytest
import torch
from toy_checker import write_toy_checker
from toy_sdxl import write_toy_sdxl_folder

from jsd.models.components import load_components, load_network
from jsd.models.weights import checker_places


@pytest.mark.parametrize("is_sdxl", [False, True])
def test_all_of_a_network_is_on_the_device_its_position_ids_too(
    is_sdxl: bool, toy_folder: Path, tmp_path: Path
) -> None:
    """`meta` stands for a GPU: it too is another device than the one that computes what no file holds."""
    folder = write_toy_sdxl_folder(tmp_path / "sdxl") if is_sdxl else toy_folder
    networks = load_components(folder, torch.device("meta"), torch.float32)
    for name, network in networks.items():
        places = {one.device.type for one in (*network.parameters(), *network.buffers())}
        assert places == {"meta"}, name
    assert any(True for _ in networks["text_encoder"].buffers()), "the encoder has position ids"


def test_the_safety_checker_is_too(tmp_path: Path) -> None:
    write_toy_checker(tmp_path)
    place, _processor = checker_places(tmp_path)
    checker = load_network(place, "safety_checker", torch.device("meta"), torch.float32)
    assert {one.device.type for one in (*checker.parameters(), *checker.buffers())} == {"meta"}
