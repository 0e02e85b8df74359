"""Losses, with torch's reductions: "mean" (the default), "sum", and "none" for a value each.

`size_average` and `reduce` are torch's names of old for `reduction`: `size_average=False` is `reduction="sum"`, and
`reduce=False` is `reduction="none"`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import xlogy

from fnlearn.functional import check
from fnlearn.functional.activation import logsigmoid
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.reduction import (
    absolute,
    broadcast,
    broadcast_pair,
    effective,
    integer_classes,
    pair,
    reduced,
    weight_like,
    weighted,
)
from fnlearn.functional.softmax import log_softmax
from fnlearn.functional.typing import ArrayLike


@wide_inside
def mse_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: ArrayLike | None = None,
) -> jax.Array:
    """Squared error, (x − y)².

    Torch: `torch.nn.functional.mse_loss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: input, target: numbers; they broadcast, with a warning. reduction: "mean", "sum" or "none".
        size_average, reduce: deprecated. weight: of input's shape; the mean is then the weighted one.
    Raises: ValueError for an unknown reduction or shapes that don't fit; TypeError when an argument is not numeric.
    Differs: nothing.
    Source: ATen `Loss.cpp`.
    """
    x, y = pair(input, target)
    reduction = effective(size_average, reduce, reduction)
    return weighted(jnp.square(x - y), weight, reduction)


@wide_inside
def l1_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: ArrayLike | None = None,
) -> jax.Array:
    """Absolute error, |x − y|, with derivative 0 at 0.

    Torch: `torch.nn.functional.l1_loss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `mse_loss`.
    Raises: as `mse_loss`.
    Differs: nothing.
    Source: ATen `Loss.cpp`.
    """
    x, y = pair(input, target)
    reduction = effective(size_average, reduce, reduction)
    return weighted(absolute(x - y), weight, reduction)


@wide_inside
def smooth_l1_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> jax.Array:
    """Squared error / (2 · beta) below beta, |x − y| − beta / 2 from there on.

    Torch: `torch.nn.functional.smooth_l1_loss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: input, target, size_average, reduce, reduction: as for `mse_loss`. beta: at least 0; 0 is `l1_loss`.
    Raises: ValueError when beta is negative; else as `mse_loss`.
    Differs: nothing.
    Source: Girshick: Fast R-CNN (2015).
    """
    if beta < 0:
        raise ValueError(f"beta must be at least 0, got {beta}")
    x, y = pair(input, target)
    reduction = effective(size_average, reduce, reduction)
    error = absolute(x - y)
    if beta == 0:
        return reduced(error, reduction)
    return reduced(jnp.where(error < beta, 0.5 * jnp.square(error) / beta, error - 0.5 * beta), reduction)


@wide_inside
def huber_loss(
    input: ArrayLike,
    target: ArrayLike,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: ArrayLike | None = None,
) -> jax.Array:
    """Squared error / 2 up to delta, delta · (|x − y| − delta / 2) from there on.

    Torch: `torch.nn.functional.huber_loss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: input, target, reduction: as for `mse_loss`. delta: above 0. weight: of input's shape; the mean stays
        the plain one, unlike in `mse_loss`.
    Raises: ValueError when delta is not positive; else as `mse_loss`.
    Differs: nothing.
    Source: Huber: Robust Estimation of a Location Parameter (1964).
    """
    if delta <= 0:
        raise ValueError(f"delta must be above 0, got {delta}")
    x, y = pair(input, target)
    check.option("reduction", reduction, ("none", "mean", "sum"))
    error = absolute(x - y)
    loss = jnp.where(error <= delta, 0.5 * jnp.square(error), delta * (error - 0.5 * delta))
    return reduced(loss if weight is None else loss * weight_like(weight, loss), reduction)


@wide_inside
def binary_cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Cross-entropy of probabilities, −(y · log x + (1 − y) · log(1 − x)), with the logarithms kept above −100.

    Torch: `torch.nn.functional.binary_cross_entropy`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: input: probabilities, floating-point. target: probabilities, of the same shape and dtype. weight: broadcast to
        target. size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError when shapes differ or the reduction is unknown; TypeError when dtypes differ.
    Differs: probabilities outside [0, 1] are not refused, since values are unknown under jit: they give NaN.
    Source: ATen `Loss.cpp`.
    """
    x, y = check.floating("input", input), check.floating("target", target)
    check.same_dtype(input=x, target=y)
    if x.shape != y.shape:
        raise ValueError(f"target must have the shape of input, got {y.shape} and {x.shape}")
    loss = _cross_entropy_of_probability(x, y)
    if weight is not None:
        loss = loss * broadcast("weight", weight, loss)
    return reduced(loss, effective(size_average, reduce, reduction))


