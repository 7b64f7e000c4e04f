"""The loop on one linear layer: schedule, averages, checkpoints, and the same result after a resume."""

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers.training_utils import EMAModel
from full_disk import small_files
from torch import Tensor, nn

from jsd.errors import CheckpointError
from jsd.training.loop import CHECKPOINT_FILE, check_settings, learning_rate, save_atomically, train
from jsd.training.recipes import Stage

STAGE = Stage(
    "toy", "denoising", (), {}, None, True, train_batch_size=4, max_train_steps=6, learning_rate=0.1, lr_warmup_steps=2
)


def make_modules() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"linear": nn.Linear(3, 2)})


def batch(number: int, size: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(number)
    return torch.randn(size, 3, generator=generator), torch.randn(size, 2, generator=generator)


def run(
    modules: nn.ModuleDict,
    folder: Path,
    stage: Stage = STAGE,
    *,
    settings: dict[str, object] | None = None,
    checkpointing_steps: int = 3,
    max_train_seconds: float | None = None,
    batches: Callable[[int], tuple[Tensor, Tensor]] = batch,
    sample: Callable[[int], None] = lambda step: None,
    log: Callable[[int, dict[str, float]], None] = lambda step, values: None,
) -> EMAModel:
    def compute_loss(number: int) -> tuple[Tensor, dict[str, Tensor]]:
        inputs, targets = batches(number)
        return (modules["linear"](inputs) - targets).square().mean(), {}

    check_settings(folder / CHECKPOINT_FILE, settings or {})
    ema, *_ = train(
        stage,
        modules,
        compute_loss,
        folder,
        settings={} if settings is None else settings,
        checkpointing_steps=checkpointing_steps,
        max_train_seconds=max_train_seconds,
        autocast=torch.autocast("cpu", torch.bfloat16, enabled=False),
        log=log,
        sample=sample,
    )
    return ema


def stop_at(last: int) -> Callable[[int], None]:
    """What the user's Ctrl-C does, right after the checkpoint of that step."""

    def sample(step: int) -> None:
        if step == last:
            raise KeyboardInterrupt

    return sample


def flat(modules: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in modules.parameters()])


