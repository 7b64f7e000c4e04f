"""Which device and number format: decided by what the hardware says, here by one answer of torch each."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jsd.devices import choose_placement, fast_dtype, unusable_gpu
from jsd.errors import InvalidInputError, JsdError, Note
from jsd.serving.prediction import Service

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with CUDA cards of these compute capabilities, kernels that torch has for some, Apple's MPS or none, a
    CPU of these instructions."""

    def has(
        *cards: tuple[int, int],
        kernels: tuple[str, ...] = (),
        mps: bool = False,
        cpu: tuple[str, ...] = (),
        name: str = "AMD EPYC",
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: len(cards) > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: cards[device.index or 0])
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(kernels))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        capabilities = {**dict.fromkeys(cpu, True), "cpu_name": name}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)

    return has


@pytest.mark.parametrize(
    ("instructions", "name", "expected"),
    [
        ((), "AMD EPYC", torch.float32),
        (("avx2",), "Intel Xeon", torch.float32),
        (("avx512_fp16", "amx_fp16"), "Intel Xeon", torch.float32),  # no CPU gets float16
        (("avx512_bf16",), "AMD EPYC", torch.bfloat16),
        (("avx512_bf16",), "Intel Xeon", torch.float32),
        (("avx512_bf16", "amx_bf16"), "Intel Xeon", torch.bfloat16),
    ],
)
def test_a_cpu_gets_bfloat16_where_it_is_faster(
    machine: Machine, instructions: tuple[str, ...], name: str, expected: torch.dtype
) -> None:
    machine(cpu=instructions, name=name)
    assert choose_placement("cpu").dtype == expected
    in_training = torch.bfloat16 if "amx_bf16" in instructions else torch.float32
    assert fast_dtype(torch.device("cpu"), training=True) == in_training


