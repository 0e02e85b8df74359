"""A linear map and its cross-entropy in one, for many classes: the logits of all samples need never exist at once."""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.loss import cross_entropy
from fnlearn.functional.precision import accumulator
from fnlearn.functional.typing import ArrayLike, DTypeLike

POLICIES = ("auto", "accurate", "balanced", "compact")


@dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """How `linear_cross_entropy` takes its samples in chunks.

    Torch: `torch.nn.LinearCrossEntropyOptions`.
    Shape: none.
    Args: allow_retain_graph, acc_policy, acc_dtype: accepted and without effect: gradients can be taken as often as
        one likes, and sums are in float32 or wider. batch_chunk_size: samples in a chunk. chunking_method: "auto",
        "aspect_ratio" or "aspect_ratio:N", which chooses chunks so large that their logits take as much memory as the
        input, or an N-th of it; None takes batch_chunk_size.
    Raises: ValueError for an unknown option, or a size that is not positive.
    Differs: one policy of accumulation, torch's "accurate", serves all.
    Source: `torch.nn.LinearCrossEntropyOptions`.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: DTypeLike | None = None

    def __post_init__(self) -> None:
        check.option("acc_policy", self.acc_policy, POLICIES)
        if self.batch_chunk_size is not None and self.batch_chunk_size < 1:
            raise ValueError(f"batch_chunk_size must be at least 1, got {self.batch_chunk_size}")
        _divisor(self.chunking_method)


def linear_cross_entropy(
    input: ArrayLike,
    linear_weight: ArrayLike,
    target: ArrayLike,
    *,
    linear_bias: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> jax.Array:
    """Cross-entropy of the logits x · Aᵀ + b.

    Torch: `torch.nn.functional.linear_cross_entropy`.
    Shape: input (in) or (N, in), linear_weight (C, in) or (C, d₁, …, in), linear_bias (C) or (C, d₁, …), target as for
        `cross_entropy` of logits (C), (N, C) or (N, C, d₁, …) → () or, unreduced, the shape of a target of classes.
    Args: input, linear_weight, linear_bias: floating-point, of one dtype. ignore_index: the class that counts as
        nothing, −100 when left out. target, weight, reduction, label_smoothing: as for `cross_entropy`. options: a
        `fnlearn.nn.LinearCrossEntropyOptions`: take the samples in chunks, whose logits are computed again for the
        gradient instead of being kept; only for integer classes, no d₁ and no smoothing, and else ignored.
    Raises: ValueError when shapes don't fit or an option is out of range; TypeError when dtypes are wrong.
    Differs: a class outside [0, C) is not refused, since values are unknown under jit: it gives NaN. Options that can't
        be followed are ignored without torch's warning.
    Source: `torch.nn.functional.linear_cross_entropy`.
    """
    x, a = check.floating("input", input), check.floating("linear_weight", linear_weight)
    b = None if linear_bias is None else check.floating("linear_bias", linear_bias)
    check.same_dtype(input=x, linear_weight=a, linear_bias=b)
    y = check.number("target", target)
    _fit(x, a, b)
    check.option("reduction", reduction, ("none", "mean", "sum"))
    shape = (*x.shape[:-1], *a.shape[:-1])
    if y.shape == shape and ignore_index is not None:
        raise ValueError(f"ignore_index goes with a target of classes, got ignore_index={ignore_index} and {y.shape}")
    ignored = -100 if ignore_index is None else ignore_index
    wide = accumulator(x.dtype)
    factors = None if weight is None else _factors(weight, x, a.shape[0])
    y = y.astype(wide) if jnp.issubdtype(y.dtype, jnp.floating) else y
    chunkable = a.ndim == 2 and label_smoothing == 0 and jnp.issubdtype(y.dtype, jnp.integer)
    if options is not None and chunkable and x.ndim == 2 and y.shape == x.shape[:1] and y.size:
        rows = _chunk(options, x.shape[0], x.shape[1], a.shape[0])
        return _chunked(x, a, b, y, factors, reduction, ignored, rows).astype(x.dtype)
    logits = _logits(x, a, b).reshape(shape)
    smoothing = label_smoothing
    loss = cross_entropy(logits, y, factors, None, ignored, None, reduction, smoothing)
    return loss.astype(x.dtype)


def _fit(x: jax.Array, a: jax.Array, b: jax.Array | None) -> None:
    if x.ndim not in (1, 2):
        raise ValueError(f"input must have shape (in) or (N, in), got {x.shape}")
    if a.ndim < 2 or a.shape[-1] != x.shape[-1]:
        raise ValueError(f"linear_weight must have shape (C, …, {x.shape[-1]}) for input {x.shape}, got {a.shape}")
    if b is not None and b.shape != a.shape[:-1]:
        raise ValueError(f"linear_bias must have shape {a.shape[:-1]} for linear_weight {a.shape}, got {b.shape}")
    if a.ndim > 2 and x.ndim == 1:
        raise ValueError(f"linear_weight {a.shape} needs input (N, {x.shape[0]}), got {x.shape}")


def _factors(weight: ArrayLike, x: jax.Array, classes: int) -> jax.Array:
    factors = check.floating("weight", weight)
    check.same_dtype(input=x, weight=factors)
    if factors.shape != (classes,):
        raise ValueError(f"weight must hold one factor for each of {classes} classes, got shape {factors.shape}")
    return factors.astype(accumulator(x.dtype))


def _logits(x: jax.Array, a: jax.Array, b: jax.Array | None) -> jax.Array:
    """The logits in the wide dtype, so that only the loss is rounded."""
    flat = a.reshape(-1, a.shape[-1])
    logits = jnp.matmul(x, flat.T, preferred_element_type=accumulator(x.dtype))
    return logits if b is None else logits + jnp.broadcast_to(b.astype(logits.dtype).reshape(-1), logits.shape)


def _chunked(
    x: jax.Array,
    a: jax.Array,
    b: jax.Array | None,
    y: jax.Array,
    factors: jax.Array | None,
    reduction: str,
    ignored: int,
    rows: int,
) -> jax.Array:
    """The loss, chunk by chunk; the last one is filled up with samples that are ignored."""
    number = x.shape[0]
    fill = -number % rows
    xs = jnp.pad(x, ((0, fill), (0, 0))).reshape(-1, rows, x.shape[1])
    ys = jnp.pad(y, (0, fill), constant_values=ignored).reshape(-1, rows)

    @jax.checkpoint
    def losses(chunk: tuple[jax.Array, jax.Array]) -> jax.Array:
        return cross_entropy(_logits(chunk[0], a, b), chunk[1], factors, None, ignored, None, "none")

    loss = lax.map(losses, (xs, ys)).reshape(-1)[:number]
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    kept = y != ignored
    weights = jnp.ones(y.shape, loss.dtype) if factors is None else factors[jnp.where(kept, y, 0)]
    return loss.sum() / jnp.where(kept, weights, 0).sum()


def _chunk(options: Any, number: int, features: int, classes: int) -> int:
    """How many samples a chunk holds."""
    divisor = _divisor(options.chunking_method)
    if options.batch_chunk_size is not None or divisor is None:
        return min(options.batch_chunk_size or number, number)
    size = math.ceil(number / math.ceil(classes / max(features, 1)))
    return min(max((1 << (size - 1).bit_length()) // divisor, 1), number)


def _divisor(method: str | None) -> int | None:
    """Into how many parts "aspect_ratio:N" divides a chunk."""
    if method is None:
        return None
    name, _, factor = ("aspect_ratio:2" if method == "auto" else method).partition(":")
    if name != "aspect_ratio" or not (factor or "1").isdigit() or int(factor or 1) < 1:
        raise ValueError(f"chunking_method must be 'auto', 'aspect_ratio', 'aspect_ratio:N' or None, got {method!r}")
    return int(factor or 1)
