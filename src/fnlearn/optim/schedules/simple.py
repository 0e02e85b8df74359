"""Rates that scale a base rate by a factor of the step."""

import itertools
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.optim.parameterwise import check
from fnlearn.optim.schedules.step import Number, Schedule, arithmetic, real

FARTHEST = 2**31  # steps, which are counted by 32 bits


def lambda_lr(lr: Number, lr_lambda: Callable[[Any], Number]) -> Schedule:
    """The rate times a function of the step.

    Torch: `torch.optim.lr_scheduler.LambdaLR`.
    Shape: step () → rate ().
    Args: lr: the base rate. lr_lambda: step → factor; within `jax.jit` it is given a traced step.
    Raises: nothing.
    Differs: one function; for groups of parameters, each optimizer has a schedule of its own.
    Source: `torch.optim.lr_scheduler`.
    """
    return Schedule(lambda step: lr * lr_lambda(step))


def multiplicative_lr(lr: Number, lr_lambda: Callable[[Any], Number]) -> Schedule:
    """The rate times a function of every step from 1 to this one; reading it takes as long as there are steps.

    Torch: `torch.optim.lr_scheduler.MultiplicativeLR`.
    Shape: step () → rate ().
    Args: lr, lr_lambda: as for `lambda_lr`.
    Raises: nothing.
    Differs: as `lambda_lr`. In `sequential_lr` it begins with its own base rate, where torch goes on from the last one.
    Source: `torch.optim.lr_scheduler`.
    """

    def at(step: Any) -> Number:
        if not isinstance(step, jax.Array):
            return lr * math.prod(lr_lambda(n) for n in range(1, int(step) + 1))
        first = jnp.asarray(lr, jnp.result_type(float))
        return jax.lax.fori_loop(1, step + 1, lambda n, rate: rate * lr_lambda(n), first)

    return Schedule(at, lr)


