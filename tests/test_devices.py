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


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_cuda_gets_bf16_only_where_the_hardware_has_it(
    native: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a T4 answers: True, unless emulation is left out.
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native
    )
    assert fast_dtype(torch.device("cuda")) == expected


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