def test_of_a_cpu_that_torch_tells_nothing_of_float32_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch 2.9 and 2.10."""
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert fast_dtype(torch.device("cpu")) == torch.float32


CARDS = {
    "V100": ((7, 0), torch.float16),
    "T4": ((7, 5), torch.float16),  # emulates bfloat16
    "A100": ((8, 0), torch.bfloat16),
    "L4": ((8, 9), torch.bfloat16),
    "H200": ((9, 0), torch.bfloat16),
    "RTX 5090": ((12, 0), torch.bfloat16),
}


@pytest.mark.parametrize("card", CARDS)
def test_cuda_gets_bf16_only_where_the_card_that_is_asked_for_has_it(machine: Machine, card: str) -> None:
    capability, expected = CARDS[card]
    machine((5, 0), capability)
    assert fast_dtype(torch.device("cuda:1")) == expected


T4 = (7, 5)


@pytest.mark.parametrize(
    ("cards", "mps", "expected"),
    [
        ([T4], False, "cuda, float16"),
        ([T4, T4], True, "cuda, float16"),
        ([], True, "mps, float16"),
        ([], False, "cpu, float32"),
    ],
)
def test_cuda_comes_before_mps_and_mps_before_the_cpu(
    machine: Machine, cards: list[tuple[int, int]], mps: bool, expected: str
) -> None:
    machine(*cards, mps=mps)
    assert str(choose_placement()) == expected


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda", "cuda:1"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_there_can_be_asked_for(machine: Machine, device: str, dtype: str) -> None:
    machine(T4, T4, mps=True)
    placement = choose_placement(device, dtype)
    assert (placement.device, str(placement)) == (torch.device(device), f"{device}, {dtype}")


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps:1", "xpu", "tpu", "gpu0", "", "meta"])
def test_what_is_there_instead_is_named(machine: Machine, device: str) -> None:
    machine(mps=True)
    with pytest.raises(InvalidInputError) as caught:
        choose_placement(device)
    assert caught.value.params == {"field": "device", "choices": "mps, cpu", "value": repr(device)}


def test_a_second_card_where_there_is_one_is_refused(machine: Machine) -> None:
    machine(T4)
    with pytest.raises(InvalidInputError, match="cuda:1"):
        choose_placement("cuda:1")


@pytest.mark.parametrize("there", [(), (T4,)])
def test_the_cpu_refuses_float16_whatever_else_is_there(machine: Machine, there: tuple[tuple[int, int], ...]) -> None:
    machine(*there, mps=bool(there))
    for dtype, code in (("float16", "device.cpu_float16"), ("fp8", "device.dtype")):
        with pytest.raises(InvalidInputError) as caught:
            choose_placement("cpu", dtype)
        assert (caught.value.field, caught.value.code) == ("dtype", code)


NVIDIA = {"present": True, "torch_sees_it": False, "hidden": None, "asked": None}


@pytest.mark.parametrize(
    ("changes", "is_said"),
    [
        ({}, True),
        ({"present": False}, False),
        ({"torch_sees_it": True}, False),
        ({"hidden": ""}, False),
        ({"hidden": "0"}, True),
        ({"asked": "cpu"}, False),
    ],
)
def test_a_gpu_that_torch_cannot_use_is_said_and_fails_the_image_unless_the_cpu_was_asked_for(
    changes: dict[str, Any], is_said: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = NVIDIA | changes
    for name, value in (("CUDA_VISIBLE_DEVICES", machine["hidden"]), ("JSD_DEVICE", machine["asked"])):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi" if machine["present"] else None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: machine["torch_sees_it"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75"])
    monkeypatch.setenv("JSD_WEIGHTS", str(tmp_path / "nowhere"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        choose_placement()
    assert [type(one.message) for one in said] == [Note] * is_said
    assert not is_said or "JSD_DEVICE=cpu" in str(said[0].message)
    with pytest.raises(JsdError) as error:
        Service.load()  # there is no model either
    assert (error.value.code == "device.unusable_gpu") == is_said


RELEASED = ("sm_75", "sm_80", "sm_86", "sm_90a", "sm_120")


@pytest.mark.parametrize(
    ("card", "kernels", "is_there"),
    [
        ((6, 1), RELEASED, False),
        ((7, 5), RELEASED, True),
        ((8, 9), RELEASED, True),  # as 8.6
        ((9, 0), RELEASED, True),
        ((10, 0), RELEASED, False),
        ((12, 1), RELEASED, True),
        ((8, 0), ("sm_75", "sm_86"), False),
        ((10, 0), ("sm_80", "compute_90"), True),  # the driver makes kernels of it
        ((8, 9), ("sm_75", "compute_90"), False),
        ((11, 0), ("gfx90a", "gfx1100"), True),  # of ROCm, which tells by itself
        ((5, 0), (), True),
    ],
)
def test_a_gpu_is_used_where_torch_has_kernels_for_it_and_said_where_it_has_none(
    card: tuple[int, int], kernels: tuple[str, ...], is_there: bool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    machine(card, kernels=kernels)
    assert (choose_placement().device.type, unusable_gpu() is None) == ("cuda" if is_there else "cpu", is_there)


def test_the_card_that_is_asked_for_is_the_one_that_needs_kernels(machine: Machine) -> None:
    machine((8, 6), (6, 1), kernels=RELEASED)
    assert choose_placement("cuda:0").device == torch.device("cuda:0")
    with pytest.raises(InvalidInputError, match="cuda:1"):
        choose_placement("cuda:1")
    machine((6, 1), (8, 6), kernels=RELEASED)
    assert choose_placement("cuda:1").device == torch.device("cuda:1")


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build  (dvs-builder@U16)",
    ],
    ids=["closed", "open"],
)
def test_the_driver_is_told_by_its_version(line: str, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: line)
    machine()
    said = unusable_gpu()
    assert said is not None and said.params["driver"] == "535.104.05"


def test_the_environment_names_the_device_and_an_argument_comes_before_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(T4)
    monkeypatch.setenv("JSD_DEVICE", "cpu")
    assert choose_placement().device.type == "cpu"
    assert choose_placement("cuda").device.type == "cuda"
    monkeypatch.setenv("JSD_DEVICE", "gpu")
    with pytest.raises(InvalidInputError, match=r"^JSD_DEVICE must .*gpu"):
        choose_placement()
