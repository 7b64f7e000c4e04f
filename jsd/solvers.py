"""Steps of our own where those of diffusers' classes are wrong; `jsd.schedulers` puts them into the class's object.

Symbols: a = alphas_cumprod[t], and x_t = sqrt(a) x_0 + sqrt(1 - a) eps = sqrt(a) (x_0 + sigma eps). Every step
goes from one sigma to a smaller one along eps, which is the derivative there, or along a mean of several.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from math import sqrt
from operator import add, mul
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

# By how much one step may divide sigma and still be corrected by the derivative at its end: beyond, the mean of both
# ends tells nothing of what lies between, and the correction leaves noise in the picture.
LONGEST_STEP = 25
# Adams and Bashforth's weights of the last derivatives, the newest first, for steps of equal length.
ADAMS_BASHFORTH = ((1,), (3 / 2, -1 / 2), (23 / 12, -16 / 12, 5 / 12), (55 / 24, -59 / 24, 37 / 24, -9 / 24))
# Gauss and Legendre's two nodes on [-1, 1] are plus and minus this: exact for polynomials up to degree 3.
GAUSS_LEGENDRE_NODE = 3**-0.5


def predict_original(scheduler: Any, sample: "Tensor", model_output: "Tensor", timestep: float) -> "Tensor":
    """The UNet's input x_t and its output -> x_0, all (B, C, h, w): x_t = sqrt(a) x_0 + sqrt(1 - a) eps.

    `sample` is scaled as the UNet is given it, which makes a = alphas_cumprod[t] right for every scheduler.
    """
    if scheduler.config.prediction_type == "sample":
        return model_output
    a = float(scheduler.alphas_cumprod[round(timestep)])
    if scheduler.config.prediction_type == "v_prediction":
        return sqrt(a) * sample - sqrt(1 - a) * model_output
    return (sample - sqrt(1 - a) * model_output) / sqrt(a)


def even_timesteps(num: int, num_train_timesteps: int) -> list[int]:
    """The first timestep of `num` equal parts of the schedule, descending: diffusers' own where the parts are whole.

    diffusers rounds the parts down, and so leaves out up to half of the schedule.
    """
    if num == 1:
        return [num_train_timesteps - 1]
    # Two apart or more, each part's own number but one; closer, so that the first is the last that there is.
    part = min(Fraction(num_train_timesteps, num), Fraction(num_train_timesteps - 2, num - 1))
    return [round(i * part) + 1 for i in reversed(range(num))]


def trailing_timesteps(num: int, num_train_timesteps: int) -> list[int]:
    """The last timestep of each of `num` equal parts, descending (arXiv 2305.08891, table 2): for UNets that were
    trained on noise alone too, and for those that were distilled to these timesteps."""
    return [round(num_train_timesteps - i * Fraction(num_train_timesteps, num)) - 1 for i in range(num)]


class EvenSteps:
    """DDIM (arXiv 2010.02502), and PLMS (2202.09778, formula 12) where it is `multistep`, between any timesteps.

    diffusers' steps go down by num_train_timesteps // num_inference_steps, whichever timestep comes next, and
    extrapolate what the UNet predicts, be it eps or not.
    """

    def __init__(self, scheduler: Any, timesteps: Sequence[int], *, multistep: bool) -> None:
        self.scheduler, self.timesteps, self.multistep = scheduler, timesteps, multistep
        self.signals = scheduler.alphas_cumprod.double().sqrt().tolist()  # sqrt(a), by t
        self.sigmas = (1 / scheduler.alphas_cumprod.double() - 1).sqrt().tolist()
        self.noises: list[Tensor] = []  # eps of the last steps, the newest first
        self.first: tuple[int, Tensor] | None = None  # t and x_t of the first step, until it has been taken again
        self.begin(0)

    def begin(self, index: int) -> None:
        """Start with the timestep `index`. PLMS takes its first step again, with the mean of both its ends."""
        again = index + 1 if self.multistep else index + 2
        run = [*self.timesteps[: index + 2], *self.timesteps[again:]]
        self.is_first_repeated = len(run) > len(self.timesteps)
        self.scheduler.timesteps = self.scheduler.timesteps.new_tensor(run)

    def step(self, model_output: "Tensor", timestep: "Tensor", sample: "Tensor", return_dict: bool = True) -> Any:
        """The UNet's output and x_t (B, C, h, w) -> x of the next timestep, and what x_0 looks like from x_t."""
        t = int(timestep)
        x_0 = predict_original(self.scheduler, sample, model_output, t)  # (B, C, h, w)
        noise = (sample / self.signals[t] - x_0) / self.sigmas[t]  # (B, C, h, w)
        if self.first is not None:
            (start, sample), end, self.first = self.first, t, None
            before = self.noises[0]
            noise = before if _is_too_long(self.sigmas[start], self.sigmas[end]) else (before + noise) / 2
        else:
            start, end = t, next((lower for lower in self.timesteps if lower < t), 0)
            if self.is_first_repeated and not self.noises:
                self.first = (t, sample)
            self.noises = [noise, *self.noises[:3]] if self.multistep else [noise]
            noise = reduce(add, map(mul, ADAMS_BASHFORTH[len(self.noises) - 1], self.noises))
        x = self.signals[end] * (sample / self.signals[start] + (self.sigmas[end] - self.sigmas[start]) * noise)
        return SimpleNamespace(prev_sample=x, pred_original_sample=x_0) if return_dict else (x, x_0)


def heun_step(scheduler: Any, model_output: "Tensor", timestep: "Tensor", sample: "Tensor", **kwargs: Any) -> Any:
    """The class's own step; the second half of one that is too long leaves `sample` as the first half made it."""
    if not scheduler.state_in_first_order:
        start, end = scheduler.sigmas[scheduler.step_index - 1], scheduler.sigmas[scheduler.step_index]
        if _is_too_long(float(start), float(end)):
            scheduler.sample, scheduler.dt = sample, 0.0
    return type(scheduler).step(scheduler, model_output, timestep, sample, **kwargs)


def lms_coefficient(scheduler: Any, order: int, t: int, current_order: int) -> float:
    """The Lagrange polynomial of node `current_order`, integrated over [sigma_t, sigma_{t+1}]; order <= 4.

    Of the nodes since the start, which may be in the middle of the schedule: no others have derivatives.
    """
    order = min(order, t + 1 - (0 if scheduler.begin_index is None else scheduler.begin_index))
    if current_order >= order:
        return 0.0
    sigmas = [float(scheduler.sigmas[t - k]) for k in range(order)]
    start, end = float(scheduler.sigmas[t]), float(scheduler.sigmas[t + 1])
    middle, half = (start + end) / 2, (end - start) / 2
    integral = 0.0
    for node in (-GAUSS_LEGENDRE_NODE, GAUSS_LEGENDRE_NODE):
        tau = middle + half * node
        product = half
        for k, sigma in enumerate(sigmas):
            if k != current_order:
                product *= (tau - sigma) / (sigmas[current_order] - sigma)
        integral += product
    return integral


def _is_too_long(start: float, end: float) -> bool:
    """Whether a step from sigma `start` to `end` > 0 is too long to be corrected."""
    return start > LONGEST_STEP * end
