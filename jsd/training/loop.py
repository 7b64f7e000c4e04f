"""The one training loop: steps, EMA, schedule, checkpoints. What a step computes is the stage's, in `stages`."""

import math
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError
from torch import Tensor, nn
from tqdm import tqdm

from jsd.atomic import replacing_file
from jsd.errors import CheckpointError, first_line
from jsd.training.objectives import Losses
from jsd.training.processes import Processes
from jsd.training.recipes import Stage

LOGGING_STEPS = 20
CHECKPOINT_FILE = "checkpoint.pt"
ALONE = Processes()


def learning_rate(stage: Stage, step: int) -> float:
    """Linear warm-up, then a cosine to one hundredth."""
    if step < stage.lr_warmup_steps:
        return stage.learning_rate * (step + 1) / stage.lr_warmup_steps
    progress = (step - stage.lr_warmup_steps) / max(1, stage.max_train_steps - stage.lr_warmup_steps)
    return stage.learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * min(1.0, progress))) / 2)


def save_atomically(state: object, path: Path) -> None:
    with told_unwritable(path), replacing_file(path) as temporary:
        try:
            torch.save(state, temporary)
        except RuntimeError as error:  # its own writer says of a full disk that it is in a wrong position
            raise OSError(first_line(error)) from error


@contextmanager
def told_unwritable(path: Path) -> Iterator[None]:
    """CheckpointError where what is done within cannot write it; safetensors has an error of its own."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        reason = first_line(error)
        raise CheckpointError(
            "train.unwritable",
            "training must be able to write {path}, and cannot: {reason}; make room, then run "
            "the same command again: it goes on from the last checkpoint",
            path=path,
            reason=reason,
        ) from error


def load_cached(path: Path, key: str, make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, kept in `path` for as long as the key stays."""
    try:
        kept = torch.load(path, weights_only=True)
    except (EOFError, OSError, RuntimeError, pickle.UnpicklingError):  # none yet, or damaged
        kept = {}
    if not isinstance(kept, dict) or kept.get("key") != key:
        kept = {"key": key, "latents": make()}
        save_atomically(kept, path)
    latents: Tensor = kept["latents"]
    return latents


def train(
    stage: Stage,
    modules: nn.ModuleDict,
    compute_loss: Callable[[int], Losses],
    folder: Path,
    *,
    settings: Mapping[str, object],
    checkpointing_steps: int,
    max_train_seconds: float | None = None,
    autocast: torch.autocast,
    processes: Processes = ALONE,
    log: Callable[[int, dict[str, float]], None],
    sample: Callable[[int], None],
) -> tuple[EMAModel, int, float]:
    """Run `stage` to its last step, or for so many seconds, from `folder`'s checkpoint where there is one: (averages,
    steps, seconds of all runs).

    `compute_loss(n)` is the loss of the n-th batch, a function of n alone, so that a resumed run sees the same batches,
    and several processes those of one that accumulates as many.
    `settings`: numbers and text that it depends on beside n, kept in the checkpoint; ask `check_settings` first.
    """
    if processes.is_divided:
        processes.divide(modules.values())
    parameters = list(modules.parameters())
    optimizer = torch.optim.AdamW(
        parameters, lr=stage.learning_rate, betas=(0.9, 0.99), weight_decay=0.01, foreach=True
    )
    ema = EMAModel(parameters, stage.ema_decay, foreach=not processes.is_divided)
    path = folder / CHECKPOINT_FILE
    start, seconds = _resume(path, modules, optimizer, ema, processes)
    _check_together(start, path, processes, parameters[0].device)
    elapsed, began = seconds, time.monotonic()
    steps, shown = range(start, stage.max_train_steps), {"total": stage.max_train_steps, "desc": stage.name}
    bar = tqdm(steps, initial=start, disable=not processes.is_first, **shown)
    for step in bar:
        values, metrics = _step(stage, step, parameters, optimizer, compute_loss, autocast, processes)
        ema.step(parameters)
        here = time.monotonic() - began
        if max_train_seconds is not None:  # all processes stop at one step
            here = processes.mean(torch.tensor(here, device=parameters[0].device)).item()
        done, elapsed = step + 1, seconds + here
        in_time = max_train_seconds is None or here < max_train_seconds
        last = done == stage.max_train_steps or not in_time
        if processes.is_first and (done % LOGGING_STEPS == 0 or last):
            values |= {name: value.item() for name, value in metrics.items()}
            bar.set_postfix({name: f"{value:.4f}" for name, value in values.items()})
            log(done, {**values, "lr": learning_rate(stage, step), "seconds": elapsed})
        if done % checkpointing_steps == 0 or last:
            _keep(
                path, modules, optimizer, ema, processes, {"step": done, "seconds": elapsed, "settings": dict(settings)}
            )
            if processes.is_first and not processes.is_divided:  # divided, no process could draw alone
                ema.store(parameters)
                ema.copy_to(parameters)
                sample(done)
                ema.restore(parameters)
        if last:
            return ema, done, elapsed
    return ema, start, elapsed


