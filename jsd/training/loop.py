"""The one training loop: steps, EMA, schedule, checkpoints. What a step computes is the stage's, in `stages`."""

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from jsd.training.recipes import Stage

LogWriter = Callable[[int, dict[str, float]], None]


class Objective(Protocol):
    modules: nn.ModuleDict  # what the stage trains

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of the batch of this step: a function of the step alone, so that a resumed run sees the same batches."""
        ...


def learning_rate(stage: Stage, step: int) -> float:
    """Linear warm-up, then a cosine to one hundredth."""
    if step < stage.lr_warmup_steps:
        return stage.learning_rate * (step + 1) / stage.lr_warmup_steps
    progress = (step - stage.lr_warmup_steps) / max(1, stage.max_train_steps - stage.lr_warmup_steps)
    return stage.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, progress))) / 2)


class Ema:
    """Exponential moving average of the weights; young averages forget faster: min(decay, (1 + n) / (10 + n))."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        self.live = list(parameters)
        self.decay = decay
        self.shadow = [parameter.detach().clone() for parameter in self.live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.shadow, [p.detach() for p in self.live], 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the averages and the live weights; twice is nothing."""
        for shadow, live in zip(self.shadow, self.live, strict=True):
            kept = live.detach().clone()
            live.copy_(shadow)
            shadow.copy_(kept)


def save_atomically(state: object, path: Path) -> None:
    temporary = path.with_suffix(".partial")
    torch.save(state, temporary)
    os.replace(temporary, path)


def train(
    stage: Stage,
    objective: Objective,
    folder: Path,
    *,
    checkpointing_steps: int,
    autocast: torch.autocast,
    log: LogWriter,
    sample: Callable[[int], None] | None = None,
) -> Ema:
    """Run `stage` to its last step, from the checkpoint in `folder` where there is one. Returns the averages."""
    modules = objective.modules
    parameters = [p for p in modules.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=stage.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, foreach=True)
    ema = Ema(parameters, stage.ema_decay)
    path = folder / "checkpoint.pt"
    start, seconds = 0, 0.0
    if path.exists():
        state = torch.load(path, weights_only=True, map_location=parameters[0].device)
        modules.load_state_dict(state["modules"])
        optimizer.load_state_dict(state["optimizer"])
        with torch.no_grad():
            for shadow, saved in zip(ema.shadow, state["ema"], strict=True):
                shadow.copy_(saved)
        start, seconds = state["step"], state["seconds"]

    def checkpoint(step: int) -> None:
        save_atomically(
            {"modules": modules.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema.shadow,
             "step": step, "seconds": seconds + time.monotonic() - began},
            path,
        )  # fmt: skip

    began = time.monotonic()
    bar = tqdm(range(start, stage.max_train_steps), initial=start, total=stage.max_train_steps, desc=stage.name)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(stage, step)
        with autocast:
            loss, metrics = objective.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(parameters, stage.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        ema.update(step)
        if (step + 1) % 20 == 0 or step + 1 == stage.max_train_steps:
            elapsed = seconds + time.monotonic() - began
            log(step + 1, {"loss": loss.item(), **metrics, "grad_norm": float(norm), "seconds": elapsed})
            bar.set_postfix(loss=f"{loss.item():.4f}", **{k: f"{v:.3f}" for k, v in metrics.items()})
        if (step + 1) % checkpointing_steps == 0 or step + 1 == stage.max_train_steps:
            checkpoint(step + 1)
            if sample is not None:
                ema.swap()
                sample(step + 1)
                ema.swap()
    return ema


def append_json_line(path: Path, entry: dict[str, object]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