def test_the_rate_warms_up_and_decays_to_one_hundredth() -> None:
    stage = replace(STAGE, learning_rate=1.0, lr_warmup_steps=4, max_train_steps=104)
    assert [learning_rate(stage, step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert learning_rate(stage, 4) == pytest.approx(1.0)
    assert learning_rate(stage, 54) == pytest.approx((1 + 0.01) / 2), "half way down the cosine"
    assert learning_rate(stage, 104) == pytest.approx(0.01)


def test_a_stage_of_warm_up_alone_divides_by_nothing() -> None:
    assert learning_rate(replace(STAGE, lr_warmup_steps=6), 6) == pytest.approx(0.1)


def test_the_loop_uses_the_schedule(tmp_path: Path) -> None:
    logged: dict[int, dict[str, float]] = {}
    run(make_modules(), tmp_path, log=logged.__setitem__)
    assert logged[6]["lr"] == learning_rate(STAGE, 5)
    assert {"loss", "grad_norm", "lr", "seconds"} <= set(logged[6])


def test_a_resumed_run_ends_as_if_it_never_stopped(tmp_path: Path) -> None:
    states = {}
    for name in ("straight", "resumed"):
        (tmp_path / name).mkdir()
        if name == "resumed":
            with pytest.raises(KeyboardInterrupt):
                run(make_modules(), tmp_path / name, sample=stop_at(3))
        torch.manual_seed(99)  # nothing may depend on it
        run(nn.ModuleDict({"linear": nn.Linear(3, 2)}) if name == "resumed" else make_modules(), tmp_path / name)
        states[name] = torch.load(tmp_path / name / "checkpoint.pt", weights_only=True)
    assert states["resumed"]["step"] == 6
    for part in ("modules", "optimizer", "ema"):
        torch.testing.assert_close(states["resumed"][part], states["straight"][part], rtol=0, atol=0)


def test_a_finished_run_does_nothing_more(tmp_path: Path) -> None:
    modules = make_modules()
    run(modules, tmp_path)
    before = flat(modules)
    again = make_modules()
    run(again, tmp_path)
    assert torch.equal(flat(again), before)


def test_a_checkpoint_of_a_gpu_goes_on_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / CHECKPOINT_FILE
    with pytest.raises(KeyboardInterrupt):
        run(make_modules(), tmp_path, settings={"seed": 0}, sample=stop_at(3))
    state = torch.load(path, weights_only=True)
    with monkeypatch.context() as patched:
        patched.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")  # as such a run writes it
        torch.save(state, path)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(path, weights_only=True)
    whole, again = make_modules(), make_modules()
    (tmp_path / "whole").mkdir()
    run(whole, tmp_path / "whole", settings={"seed": 0})
    run(again, tmp_path, settings={"seed": 0})
    assert torch.equal(flat(again), flat(whole))


def test_seconds_add_up_over_resumes(tmp_path: Path) -> None:
    run(make_modules(), tmp_path, replace(STAGE, max_train_steps=3))
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    save_atomically({**state, "seconds": 1000.0}, tmp_path / "checkpoint.pt")
    logged: dict[int, dict[str, float]] = {}
    run(make_modules(), tmp_path, log=logged.__setitem__)
    assert 1000 < logged[6]["seconds"] < 1100


def test_a_partial_file_left_over_is_harmless(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(make_modules(), tmp_path, sample=stop_at(3))
    (tmp_path / "checkpoint.partial").write_bytes(b"half a checkpoint")
    run(make_modules(), tmp_path)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 6


def test_a_save_that_fails_keeps_the_older_checkpoint(tmp_path: Path) -> None:
    save_atomically({"step": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(Exception, match=r"pickle|lambda"):
        save_atomically({"step": 4, "unpicklable": lambda: None}, tmp_path / "checkpoint.pt")
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True) == {"step": 3}


def test_a_damaged_checkpoint_is_one_line_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError) as caught:
        run(make_modules(), tmp_path)
    assert str(tmp_path / "checkpoint.pt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_shape_is_refused(tmp_path: Path) -> None:
    run(nn.ModuleDict({"linear": nn.Linear(3, 2, bias=False)}), tmp_path)
    with pytest.raises(CheckpointError):
        run(make_modules(), tmp_path)


def test_a_run_goes_on_with_the_settings_that_it_began_with(tmp_path: Path) -> None:
    run(make_modules(), tmp_path, settings={"seed": 0, "train_batch_size": 4})
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(CheckpointError) as caught:
        run(make_modules(), tmp_path, settings={"seed": 1, "train_batch_size": 4})
    assert caught.value.params["field"] == "seed"
    assert "--output" in str(caught.value) and "\n" not in str(caught.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_a_checkpoint_that_names_no_settings_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(make_modules(), tmp_path, sample=stop_at(3))
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    state.pop("settings")
    save_atomically(state, tmp_path / "checkpoint.pt")
    run(make_modules(), tmp_path, settings={"seed": 1})
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["settings"] == {"seed": 1}


@pytest.mark.parametrize(("broken", "quantity"), [("loss", "loss"), ("gradient", "grad_norm")])
def test_a_number_that_is_not_finite_stops_the_run_before_it_reaches_the_weights(
    tmp_path: Path, broken: str, quantity: str
) -> None:
    modules = make_modules()

    def batches(number: int) -> tuple[Tensor, Tensor]:
        inputs, targets = batch(number)
        if number == 4:
            # 1e19 squared is finite in fp32, times an input of as much it is not.
            inputs, targets = (inputs, targets / 0) if broken == "loss" else (inputs * 1e30, targets + inputs[:, :2])
            modules["linear"].weight.data *= 1 if broken == "loss" else 1e-13
            modules["linear"].bias.data += 0 if broken == "loss" else 1e15
        return inputs, targets

    with pytest.raises(CheckpointError) as caught:
        run(modules, tmp_path, batches=batches, checkpointing_steps=1)
    assert (caught.value.params["quantity"], caught.value.params["step"]) == (quantity, 5)
    assert "--learning-rate" in str(caught.value) and "\n" not in str(caught.value)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4
    assert all(torch.isfinite(tensor).all() for tensor in [*state["modules"].values(), *state["ema"]])


def test_a_full_disk_keeps_the_older_checkpoint_and_says_so(tmp_path: Path) -> None:
    save_atomically({"step": 3}, tmp_path / "checkpoint.pt")
    with small_files(10_000), pytest.raises(CheckpointError, match=re.escape(str(tmp_path / "checkpoint.pt"))):
        save_atomically({"big": torch.zeros(10_000)}, tmp_path / "checkpoint.pt")
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True) == {"step": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_accumulated_gradients_are_those_of_the_big_batch(tmp_path: Path) -> None:
    big, small = make_modules(), make_modules()

    def both(number: int) -> tuple[Tensor, Tensor]:
        (a, b), (c, d) = batch(2 * number), batch(2 * number + 1)
        return torch.cat([a, c]), torch.cat([b, d])

    (tmp_path / "big").mkdir()
    (tmp_path / "small").mkdir()
    run(big, tmp_path / "big", batches=both)
    run(small, tmp_path / "small", replace(STAGE, gradient_accumulation_steps=2))
    torch.testing.assert_close(flat(small), flat(big))


def test_gradients_are_clipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = make_modules()
    norms: list[float] = []
    step = torch.optim.AdamW.step

    def measure(optimizer: torch.optim.AdamW) -> None:
        gradients = [parameter.grad for parameter in modules.parameters() if parameter.grad is not None]
        norms.append(torch.cat([gradient.flatten() for gradient in gradients]).norm().item())
        step(optimizer)

    monkeypatch.setattr(torch.optim.AdamW, "step", measure)
    run(modules, tmp_path, replace(STAGE, max_grad_norm=0.01))
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def test_samples_are_drawn_with_the_averages(tmp_path: Path) -> None:
    modules = make_modules()
    seen: list[Tensor] = []
    ema = run(modules, tmp_path, checkpointing_steps=6, sample=lambda step: seen.append(flat(modules)))
    assert torch.equal(seen[0], torch.cat([shadow.flatten() for shadow in ema.shadow_params]))


def test_the_loop_learns(tmp_path: Path) -> None:
    modules = make_modules()
    before = copy.deepcopy(modules)
    inputs = torch.randn(64, 3, generator=torch.Generator().manual_seed(1))
    target = inputs @ torch.ones(3, 2)
    stage = replace(STAGE, max_train_steps=100)
    run(modules, tmp_path, stage, checkpointing_steps=100, batches=lambda _: (inputs, target))
    first, last = ((m["linear"](inputs) - target).square().mean().item() for m in (before, modules))
    assert last < first / 10


def test_a_run_that_has_a_time_limit_keeps_what_it_learnt_and_goes_on(tmp_path: Path) -> None:
    """A step is over after a billionth of a second."""
    whole, steps = make_modules(), list[int]()
    for folder in (tmp_path / "whole", tmp_path / "limited"):
        folder.mkdir()
    run(whole, tmp_path / "whole")
    for _ in range(STAGE.max_train_steps):
        limited = make_modules()
        run(limited, tmp_path / "limited", max_train_seconds=1e-9, sample=steps.append)
    assert steps == list(range(1, STAGE.max_train_steps + 1)), "one at a time, each with its checkpoint"
    assert torch.equal(flat(limited), flat(whole))
