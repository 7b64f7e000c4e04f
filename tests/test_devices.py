"""Which device and number format: decided by what the hardware says, here by one answer of torch each."""

from collections.abc import Callable

import pytest
import torch

from jsd.devices import choose_placement, fast_dtype
from jsd.errors import InvalidInputError

CPU_CAPABILITIES = torch.cpu.get_capabilities()


def test_half_precision_on_a_cpu_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidInputError, match="slow") as caught:
        choose_placement("cpu", "float16")
    assert caught.value.field == "dtype"


def test_the_cpu_never_gets_float16_by_itself() -> None:
    fast = CPU_CAPABILITIES.get("avx512_bf16", False) or CPU_CAPABILITIES.get("amx_bf16", False)
    expected = torch.bfloat16 if fast else torch.float32
    assert choose_placement("cpu").dtype == expected


def test_a_cpu_without_bf16_instructions_gets_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    assert fast_dtype(torch.device("cpu")) == torch.float32


def test_no_cpu_gets_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities in ({}, {"avx512_bf16": True}, {"amx_bf16": True}, {"amx_fp16": True, "avx512_fp16": True}):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert fast_dtype(torch.device("cpu")) != torch.float16, capabilities


@pytest.mark.parametrize("instructions", ["avx512_bf16", "amx_bf16"])
def test_a_cpu_with_bf16_instructions_gets_bfloat16(instructions: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {instructions: True})
    assert fast_dtype(torch.device("cpu")) == torch.bfloat16


CARDS = {
    "V100": ((7, 0), torch.float16),
    "T4": ((7, 5), torch.float16),  # emulates bfloat16
    "A100": ((8, 0), torch.bfloat16),
    "RTX 3090": ((8, 6), torch.bfloat16),
    "L4": ((8, 9), torch.bfloat16),
    "H200": ((9, 0), torch.bfloat16),
    "RTX 5090": ((12, 0), torch.bfloat16),
}


@pytest.mark.parametrize("card", CARDS)
def test_cuda_gets_bf16_only_where_the_hardware_has_it(card: str, monkeypatch: pytest.MonkeyPatch) -> None:
    capability, expected = CARDS[card]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert fast_dtype(torch.device("cuda")) == expected


def test_the_card_that_is_asked_for_decides_not_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = torch.device("cuda:0"), torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "get_device_capability", {first: (8, 0), second: (7, 5)}.__getitem__)
    assert (fast_dtype(first), fast_dtype(second)) == (torch.bfloat16, torch.float16)


def test_mps_gets_float16() -> None:
    assert fast_dtype(torch.device("mps")) == torch.float16


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine with so many T4s, and with Apple's MPS or without."""

    def has(*, cards: int = 0, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return has


@pytest.mark.parametrize(
    ("cards", "mps", "expected"),
    [(1, False, "cuda, float16"), (2, True, "cuda, float16"), (0, True, "mps, float16"), (0, False, "cpu, float32")],
)
def test_cuda_comes_before_mps_and_mps_before_the_cpu(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch, cards: int, mps: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    machine(cards=cards, mps=mps)
    assert str(choose_placement()) == expected


@pytest.mark.parametrize("device", ["cpu", "mps", "cuda", "cuda:1"])
def test_a_device_that_is_there_can_be_asked_for(machine: Callable[..., None], device: str) -> None:
    machine(cards=2, mps=True)
    assert choose_placement(device, "float32").device == torch.device(device)


@pytest.mark.parametrize(
    ("device", "available"), [("cuda", "mps, cpu"), ("cuda:0", "mps, cpu"), ("mps:1", "mps, cpu"), ("xpu", "mps, cpu")]
)
def test_what_is_there_instead_is_named(machine: Callable[..., None], device: str, available: str) -> None:
    machine(mps=True)
    with pytest.raises(InvalidInputError) as caught:
        choose_placement(device)
    assert caught.value.params == {"field": "device", "choices": available, "value": repr(device)}
    assert "\n" not in str(caught.value)


def test_a_second_card_where_there_is_one_is_refused(machine: Callable[..., None]) -> None:
    machine(cards=1)
    with pytest.raises(InvalidInputError, match="cuda:1"):
        choose_placement("cuda:1")


@pytest.mark.parametrize(("device", "dtype"), [("cuda", "bfloat16"), ("cuda", "float32"), ("mps", "bfloat16")])
def test_a_dtype_that_is_asked_for_is_kept_on_a_gpu(machine: Callable[..., None], device: str, dtype: str) -> None:
    machine(cards=1, mps=True)
    assert str(choose_placement(device, dtype)) == f"{device}, {dtype}"


@pytest.mark.parametrize("there", [{"cards": 1}, {"mps": True}, {}], ids=["cuda", "mps", "cpu only"])
def test_the_cpu_refuses_float16_whatever_else_is_there(machine: Callable[..., None], there: dict[str, int]) -> None:
    machine(**there)
    with pytest.raises(InvalidInputError) as caught:
        choose_placement("cpu", "float16")
    assert caught.value.code == "device.cpu_float16"


def test_an_asked_for_device_and_dtype_are_kept() -> None:
    placement = choose_placement("cpu", "float32")
    assert str(placement) == "cpu, float32"


@pytest.mark.parametrize("device", ["tpu", "gpu0", "", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused_by_name(device: str) -> None:
    with pytest.raises(InvalidInputError, match="cpu") as caught:
        choose_placement(device)
    assert caught.value.field == "device"


def test_an_unknown_dtype_is_refused_by_name() -> None:
    with pytest.raises(InvalidInputError, match="bfloat16") as caught:
        choose_placement("cpu", "fp8")
    assert caught.value.field == "dtype"