def step_lr(lr: Number, step_size: int, gamma: Number = 0.1) -> Schedule:
    """The rate times gamma every step_size steps.

    Torch: `torch.optim.lr_scheduler.StepLR`.
    Shape: step () → rate ().
    Args: lr: the base rate. step_size: at least 1. gamma: the factor.
    Raises: ValueError when step_size is not positive.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """
    check(low=1, step_size=step_size)
    return Schedule(lambda step: lr * gamma ** real(step // step_size), lr)


def multi_step_lr(lr: Number, milestones: Iterable[int], gamma: Number = 0.1) -> Schedule:
    """The rate times gamma at each milestone; one that is given twice counts twice.

    Torch: `torch.optim.lr_scheduler.MultiStepLR`.
    Shape: step () → rate ().
    Args: lr: the base rate. milestones: steps. gamma: the factor.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """
    steps = tuple(milestones)
    return Schedule(lambda step: lr * gamma ** sum((real(step >= m) for m in steps), start=real(0)), lr)


def constant_lr(lr: Number, factor: Number = 1.0 / 3, total_iters: int = 5) -> Schedule:
    """The rate times a factor for the first steps.

    Torch: `torch.optim.lr_scheduler.ConstantLR`.
    Shape: step () → rate ().
    Args: lr: the base rate. factor: 0 to 1. total_iters: how many steps.
    Raises: ValueError when factor is not between 0 and 1.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """
    _check_share("factor", factor)

    def at(step: Any) -> Number:  # with no steps at all torch never takes the factor back
        return lr * arithmetic(step).where((step >= total_iters) & (total_iters > 0), 1.0, factor)

    return Schedule(at, lr)


def linear_lr(lr: Number, start_factor: Number = 1.0 / 3, end_factor: Number = 1.0, total_iters: int = 5) -> Schedule:
    """The rate times a factor that goes along a line from one value to another, and stays there.

    Torch: `torch.optim.lr_scheduler.LinearLR`.
    Shape: step () → rate ().
    Args: lr: the base rate. start_factor: above 0, at most 1. end_factor: 0 to 1. total_iters: the line's steps.
    Raises: ValueError when a factor is out of range.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """
    _check_share("end_factor", end_factor)
    check(low=math.ulp(0.0), start_factor=start_factor)
    _check_share("start_factor", start_factor)

    def at(step: Any) -> Number:
        share = arithmetic(step).minimum(real(step), total_iters) / max(total_iters, 1)
        return lr * (start_factor + (end_factor - start_factor) * share)

    return Schedule(at, lr)


def exponential_lr(lr: Number, gamma: Number) -> Schedule:
    """The rate times gamma at every step.

    Torch: `torch.optim.lr_scheduler.ExponentialLR`.
    Shape: step () → rate ().
    Args: lr: the base rate. gamma: the factor.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """
    return Schedule(lambda step: lr * gamma ** real(step), lr)


def polynomial_lr(lr: Number, total_iters: int = 5, power: Number = 1.0) -> Schedule:
    """The rate times (1 − step / total_iters) to a power, and 0 in the end.

    Torch: `torch.optim.lr_scheduler.PolynomialLR`.
    Shape: step () → rate ().
    Args: lr: the base rate. total_iters: after how many steps it is 0. power: 1 for a line.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """

    def at(step: Any) -> Number:
        xp = arithmetic(step)
        left = xp.maximum(1 - real(step) / max(total_iters, 1), 0.0) if total_iters else xp.ones_like(real(step))
        return lr * left**power

    return Schedule(at, lr)


def cosine_annealing_lr(lr: Number, T_max: int, eta_min: Number = 0.0) -> Schedule:
    """Half a wave of the cosine from the rate down to eta_min, and up again, and so on.

    Torch: `torch.optim.lr_scheduler.CosineAnnealingLR`.
    Shape: step () → rate ().
    Args: lr: the base rate. T_max: steps down. eta_min: the least rate.
    Raises: ValueError when T_max is not positive.
    Differs: nothing.
    Source: Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts (2017).
    """
    check(low=1, T_max=T_max)

    def wave(step: Any) -> Number:
        return 1 + arithmetic(step).cos(math.pi * real(step) / T_max)

    def follow(rate: Number, step: Any) -> Number:
        up = (step - 1 - T_max) % (2 * T_max) == 0
        xp = arithmetic(step, rate)
        before = xp.where(up, 1.0, wave(step - 1))
        risen = rate + (lr - eta_min) * (1 - math.cos(math.pi / T_max)) / 2
        scaled = wave(step) / before * (rate - eta_min) + eta_min
        return xp.where(step == 0, rate, xp.where(up, risen, scaled))

    return Schedule(lambda step: eta_min + (lr - eta_min) * wave(step) / 2, follow=follow)


def cosine_annealing_warm_restarts(lr: Number, T_0: int, T_mult: int = 1, eta_min: Number = 0.0) -> Schedule:
    """Half a wave of the cosine from the rate down to eta_min, and then again from the rate.

    Torch: `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`.
    Shape: step () → rate ().
    Args: lr: the base rate. T_0: steps of the first wave. T_mult: how many times longer each is than the one before.
        eta_min: the least rate.
    Raises: ValueError when T_0 or T_mult is not positive.
    Differs: nothing.
    Source: Loshchilov, Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts (2017).
    """
    check(low=1, T_0=T_0, T_mult=T_mult)

    def at(step: Any) -> Number:
        done, length = wave_of(step, T_0, T_mult)
        share = (1 + arithmetic(step).cos(math.pi * real(done) / real(length))) / 2
        return eta_min + (lr - eta_min) * share

    return Schedule(at)


def wave_of(step: Any, T_0: int, T_mult: int) -> tuple[Any, Any]:
    """How many steps of its wave are done, and how many the wave has."""
    if T_mult == 1:
        return step % T_0, T_0
    lengths = [T_0 * T_mult**n for n in range(math.ceil(math.log(FARTHEST, T_mult))) if T_0 * T_mult**n < FARTHEST]
    starts = [0, *itertools.accumulate(lengths[:-1])]
    xp, last = arithmetic(step), bisect_left(starts, FARTHEST)  # those that can be counted
    wave = sum((xp.asarray(step >= start, np.int32) for start in starts[1:last]), start=xp.zeros((), np.int32))
    start, length = (xp.asarray(row[:last], getattr(step, "dtype", None))[wave] for row in (starts, lengths))
    return step - start, length


def _check_share(name: str, value: Number) -> None:
    if isinstance(value, int | float) and not 0 <= value <= 1:
        raise ValueError(f"{name} must be between 0 and 1, got {value}")
