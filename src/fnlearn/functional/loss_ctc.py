"""Connectionist temporal classification: a loss of sequences whose alignment is unknown."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.reduction import integer_classes, known, reduced, within
from fnlearn.functional.typing import ArrayLike

Lengths = ArrayLike | Sequence[int]


@wide_inside
def ctc_loss(
    log_probs: ArrayLike,
    targets: ArrayLike,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> jax.Array:
    """Negative log-likelihood of a sequence of labels, summed over all alignments with the time steps.

    Torch: `torch.nn.functional.ctc_loss`.
    Shape: log_probs (T, N, C) or (T, C), targets (N, S) or, one after the other, (Σ target_lengths) → () or, unreduced,
        (N) or ().
    Args: log_probs: logarithms of probabilities, floating-point. targets: integer classes other than blank.
        input_lengths, target_lengths: (N) or (), arrays or tuples. blank: the class of no label. reduction: "mean"
        divides each loss by its target's length first. zero_infinity: losses that are infinite (too few time steps for
        the target) count as 0, and so do their gradients.
    Raises: ValueError when shapes, lengths or options don't fit; TypeError when dtypes are wrong.
    Differs: lengths and classes out of range are not refused under jit, where values are unknown. The gradient is
        torch's: the one of log-probabilities that come from `log_softmax`, exp(log_probs) − share of the alignments.
    Source: Graves et al.: Connectionist Temporal Classification (2006); ATen `LossCTC.cpp`.
    """
    check.option("reduction", reduction, ("none", "mean", "sum"))
    log_p, labels = check.floating("log_probs", log_probs), integer_classes("targets", targets)
    if log_p.ndim not in (2, 3):
        raise ValueError(f"log_probs must have shape (T, N, C) or (T, C), got {log_p.shape}")
    batch = log_p if log_p.ndim == 3 else log_p[:, None]
    steps, number, classes = batch.shape
    if not 0 <= blank < classes:
        raise ValueError(f"blank must be between 0 and {classes - 1}, got {blank}")
    times = _lengths("input_lengths", input_lengths, number, steps)
    longest = labels.shape[1] if labels.ndim == 2 else labels.size
    sizes = _lengths("target_lengths", target_lengths, number, longest)
    loss = _negative_log_likelihood(batch, _rows(labels, sizes, number, log_p.ndim), times, sizes, blank, zero_infinity)
    if zero_infinity:
        loss = jnp.where(jnp.isinf(loss), jnp.zeros_like(loss), loss)
    if reduction == "mean":
        loss = loss / jnp.maximum(sizes, 1).astype(loss.dtype)
    return reduced(loss if log_p.ndim == 3 else loss[0], reduction)


def _lengths(name: str, value: Lengths, number: int, limit: int) -> jax.Array:
    lengths = check.number(name, jnp.asarray(value))
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(f"{name} must be integers, got dtype {lengths.dtype}")
    if lengths.ndim > 1 or lengths.size != number:
        raise ValueError(f"{name} must hold one length for each of {number} sample(s), got shape {lengths.shape}")
    within(name, lengths, 0, limit)
    return lengths.reshape(number)


def _rows(labels: jax.Array, sizes: jax.Array, number: int, ndim: int) -> jax.Array:
    """The targets (N, S), one row a sample; what lies beyond a target's length is anything."""
    if labels.ndim == 2 and labels.shape[0] == number:
        return labels
    if labels.ndim != 1:
        raise ValueError(f"targets must have shape ({number}, S) or (Σ target_lengths), got {labels.shape}")
    total = int(np.asarray(sizes).sum()) if known(sizes) else labels.size
    if labels.size != total:
        raise ValueError(f"targets must hold {total} classes, the sum of target_lengths, got shape {labels.shape}")
    if ndim == 2:
        return labels[None]
    longest = int(np.asarray(sizes).max(initial=0)) if known(sizes) else labels.size
    starts = jnp.cumsum(sizes) - sizes
    return (
        jnp.take(labels, starts[:, None] + jnp.arange(longest)[None], mode="clip") if labels.size else labels[:0, None]
    )


def _negative_log_likelihood(
    log_p: jax.Array, labels: jax.Array, times: jax.Array, sizes: jax.Array, blank: int, zero_infinity: bool
) -> jax.Array:
    """The loss of each sample, by the recursion over time of α: how likely a prefix of the target is by now.

    The target is extended by blanks, before, between and after its labels: 2 · S + 1 places.
    """
    steps, number, _ = log_p.shape
    labels = jnp.where(jnp.arange(labels.shape[1])[None] < sizes[:, None], labels, blank)
    places = 2 * labels.shape[1] + 1
    extended = jnp.full((number, places), blank, labels.dtype).at[:, 1::2].set(labels)
    apart = jnp.pad(labels[:, 1:] != labels[:, :-1], ((0, 0), (1, 0)))[:, : labels.shape[1]]
    skips = jnp.zeros((number, places), bool).at[:, 1::2].set(apart)
    index = jnp.broadcast_to(extended[None], (steps, number, places))
    emitted = jnp.take_along_axis(log_p, index, 2, mode="fill")
    running = jnp.arange(steps)[:, None, None] < times[None, :, None]  # (T, N, 1)
    start = jnp.where(jnp.arange(places) == 0, 0.0, -jnp.inf).astype(log_p.dtype)

    def step(alpha: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        emission, runs = now
        shifted = jnp.where(skips, _shift(alpha, 2), -jnp.inf)
        new = _log_sum_exp(jnp.stack([alpha, _shift(alpha, 1), shifted])) + emission
        return jnp.where(runs, new, alpha), None

    alpha, _ = lax.scan(step, jnp.broadcast_to(start[None], (number, places)), (emitted, running))
    last = jnp.stack([2 * sizes, jnp.maximum(2 * sizes - 1, 0)], 1)
    ends = jnp.take_along_axis(alpha, last, 1)
    ends = jnp.where(jnp.stack([sizes >= 0, sizes > 0], 1), ends, -jnp.inf)
    loss = -_log_sum_exp(ends.T)
    slope = jnp.where(jnp.isinf(loss)[None, :, None], 0.0 if zero_infinity else jnp.nan, jnp.exp(log_p))
    return loss + _nothing(log_p, lax.stop_gradient(jnp.where(running, slope, 0))).sum((0, 2))


def _shift(alpha: jax.Array, by: int) -> jax.Array:
    return jnp.pad(alpha, ((0, 0), (by, 0)), constant_values=-jnp.inf)[:, : alpha.shape[1]]


def _log_sum_exp(terms: jax.Array) -> jax.Array:
    """Of the first dimension; -inf, with no gradient, where all terms are -inf."""
    top = lax.stop_gradient(terms.max(0))
    none = top == -jnp.inf
    total = jnp.exp(terms - jnp.where(none, 0, top)[None]).sum(0)
    return jnp.where(none, -jnp.inf, jnp.log(jnp.where(none, 1, total)) + jnp.where(none, 0, top))


@jax.custom_jvp
def _nothing(x: jax.Array, slope: jax.Array) -> jax.Array:
    """Zero, with a derivative of one's choice."""
    return jnp.zeros_like(x)


@_nothing.defjvp
def _(primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    return jnp.zeros_like(primals[0]), primals[1] * tangents[0]
