"""Rates that go up and down, and momenta that go down and up with them."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from fnlearn.optim.parameterwise import check
from fnlearn.optim.schedules.step import Number, Schedule, arithmetic, real

MODES = ("triangular", "triangular2", "exp_range")
Scale = Callable[[Any], Number]


def cyclic_lr(
    lr: Number,
    base_lr: Number,
    max_lr: Number,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: Number = 1.0,
    scale_fn: Scale | None = None,
    scale_mode: str = "cycle",
    cycle_momentum: bool = True,
    base_momentum: Number = 0.8,
    max_momentum: Number = 0.9,
) -> Schedule:
    """Along lines from base_lr up to max_lr and down again, cycle by cycle.

    Torch: `torch.optim.lr_scheduler.CyclicLR`.
    Shape: step () → rate ().
    Args: lr: without effect, as in torch. base_lr, max_lr: the ends. step_size_up, step_size_down: steps between them,
        both ways alike if the latter is None. mode: "triangular"; "triangular2", half as high from cycle to cycle; or
        "exp_range", gamma^step as high. scale_fn: the height as a function of what scale_mode says, the "cycle" counted
        from 1 or "iterations"; it takes the place of mode. cycle_momentum, base_momentum, max_momentum: for
        `cyclic_momentum`, which takes the same arguments.
    Raises: ValueError for an unknown mode or a size that is not positive.
    Differs: momentum is a schedule of its own.
    Source: Smith: Cyclical Learning Rates for Training Neural Networks (2017).
    """
    height = _height(step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode)
    return Schedule(lambda step: base_lr + (max_lr - base_lr) * height(step))


def cyclic_momentum(
    lr: Number,
    base_lr: Number,
    max_lr: Number,
    step_size_up: int = 2000,
    step_size_down: int | None = None,
    mode: str = "triangular",
    gamma: Number = 1.0,
    scale_fn: Scale | None = None,
    scale_mode: str = "cycle",
    cycle_momentum: bool = True,
    base_momentum: Number = 0.8,
    max_momentum: Number = 0.9,
) -> Schedule:
    """Along lines from max_momentum down to base_momentum and up again, while the rate goes up and down.

    `optim.sgd(cyclic_lr(**options), momentum=cyclic_momentum(**options))`, or `betas=(cyclic_momentum(**options),
    0.999)`.

    Torch: `torch.optim.lr_scheduler.CyclicLR`, what it does with cycle_momentum.
    Shape: step () → momentum ().
    Args: base_momentum, max_momentum: the ends. All others: as for `cyclic_lr`.
    Raises: as `cyclic_lr`.
    Differs: it is a schedule of its own.
    Source: Smith: Cyclical Learning Rates for Training Neural Networks (2017).
    """
    height = _height(step_size_up, step_size_down, mode, gamma, scale_fn, scale_mode)
    return Schedule(lambda step: max_momentum - (max_momentum - base_momentum) * height(step))


def _height(up: int, down: int | None, mode: str, gamma: Number, scale_fn: Scale | None, scale_mode: str) -> Scale:
    """How high between the ends a step is, 0 to 1 unless a scale makes it higher."""
    check(low=1, step_size_up=up)
    check(step_size_down=0 if down is None else down)
    if scale_fn is None and mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    total = float(up + (up if down is None else down))
    rising = up / total
    scales: dict[str, Scale] = {
        "triangular": lambda cycle: 1.0,
        "triangular2": lambda cycle: 1 / 2.0 ** (cycle - 1),
        "exp_range": lambda step: gamma**step,
    }
    scale = scales[mode] if scale_fn is None else scale_fn
    by_cycle = scale_mode == "cycle" if scale_fn is not None else mode != "exp_range"

    def height(step: Any) -> Number:
        xp, now = arithmetic(step), real(step)
        cycle = xp.floor(1 + now / total)
        x = 1.0 + now / total - cycle
        falling = (x - 1) / (rising - 1) if rising < 1 else 0.0
        return xp.where(x <= rising, x / rising, falling) * scale(cycle if by_cycle else now)

    return height


def one_cycle_lr(
    lr: Number,
    max_lr: Number,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    cycle_momentum: bool = True,
    base_momentum: Number = 0.85,
    max_momentum: Number = 0.95,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """One cycle: from max_lr / div_factor up to max_lr, and down to max_lr / div_factor / final_div_factor.

    Torch: `torch.optim.lr_scheduler.OneCycleLR`.
    Shape: step () → rate ().
    Args: lr: without effect, as in torch. max_lr: the top. total_steps: of the cycle, or epochs times steps_per_epoch.
        pct_start: share of the steps that go up. anneal_strategy: "cos" or "linear". div_factor, final_div_factor: how
        much lower it begins, and ends than it began. three_phase: down to where it began first, and then to the end.
        cycle_momentum, base_momentum, max_momentum: for `one_cycle_momentum`, which takes the same arguments.
    Raises: ValueError when steps are not given or an option is out of range, and for a step beyond the last, counted
        from 0 to total_steps.
    Differs: momentum is a schedule of its own. Within `jax.jit`, where steps are not known, the rate of the last one
        stays.
    Source: Smith, Topin: Super-Convergence (2019).
    """
    low = max_lr / div_factor
    values = _Ends(low, max_lr, low / final_div_factor, low)
    return _one_cycle(values, total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy, three_phase)


def one_cycle_momentum(
    lr: Number,
    max_lr: Number,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    cycle_momentum: bool = True,
    base_momentum: Number = 0.85,
    max_momentum: Number = 0.95,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
    three_phase: bool = False,
) -> Schedule:
    """From max_momentum down to base_momentum and up again, while the rate goes through its cycle.

    Torch: `torch.optim.lr_scheduler.OneCycleLR`, what it does with cycle_momentum.
    Shape: step () → momentum ().
    Args: base_momentum, max_momentum: the ends. All others: as for `one_cycle_lr`.
    Raises: as `one_cycle_lr`.
    Differs: it is a schedule of its own, as `cyclic_momentum`.
    Source: Smith, Topin: Super-Convergence (2019).
    """
    values = _Ends(max_momentum, base_momentum, max_momentum, max_momentum)
    return _one_cycle(values, total_steps, epochs, steps_per_epoch, pct_start, anneal_strategy, three_phase)


class _Ends(NamedTuple):
    """The values between which a cycle goes; `back` where the second of three phases ends."""

    start: Number
    top: Number
    end: Number
    back: Number


def _one_cycle(
    values: _Ends,
    total_steps: int | None,
    epochs: int | None,
    steps_per_epoch: int | None,
    pct_start: float,
    anneal_strategy: str,
    three_phase: bool,
) -> Schedule:
    if total_steps is None and (epochs is None or steps_per_epoch is None):
        raise ValueError("total_steps is needed, or epochs and steps_per_epoch")
    total = epochs * steps_per_epoch if total_steps is None else total_steps  # type: ignore[operator]
    check(low=1, total_steps=total)
    if not 0 <= pct_start <= 1:
        raise ValueError(f"pct_start must be between 0 and 1, got {pct_start}")
    between = _strategy(anneal_strategy)
    up = float(pct_start * total) - 1
    phases = [(up, values.start, values.top)]
    phases += [(float(2 * pct_start * total) - 2, values.top, values.back)] if three_phase else []
    phases += [(total - 1, phases[-1][2], values.end)]

    def at(step: Any) -> Number:
        xp = arithmetic(step)
        if not hasattr(step, "aval") and step > total:
            raise ValueError(f"the cycle has {total} steps, got step {step}")
        now, value, begin = xp.minimum(real(step), total), None, [0.0, *(end for end, _, _ in phases)]
        for first, (end, low, high) in reversed(list(zip(begin, phases, strict=False))):
            here = between(low, high, (now - first) / (end - first if end != first else 1.0), xp)
            value = here if value is None else xp.where(now <= end, here, value)
        return value

    return Schedule(at)


def _strategy(name: str) -> Callable[[Number, Number, Number, Any], Number]:
    strategies = {
        "cos": lambda start, end, share, xp: end + (start - end) / 2.0 * (xp.cos(math.pi * share) + 1),
        "linear": lambda start, end, share, xp: (end - start) * share + start,
    }
    if name not in strategies:
        raise ValueError(f"anneal_strategy must be 'cos' or 'linear', got {name!r}")
    return strategies[name]


def swalr(lr: Number, swa_lr: Number, anneal_epochs: int = 10, anneal_strategy: str = "cos") -> Schedule:
    """From the rate to swa_lr, where it stays, while weights are averaged.

    Torch: `torch.optim.swa_utils.SWALR`.
    Shape: step () → rate ().
    Args: lr: the rate before. swa_lr: the rate in the end. anneal_epochs: steps between them. anneal_strategy: "cos" or
        "linear".
    Raises: ValueError when anneal_epochs is negative or anneal_strategy unknown.
    Differs: nothing.
    Source: Izmailov et al.: Averaging Weights Leads to Wider Optima and Better Generalization (2018).
    """
    check(anneal_epochs=anneal_epochs)
    between = _strategy(anneal_strategy)

    def at(step: Any) -> Number:
        xp = arithmetic(step)
        share = xp.minimum(real(step) / anneal_epochs, 1.0) if anneal_epochs else 1.0
        return between(lr, swa_lr, share, xp)

    return Schedule(at)