@wide_inside
def binary_cross_entropy_with_logits(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
) -> jax.Array:
    """Binary cross-entropy of sigmoid(x), computed from x without overflow.

    Torch: `torch.nn.functional.binary_cross_entropy_with_logits`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: input: logits, floating-point. target: probabilities, of the same shape. weight: broadcast to input.
        pos_weight: factor of the positive term, broadcast to input. size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError when shapes differ or the reduction is unknown; TypeError when an argument is not numeric.
    Differs: nothing.
    Source: ATen `Loss.cpp`.
    """
    x, y = check.floating("input", input), check.number("target", target)
    if x.shape != y.shape:
        raise ValueError(f"target must have the shape of input, got {y.shape} and {x.shape}")
    y = y.astype(x.dtype)
    log_weight: ArrayLike = 1
    if pos_weight is not None:
        log_weight = (broadcast("pos_weight", pos_weight, x) - 1) * y + 1
    loss = (1 - y) * x - log_weight * logsigmoid(x)
    if weight is not None:
        loss = loss * broadcast("weight", weight, loss)
    return reduced(loss, effective(size_average, reduce, reduction))


@wide_inside
def nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Negative log-likelihood of the target classes; the mean is weighted by the classes' weights.

    Torch: `torch.nn.functional.nll_loss`.
    Shape: input (C), (N, C) or (N, C, d₁, …), target (), (N) or (N, d₁, …) → () or, unreduced, target's.
    Args: input: log-probabilities, floating-point. target: integer classes. weight: (C), a factor for each class.
        ignore_index: the class that counts as nothing. size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError when shapes don't fit or the reduction is unknown; TypeError when dtypes are wrong.
    Differs: a class outside [0, C) is not refused, since values are unknown under jit: it gives NaN.
    Source: ATen `LossNLL.cpp`.
    """
    log_p, classes = check.floating("input", input), integer_classes("target", target)
    axis = _class_axis(log_p, classes.shape)
    pick = lambda index: _at_classes(log_p, index, axis)  # noqa: E731
    loss, factor = _nll(pick, classes, _class_weight(weight, log_p, axis), ignore_index)
    reduction = effective(size_average, reduce, reduction)
    return loss.sum() / factor.sum() if reduction == "mean" else reduced(loss, reduction)


@wide_inside
def cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> jax.Array:
    """Cross-entropy of logits against classes or against probabilities.

    Torch: `torch.nn.functional.cross_entropy`.
    Shape: input (C), (N, C) or (N, C, d₁, …), target (), (N) or (N, d₁, …), or input's shape for probabilities → ()
        or, unreduced, the shape of a target of classes.
    Args: input: logits, floating-point. target: integer classes, or probabilities of input's shape. weight: (C).
        ignore_index: the class that counts as nothing. label_smoothing: share of the uniform distribution mixed into
        the target, in [0, 1]. size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError when shapes don't fit or an option is out of range; TypeError when dtypes are wrong.
    Differs: a class outside [0, C) is not refused, since values are unknown under jit: it gives NaN.
    Source: ATen `LossNLL.cpp`; Szegedy et al.: Rethinking the Inception Architecture (2016) for the smoothing.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be between 0 and 1, got {label_smoothing}")
    x, y = check.floating("input", input), check.number("target", target)
    reduction = effective(size_average, reduce, reduction)
    if jnp.issubdtype(y.dtype, jnp.floating):
        return _cross_entropy_of_distribution(x, y, weight, reduction, label_smoothing)
    axis = _class_axis(x, y.shape)
    factors = _class_weight(weight, x, axis)
    loss, factor = _nll(lambda index: _log_probability(x, index, axis), y, factors, ignore_index)
    scale = factor.sum() if reduction == "mean" else 1
    if label_smoothing == 0:
        return loss.sum() / scale if reduction == "mean" else reduced(loss, reduction)
    log_p = log_softmax(x, axis)
    spread = -log_p if weight is None else -log_p * _along(factors, log_p, axis)
    uniform = jnp.where(y == ignore_index, 0, spread.sum(axis)) / x.shape[axis]
    mixed = (1 - label_smoothing) * loss + label_smoothing * uniform
    return mixed.sum() / scale if reduction == "mean" else reduced(mixed, reduction)