def _step(
    stage: Stage,
    step: int,
    parameters: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    compute_loss: Callable[[int], Losses],
    autocast: torch.autocast,
    processes: Processes,
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Learn from one batch; loss and norm of the gradients of all processes, and what else the last part measured."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(stage, step)
    loss, metrics = _accumulate(stage, step, compute_loss, autocast, processes)
    processes.average_gradients(parameters)
    norm = processes.whole(nn.utils.clip_grad_norm_(parameters, stage.max_grad_norm))
    values = {"loss": processes.mean(loss).item(), "grad_norm": norm.item()}
    _check_finite(values, step + 1, learning_rate(stage, step))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return values, metrics


def _accumulate(
    stage: Stage, step: int, compute_loss: Callable[[int], Losses], autocast: torch.autocast, processes: Processes
) -> Losses:
    """Add up the gradients of a step's parts; the last part's losses."""
    for part in range(stage.gradient_accumulation_steps):
        with autocast:
            number = (step * stage.gradient_accumulation_steps + part) * processes.count + processes.index
            loss, metrics = compute_loss(number)
        (loss / stage.gradient_accumulation_steps).backward()  # type: ignore[no-untyped-call]
    return loss, metrics


def _check_together(start: int, path: Path, processes: Processes, device: torch.device) -> None:
    if processes.mean(torch.tensor(float(start), device=device)).item() != start:
        raise CheckpointError(
            "train.apart",
            "all processes must go on from the same step, and one is at {step} by its {path}; give them one --output "
            "that every machine sees",
            step=start,
            path=path,
        )


def _check_finite(values: Mapping[str, float], step: int, rate: float) -> None:
    for quantity, value in values.items():
        if not math.isfinite(value):
            raise CheckpointError(
                "train.diverged",
                "{quantity} must be a finite number, and at step {step} it was {value}; run the same "
                "command again with a --learning-rate below {rate:.2g}: it goes on from the last "
                "checkpoint",
                quantity=quantity,
                step=step,
                value=value,
                rate=rate,
            )


def check_settings(path: Path, settings: Mapping[str, object]) -> None:
    """The checkpoint in `path`, if there is one, goes on with the settings that it names; one may name none."""
    if not path.exists():
        return
    kept = _read(path, mmap=True).get("settings", {})
    for field, value in settings.items():
        if kept.get(field, value) != value:
            raise CheckpointError(
                "train.differs",
                "a run goes on with the {field} that it began with, {kept}, and it is {value} now; "
                "use the same options, or begin anew with another --output ({path})",
                field=field,
                kept=kept[field],
                value=value,
                path=path,
            )


def _keep(
    path: Path,
    modules: nn.Module,
    optimizer: torch.optim.Optimizer,
    ema: EMAModel,
    processes: Processes,
    others: Mapping[str, object],
) -> None:
    """Write the checkpoint, with what else it shall say."""
    state = {"modules": modules.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema.shadow_params}
    state = processes.whole(state)
    if processes.is_first:
        save_atomically({**state, **others}, path)


def _resume(
    path: Path, modules: nn.Module, optimizer: torch.optim.Optimizer, ema: EMAModel, processes: Processes
) -> tuple[int, float]:
    """Load the checkpoint where there is one; (steps done, seconds spent)."""
    if not path.exists():
        return 0, 0.0
    state = _read(path, mmap=True)
    try:
        own = modules.state_dict()
        modules.load_state_dict(
            {name: processes.share(one, own.get(name, one)) for name, one in state["modules"].items()}
        )
        for number, moments in state["optimizer"]["state"].items():
            moments |= {name: processes.share(one, ema.shadow_params[number]) for name, one in moments.items()}
        optimizer.load_state_dict(state["optimizer"])
        for shadow, saved in zip(ema.shadow_params, state["ema"], strict=True):
            shadow.copy_(processes.share(saved, shadow))
        ema.optimization_step = state["step"]
        return state["step"], state["seconds"]
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error


def _read(path: Path, **options: Any) -> dict[str, Any]:
    try:
        # On the CPU, wherever it was written: what takes it copies it to its own device. Adam's counts stay here, and
        # are read without waiting for a GPU.
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu", **options)
    except (EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise _damaged(path, error) from error
    return state


def _damaged(path: Path, error: Exception) -> CheckpointError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return CheckpointError(
        "train.checkpoint",
        "the checkpoint {path} does not fit this stage or is damaged ({reason}); remove it to start the stage again",
        path=path,
        reason=reason,
    )
