"""Several processes that train one model, as `accelerate launch -m jsd train …` and torchrun start them.

Each computes its own parts of a step; gradients are averaged, so that all hold the same weights, and the first writes.
Sums over processes go through buffers of a fixed layout: the same run gives the same bits. With FSDP (arXiv 2304.11277)
each holds a share of the weights, of their averages and of the optimizer's state instead, and torch sums.
"""

import atexit
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from jsd.errors import CheckpointError, InvalidInputError
from jsd.rules import not_one_of
from jsd.training.recipes import Stage

BUFFER = 1 << 24  # numbers in one message
TIMEOUT = timedelta(days=1)  # the others wait while the first encodes a corpus
PRECISIONS = ("no", "bf16")
OTHERWISE_SHARDED = ("DEEPSPEED", "MEGATRON_LM")
OFFLOADED = "FSDP_OFFLOAD_PARAMS"


@dataclass(frozen=True)
class Processes:
    index: int = 0
    count: int = 1
    device: str | None = None  # of this one; None: whatever the machine has
    state: Any = None  # accelerate.PartialState
    is_divided: bool = False  # FSDP

    @classmethod
    def launched(cls) -> "Processes":
        """As the environment says: alone, where nothing launched this process beside others."""
        sharded = [name for name in OTHERWISE_SHARDED if _is_set(f"ACCELERATE_USE_{name}")]
        sharded += [OFFLOADED] if _is_set("ACCELERATE_USE_FSDP") and _is_set(OFFLOADED) else []
        if sharded:
            raise CheckpointError(
                "train.sharded",
                "accelerate is configured for {value}, which jsd does not do; choose multi-GPU, multi-CPU or FSDP "
                "without offloading in accelerate config",
                value=sharded[0],
            )
        count = os.environ.get("WORLD_SIZE") or "1"
        if not count.isdecimal():
            raise InvalidInputError(
                "train.world_size",
                "{field} must be the number of processes, as accelerate launch sets it, got {value}; unset it",
                field="WORLD_SIZE",
                value=repr(count),
            )
        if int(count) == 1:
            return cls()
        from accelerate import PartialState

        state = PartialState(cpu=not torch.cuda.is_available(), timeout=TIMEOUT)
        if state.backend == "gloo":  # its threads, left running, may abort a process that has ended
            atexit.register(state.destroy_process_group)
        is_divided = _is_set("ACCELERATE_USE_FSDP")
        return cls(state.process_index, state.num_processes, str(state.device), state, is_divided)

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

    def check(self, stage: Stage) -> None:
        """A network whose weights are divided is whole only while it is called."""
        if self.is_divided and (stage.objective != "denoising" or stage.text_weight > 0 or stage.adapter is not None):
            raise CheckpointError(
                "train.undivided",
                "the stage {stage} cannot be divided by FSDP, only stage1 and stage2 can; choose multi-GPU or "
                "multi-CPU in accelerate config",
                stage=stage.name,
            )

    def divide(self, networks: Iterable[nn.Module]) -> None:
        """Of each network, this process keeps its share of every layer; layers are gathered as they are called."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(torch.device(str(self.device)).type, (self.count,))
        for network in networks:
            layers = getattr(network, "_no_split_modules", None) or ()
            for module in reversed(list(network.modules())):  # what is within comes first
                if module is network or type(module).__name__ in layers:
                    fully_shard(module, mesh=mesh)

    def whole(self, state: Any) -> Any:
        """The tensors of `state`, put together of all shares; every process has to ask."""
        if not self.is_divided:
            return state
        return pytree.tree_map(lambda one: one.full_tensor().cpu() if hasattr(one, "full_tensor") else one, state)

    def share(self, whole: Tensor, like: Tensor) -> Tensor:
        """Of a tensor that every process has, what this one keeps of `like`."""
        if not self.is_divided:
            return whole
        from torch.distributed.tensor import DTensor, distribute_tensor

        if not isinstance(like, DTensor) or whole.shape != like.shape:
            return whole
        return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        if self.count == 1 or self.is_divided:
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


def _is_set(name: str) -> bool:
    return os.environ.get(name, "false").lower() == "true"


def launched_precision() -> str | None:
    """What `accelerate launch --mixed_precision` asked for; its default, "no", asks for nothing."""
    asked = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if asked not in PRECISIONS:
        raise not_one_of("mixed_precision", asked, PRECISIONS)
    return None if asked == "no" else asked


def launched_accumulation() -> int | None:
    """What `accelerate launch --gradient_accumulation_steps` asked for; its default, 1, asks for nothing."""
    asked = os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1")
    return int(asked) if asked.isdecimal() and int(asked) > 1 else None
