"""Schedules of schedules: one after the other, and all at once."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import jax

from fnlearn.optim.schedules.step import Number, Schedule, arithmetic


def sequential_lr(schedulers: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """One schedule after the other, each counted from its own milestone.

    Torch: `torch.optim.lr_scheduler.SequentialLR`.
    Shape: step () → rate ().
    Args: schedulers: one more than milestones. milestones: ascending steps, at which the next one begins.
    Raises: ValueError when the numbers don't fit or milestones don't ascend.
    Differs: schedules after the first know their own base rate; `multiplicative_lr` in torch goes on from the last
        rate.
    Source: `torch.optim.lr_scheduler`.
    """
    if len(milestones) != len(schedulers) - 1 or not schedulers or list(milestones) != sorted(milestones):
        raise ValueError(
            f"milestones must ascend and be one fewer than schedulers, got {list(milestones)} for {len(schedulers)}"
        )
    starts = [0, *milestones]

    def at(step: Any) -> Number:
        if not isinstance(step, jax.Array):
            i = bisect_right(milestones, step)
            return schedulers[i](step - starts[i])
        xp, rate = arithmetic(step), None
        for start, schedule in zip(starts, schedulers, strict=True):
            here = xp.asarray(schedule(xp.maximum(step - start, 0)))
            rate = here if rate is None else xp.where(step >= start, here, rate)
        return rate

    return Schedule(at)


def chained_scheduler(schedulers: Sequence[Schedule]) -> Schedule:
    """All schedules at once: each changes the rate that the one before it leaves.

    Where all of them only scale it, that is the product of their factors. Otherwise reading it takes as long as there
    are steps: torch's cosine goes on from the rate of the step before, and others, such as `lambda_lr`, set it anew.

    Torch: `torch.optim.lr_scheduler.ChainedScheduler`.
    Shape: step () → rate ().
    Args: schedulers: of one base rate.
    Raises: ValueError when there are none.
    Differs: the optimizer is not an argument.
    Source: `torch.optim.lr_scheduler`.
    """
    if not schedulers:
        raise ValueError("at least one schedule is needed, got none")
    first = schedulers[0](0) if schedulers[0].base is None else schedulers[0].base
    scaling = all(schedule.base is not None for schedule in schedulers)
    return Schedule(lambda step: _product(schedulers, step) if scaling else _followed(schedulers, first, step))


def _product(schedulers: Sequence[Schedule], step: Any) -> Number:
    rate = schedulers[0](step)
    for schedule in schedulers[1:]:
        rate = rate * (schedule(step) / schedule.base)
    return rate


def _followed(schedulers: Sequence[Schedule], rate: Number, step: Any) -> Number:
    def advance(n: Any, rate: Number) -> Number:
        for schedule in schedulers:
            rate = _follow(schedule, rate, n)
        return rate

    if isinstance(step, jax.Array):
        xp = arithmetic(step)
        return jax.lax.fori_loop(0, step + 1, advance, xp.asarray(rate, xp.result_type(float)))
    for n in range(int(step) + 1):
        rate = advance(n, rate)
    return rate


def _follow(schedule: Schedule, rate: Number, step: Any) -> Number:
    """The rate after torch's step of one schedule."""
    if schedule.follow is not None:
        return schedule.follow(rate, step)
    if schedule.base is None:
        return schedule(step)
    xp = arithmetic(step, rate)
    before = xp.where(step == 0, schedule.base, schedule(xp.maximum(step - 1, 0)))
    return rate * xp.where(before == 0, 0.0, schedule(step) / xp.where(before == 0, 1.0, before))
