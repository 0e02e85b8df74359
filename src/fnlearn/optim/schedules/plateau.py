"""A rate that falls when a metric no longer gets better: state in, state out."""

from collections.abc import Callable
from typing import Any, NamedTuple

from fnlearn.optim.parameterwise import check
from fnlearn.optim.schedules.step import Number, arithmetic


class PlateauState(NamedTuple):
    """What a plateau knows, by torch's names.

    Args: lr: the rate now. best: the best metric so far. num_bad_epochs: how many since were no better.
        cooldown_counter: how many of the next don't count. last_epoch: metrics seen.
    """

    lr: Number
    best: Number
    num_bad_epochs: Number
    cooldown_counter: Number
    last_epoch: Number


class Plateau(NamedTuple):
    """Args: init: () → state. update: (state, metric) → state."""

    init: Callable[[], PlateauState]
    update: Callable[[PlateauState, Number], PlateauState]


def reduce_lr_on_plateau(
    lr: Number,
    mode: str = "min",
    factor: Number = 0.1,
    patience: int = 10,
    threshold: Number = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_lr: Number = 0,
    eps: Number = 1e-8,
) -> Plateau:
    """The rate times factor when a metric has not got better for more than patience times.

    `optimizer.update(gradients, state, params, lr=plateau_state.lr)` takes the rate; nothing is compiled again for it.

    Torch: `torch.optim.lr_scheduler.ReduceLROnPlateau`.
    Shape: metric () → state of numbers ().
    Args: lr: the rate at the start. mode: whether the least metric is the best, "min", or the greatest, "max". factor:
        below 1. patience: metrics that may be no better. threshold: by how much one must be better, of the best,
        threshold_mode "rel", or absolutely, "abs". cooldown: metrics after a fall that don't count. min_lr: the least
        rate. eps: the least fall.
    Raises: ValueError when factor is 1 or more, or a mode unknown.
    Differs: nothing.
    Source: `torch.optim.lr_scheduler`.
    """
    check(below=1.0, low=float("-inf"), factor=factor)
    if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
        raise ValueError(
            f"mode must be 'min' or 'max' and threshold_mode 'rel' or 'abs', got {mode!r}, {threshold_mode!r}"
        )
    sign = 1 if mode == "min" else -1

    def better(metric: Number, best: Number) -> Any:
        bound = best * (1.0 - sign * threshold) if threshold_mode == "rel" else best - sign * threshold
        return sign * metric < sign * bound

    def init() -> PlateauState:
        return PlateauState(lr, sign * float("inf"), 0, 0, 0)

    def update(state: PlateauState, metric: Number) -> PlateauState:
        xp = arithmetic(metric, *state)
        improved, cooling = better(metric, state.best), state.cooldown_counter > 0
        bad = xp.where(improved | cooling, 0, state.num_bad_epochs + 1)
        falls = bad > patience
        lower = xp.maximum(state.lr * factor, min_lr)
        return PlateauState(
            xp.where(falls & (state.lr - lower > eps), lower, state.lr),
            xp.where(improved, metric, state.best),
            xp.where(falls, 0, bad),
            xp.where(falls, cooldown, xp.maximum(state.cooldown_counter - 1, 0)),
            state.last_epoch + 1,
        )

    return Plateau(init, update)
