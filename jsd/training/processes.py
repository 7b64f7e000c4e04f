"""Several processes that train one model, as `accelerate launch -m jsd train …` and torchrun start them.

Each computes its own parts of a step; gradients are averaged, so that all hold the same weights, and the first writes.
Sums over processes go through buffers of a fixed layout: the same run gives the same bits.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn

from jsd.errors import CheckpointError, InvalidInputError

BUFFER = 1 << 24  # numbers in one message
TIMEOUT = timedelta(days=1)  # the others wait while the first encodes a corpus
PRECISIONS = ("no", "bf16")
SHARDED = ("FSDP", "DEEPSPEED", "MEGATRON_LM")


@dataclass(frozen=True)
class Processes:
    index: int = 0
    count: int = 1
    device: str | None = None  # of this one; None: whatever the machine has
    state: Any = None  # accelerate.PartialState

    @classmethod
    def launched(cls) -> "Processes":
        """As the environment says: alone, where nothing launched this process beside others."""
        for name in SHARDED:
            if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true":
                raise CheckpointError(
                    "train.sharded",
                    "every process holds the whole model, and accelerate is configured for {value}, which divides it; "
                    "choose multi-GPU or multi-CPU in accelerate config",
                    value=name,
                )
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available(), timeout=TIMEOUT)
        return cls(state.process_index, state.num_processes, str(state.device), state)

    @property
    def is_first(self) -> bool:
        return self.index == 0

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """What one of them finds missing and makes, the others then find."""
        if self.state is None:
            yield
        else:
            with self.state.main_process_first():
                yield

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        if self.count == 1:
            return
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        flat = torch.cat([one.flatten() for one in gradients])
        for part in torch.split(flat, BUFFER):
            torch.distributed.all_reduce(part)
        flat /= self.count
        for parameter, mean in zip(parameters, torch.split(flat, [one.numel() for one in gradients]), strict=True):
            parameter.grad = mean.view_as(parameter)

    def mean(self, value: Tensor) -> Tensor:
        if self.count == 1:
            return value
        total = value.detach().clone()
        torch.distributed.all_reduce(total)
        return total / self.count


def launched_precision() -> str | None:
    """What `accelerate launch --mixed_precision` asked for; None where nothing did."""
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION")
    if asked is not None and asked not in PRECISIONS:
        raise InvalidInputError(
            "options.choice",
            "{field} must be one of {choices}; got {value}",
            field="mixed_precision",
            choices=", ".join(PRECISIONS),
            value=asked,
        )
    return asked


def launched_accumulation() -> int | None:
    """What `accelerate launch --gradient_accumulation_steps` asked for; its default, 1, asks for nothing."""
    asked = os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1")
    return int(asked) if asked.isdecimal() and int(asked) > 1 else None
