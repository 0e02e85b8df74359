"""Losses with a margin: hinges, which are 0 as soon as the right answer leads by enough.

A hinge that is written as a clamp in ATen has the derivative 1 at its corner; one that is written as a loop over the
classes (`multi_margin_loss`, `multilabel_margin_loss`) has 0 there.
"""

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.activation import logsigmoid
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.reduction import broadcast, broadcast_pair, clamped, effective, integer_classes, reduced, within
from fnlearn.functional.typing import ArrayLike


@wide_inside
def margin_ranking_loss(
    input1: ArrayLike,
    input2: ArrayLike,
    target: ArrayLike,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinge of a pair in the wrong order, max(0, margin − y · (x₁ − x₂)).

    Torch: `torch.nn.functional.margin_ranking_loss`.
    Shape: input1, input2 and target (*), broadcast → () or, unreduced, (*).
    Args: input1, input2: numbers, of as many dimensions as target. target: 1 where input1 must be larger, −1 where
        input2. margin: the lead that is asked for. size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError for an unknown reduction or shapes that don't fit; TypeError when an argument is not numeric.
    Differs: nothing.
    Source: ATen `Loss.cpp`.
    """
    x1, x2, y = check.number("input1", input1), check.number("input2", input2), check.number("target", target)
    if not x1.ndim == x2.ndim == y.ndim:
        raise ValueError(
            f"input1, input2 and target must have equally many dimensions, got {x1.shape}, {x2.shape} and {y.shape}"
        )
    reduction = effective(size_average, reduce, reduction)
    difference, sign = broadcast_pair(jnp.subtract(*broadcast_pair(x1, x2)), y)
    return reduced(clamped(margin - sign * difference), reduction)


@wide_inside
def hinge_embedding_loss(
    input: ArrayLike,
    target: ArrayLike,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """A distance x where y is 1, and its hinge max(0, margin − x) where y is −1.

    Torch: `torch.nn.functional.hinge_embedding_loss`.
    Shape: input and target (*), broadcast → () or, unreduced, (*).
    Args: input: distances. target: 1 for alike, −1 for different; any other number counts as both. margin: how far
        apart different ones must be. size_average, reduce, reduction: as for `mse_loss`.
    Raises: as `margin_ranking_loss`.
    Differs: nothing.
    Source: ATen `Loss.cpp`.
    """
    x, y = broadcast_pair(check.number("input", input), check.number("target", target))
    reduction = effective(size_average, reduce, reduction)
    zero = jnp.zeros_like(x)
    return reduced(jnp.where(y != 1, clamped(margin - x), zero) + jnp.where(y != -1, x, zero), reduction)


@wide_inside
def cosine_embedding_loss(
    input1: ArrayLike,
    input2: ArrayLike,
    target: ArrayLike,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """1 − cos(x₁, x₂) where y is 1, and max(0, cos(x₁, x₂) − margin) where y is −1.

    Torch: `torch.nn.functional.cosine_embedding_loss`.
    Shape: input1 and input2 (N, D) with target (N), or (D) with () → () or, unreduced, target's.
    Args: input1, input2: vectors. target: 1 for alike, −1 for different; any other number counts as 0. margin: the
        cosine that different ones may have, between −1 and 1. size_average, reduce, reduction: as for `mse_loss`.
    Raises: as `margin_ranking_loss`.
    Differs: nothing.
    Source: ATen `Loss.cpp`.
    """
    x1, x2 = broadcast_pair(check.number("input1", input1), check.number("input2", input2))
    y = check.number("target", target)
    if y.ndim not in (0, 1) or x1.ndim != y.ndim + 1:
        raise ValueError(
            f"input1, input2 (N, D) and target (N), or (D) and (), expected, got {x1.shape}, {x2.shape} and {y.shape}"
        )
    reduction = effective(size_average, reduce, reduction)
    square1, square2 = jnp.square(x1).sum(-1) + 1e-12, jnp.square(x2).sum(-1) + 1e-12
    cosine, y = broadcast_pair((x1 * x2).sum(-1) / jnp.sqrt(square1 * square2), y)
    zero = jnp.zeros_like(cosine)
    return reduced(jnp.where(y == 1, 1 - cosine, zero) + jnp.where(y == -1, clamped(cosine - margin), zero), reduction)


@wide_inside
def soft_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Logistic loss of a sign, log(1 + exp(−y · x)).

    Torch: `torch.nn.functional.soft_margin_loss`.
    Shape: input and target (*), broadcast → () or, unreduced, (*).
    Args: input: scores, floating-point. target: 1 or −1. size_average, reduce, reduction: as for `mse_loss`.
    Raises: as `margin_ranking_loss`.
    Differs: nothing: as in torch, the exponential overflows to infinity where −y · x is large (89 in float32).
    Source: ATen `Loss.cpp`.
    """
    x, y = broadcast_pair(check.floating("input", input), check.number("target", target))
    reduction = effective(size_average, reduce, reduction)
    return reduced(jnp.log1p(jnp.exp(-y * x)), reduction)


@wide_inside
def multilabel_soft_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Binary cross-entropy of logits, averaged over the classes.

    Torch: `torch.nn.functional.multilabel_soft_margin_loss`.
    Shape: input and target (*, C), broadcast → () or, unreduced, (*).
    Args: input: logits, floating-point. target: 0 or 1 for each class. weight: broadcast to input. size_average,
        reduce, reduction: as for `mse_loss`.
    Raises: as `margin_ranking_loss`.
    Differs: nothing.
    Source: `torch.nn.functional.multilabel_soft_margin_loss`.
    """
    x, y = broadcast_pair(check.floating("input", input), check.number("target", target))
    reduction = effective(size_average, reduce, reduction)
    if x.ndim == 0:
        raise ValueError("input must have a last dimension of classes, got a scalar")
    loss = -(y * logsigmoid(x) + (1 - y) * logsigmoid(-x))
    if weight is not None:
        loss = loss * broadcast("weight", weight, loss)
    return reduced(loss.sum(-1) / x.shape[-1], reduction)


@wide_inside
def multi_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    p: int = 1,
    margin: float = 1.0,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinges of all wrong classes against the right one, Σ wᵧ · max(0, margin − xᵧ + xⱼ)ᵖ / C over j ≠ y.

    Torch: `torch.nn.functional.multi_margin_loss`.
    Shape: input (C) or (N, C), target () or (N) → () or, unreduced, target's.
    Args: input: scores, floating-point. target: integer classes. p: 1 or 2. margin: the lead that is asked for.
        weight: (C), a factor for each class. size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError when shapes don't fit or an option is unknown; TypeError when dtypes are wrong.
    Differs: a class outside [0, C) gives NaN under jit, where values are unknown; outside it is refused as in torch.
    Source: ATen `LossMultiMargin.cpp`.
    """
    if p not in (1, 2):
        raise ValueError(f"p must be 1 or 2, got {p}")
    x, y = check.floating("input", input), integer_classes("target", target)
    reduction = effective(size_average, reduce, reduction)
    rows = _rows("input", x)
    if y.ndim > 1 or y.size != rows.shape[0]:
        raise ValueError(f"target must hold one class for each of {rows.shape[0]} sample(s), got shape {y.shape}")
    within("target", y, 0, rows.shape[1] - 1)
    index = y.reshape(-1, 1)
    z = margin - jnp.take_along_axis(rows, index, 1, mode="fill") + rows
    hinge = jnp.where(z <= 0, jnp.zeros_like(z), z)
    if p == 2:
        hinge = hinge * hinge
    if weight is not None:
        hinge = hinge * _class_factors(weight, rows).at[index].get(mode="fill", fill_value=jnp.nan)
    wrong = jnp.arange(rows.shape[1])[None] != index
    loss = jnp.where(wrong, hinge, 0).sum(1) / rows.shape[1]
    return reduced(loss.reshape(y.shape), reduction)


@wide_inside
def multilabel_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinges of all absent classes against each present one, Σ max(0, 1 − xᵧ + xⱼ) / C over present y and absent j.

    Torch: `torch.nn.functional.multilabel_margin_loss`.
    Shape: input and target (C) or (N, C) → () or, unreduced, () or (N).
    Args: input: scores, floating-point. target: the present classes, integers; the first −1 in a row ends them.
        size_average, reduce, reduction: as for `mse_loss`.
    Raises: ValueError when shapes don't fit or the reduction is unknown; TypeError when dtypes are wrong.
    Differs: a class outside [−1, C) gives NaN under jit, where values are unknown; outside it is refused as in torch.
    Source: ATen `LossMultiLabelMargin.cpp`.
    """
    x, y = check.floating("input", input), integer_classes("target", target)
    reduction = effective(size_average, reduce, reduction)
    rows = _rows("input", x)
    if y.shape != x.shape and not (x.ndim < 2 and y.ndim < 2 and y.size == x.size):
        raise ValueError(f"target must have the shape of input, got {y.shape} and {x.shape}")
    within("target", y, -1, rows.shape[1] - 1)
    labels = y.reshape(rows.shape)
    listed = jnp.cumsum(labels < 0, 1) == 0  # those before the first -1
    classes = jnp.arange(rows.shape[1])
    # labels down, classes across: (N, C, C)
    present = ((labels[:, :, None] == classes[None, None]) & listed[:, :, None]).any(1)
    picked = jnp.take_along_axis(rows, jnp.where(listed, labels, 0), 1, mode="fill")
    z = 1 - picked[:, :, None] + rows[:, None]
    counted = listed[:, :, None] & ~present[:, None] & ~(z <= 0)
    loss = jnp.where(counted, z, 0).sum((1, 2)) / rows.shape[1]
    return reduced(loss.reshape(x.shape[:-1]), reduction)


def _rows(name: str, x: jax.Array) -> jax.Array:
    """The samples in rows: (), (C) or (N, C), which may be none but has classes."""
    if x.ndim > 2 or (x.ndim and x.shape[-1] == 0):
        raise ValueError(f"{name} must have shape (C) or (N, C) with C above 0, got {x.shape}")
    return x if x.ndim == 2 else x.reshape(1, -1)


def _class_factors(weight: ArrayLike, rows: jax.Array) -> jax.Array:
    factors = check.floating("weight", weight)
    check.same_dtype(input=rows, weight=factors)
    if factors.shape != rows.shape[1:]:
        raise ValueError(f"weight must hold one factor for each of {rows.shape[1]} classes, got shape {factors.shape}")
    return factors