@wide_inside
def kl_div(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> jax.Array:
    """Kullback–Leibler divergence of log-probabilities x from a target y, y · (log y − x).

    Torch: `torch.nn.functional.kl_div`.
    Shape: input and target (*), broadcast → () or, unreduced, (*).
    Args: input: log-probabilities, floating-point. target: probabilities, or their logarithms with log_target.
        reduction: "batchmean" (the definition), "mean" (over every element), "sum" or "none". size_average, reduce:
        deprecated.
    Raises: ValueError for an unknown reduction or shapes that don't fit; TypeError when an argument is not numeric.
    Differs: nothing; torch's warning that "mean" is not the definition is left out.
    Source: ATen `Loss.cpp`.
    """
    x, y = broadcast_pair(check.floating("input", input), check.floating("target", target))
    reduction = effective(size_average, reduce, reduction, extra=("batchmean",))
    loss = jnp.exp(y) * (y - x) if log_target else xlogy(y, y) - y * x
    if reduction == "batchmean":
        return loss.sum() / x.shape[0] if x.ndim else loss
    return reduced(loss, reduction)


@jax.custom_jvp
def _cross_entropy_of_probability(x: jax.Array, y: jax.Array) -> jax.Array:
    return -(y * jnp.maximum(jnp.log(x), -100) + (1 - y) * jnp.maximum(jnp.log1p(-x), -100))


@_cross_entropy_of_probability.defjvp
def _(primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """ATen's backward: the denominator is kept above 1e-12, so that the gradient stays finite at 0 and 1."""
    (x, y), (dx, dy) = primals, tangents
    slope = (x - y) / jnp.maximum((1 - x) * x, 1e-12)
    return _cross_entropy_of_probability(x, y), slope * dx + (jnp.log1p(-x) - jnp.log(x)) * dy


def _nll(
    log_p: Callable[[jax.Array], jax.Array], classes: jax.Array, weight: jax.Array, ignore_index: int
) -> tuple[jax.Array, jax.Array]:
    """The loss of each target, and the factor with which it counts in a mean."""
    kept = classes != ignore_index
    index = jnp.where(kept, classes, 0)
    factor = jnp.where(kept, weight.at[index].get(mode="fill"), 0)
    return jnp.where(kept, -log_p(index) * factor, 0), factor


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _log_probability(x: jax.Array, classes: jax.Array, axis: int) -> jax.Array:
    """Of given classes, by their logits; neither it nor its gradient keeps an array of all probabilities."""
    most, log_sum = _log_sum(x, axis)
    return _at_classes(x, classes, axis) - most.squeeze(axis) - log_sum.squeeze(axis)


@_log_probability.defjvp
def _(axis: int, at: tuple[jax.Array, jax.Array], moved: tuple[jax.Array, Any]) -> tuple[jax.Array, jax.Array]:
    (x, classes), (dx, _) = at, moved
    most, log_sum = _log_sum(x, axis)
    share = jnp.exp(x - most - log_sum)
    return _log_probability(x, classes, axis), _at_classes(dx, classes, axis) - (share * dx).sum(axis)


def _log_sum(x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """The greatest number, and the logarithm of the sum of the exponentials of all numbers beside it."""
    most = lax.stop_gradient(x.max(axis, keepdims=True))
    return most, jnp.log(jnp.exp(x - most).sum(axis, keepdims=True))


def _at_classes(x: jax.Array, classes: jax.Array, axis: int) -> jax.Array:
    return jnp.take_along_axis(x, jnp.expand_dims(classes, axis), axis, mode="fill").squeeze(axis)


def _cross_entropy_of_distribution(
    x: jax.Array, y: jax.Array, weight: ArrayLike | None, reduction: str, label_smoothing: float
) -> jax.Array:
    if x.shape != y.shape:
        raise ValueError(f"a target of probabilities must have the shape of input, got {y.shape} and {x.shape}")
    axis = 0 if x.ndim == 1 else 1
    y = (1 - label_smoothing) * y.astype(x.dtype) + label_smoothing / x.shape[axis]
    term = log_softmax(x, axis) * y
    if weight is not None:
        term = term * _along(_class_weight(weight, x, axis), x, axis)
    loss = -term.sum(axis)
    return reduced(loss, reduction)


def _class_axis(x: jax.Array, target_shape: tuple[int, ...]) -> int:
    """Where the classes stand in input; a ValueError unless target has input's shape without them."""
    axis = 0 if x.ndim == 1 else 1
    if x.ndim == 0 or x.shape[:axis] + x.shape[axis + 1 :] != target_shape:
        raise ValueError(f"input {x.shape} and target {target_shape} don't fit: target must be input without classes")
    return axis


def _class_weight(weight: ArrayLike | None, x: jax.Array, axis: int) -> jax.Array:
    if weight is None:
        return jnp.ones(x.shape[axis], x.dtype)
    factors = check.floating("weight", weight)
    check.same_dtype(input=x, weight=factors)
    if factors.shape != (x.shape[axis],):
        raise ValueError(f"weight must hold one factor for each of {x.shape[axis]} classes, got shape {factors.shape}")
    return factors


def _along(factors: jax.Array, like: jax.Array, axis: int) -> jax.Array:
    """Factors of the classes, broadcast along the class axis."""
    shape = [1] * like.ndim
    shape[axis] = -1
    return jnp.broadcast_to(factors.reshape(shape), like.shape)
