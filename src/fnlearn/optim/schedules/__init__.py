"""`torch.optim.lr_scheduler` as pure functions: schedules of the step, and a plateau's state in and out.

A schedule is read at the number of updates that were made, as torch's scheduler is after as many calls of `step`:

    optimizer = optim.sgd(schedules.step_lr(0.1, step_size=30))

Read at a Python number it answers in float64, at a JAX array in JAX's own precision.
"""

from fnlearn.optim.schedules.combined import chained_scheduler, sequential_lr
from fnlearn.optim.schedules.cycle import cyclic_lr, cyclic_momentum, one_cycle_lr, one_cycle_momentum, swalr
from fnlearn.optim.schedules.plateau import reduce_lr_on_plateau
from fnlearn.optim.schedules.simple import (
    constant_lr,
    cosine_annealing_lr,
    cosine_annealing_warm_restarts,
    exponential_lr,
    lambda_lr,
    linear_lr,
    multi_step_lr,
    multiplicative_lr,
    polynomial_lr,
    step_lr,
)
from fnlearn.optim.schedules.torch_state import from_torch, to_torch

__all__ = [
    "chained_scheduler",
    "constant_lr",
    "cosine_annealing_lr",
    "cosine_annealing_warm_restarts",
    "cyclic_lr",
    "cyclic_momentum",
    "exponential_lr",
    "from_torch",
    "lambda_lr",
    "linear_lr",
    "multi_step_lr",
    "multiplicative_lr",
    "one_cycle_lr",
    "one_cycle_momentum",
    "polynomial_lr",
    "reduce_lr_on_plateau",
    "sequential_lr",
    "step_lr",
    "swalr",
    "to_torch",
]
