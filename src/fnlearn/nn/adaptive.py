"""A softmax over very many classes, the rare ones of which share small clusters."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn.functional import check
from fnlearn.functional.reduction import integer_classes, within
from fnlearn.functional.typing import DTypeLike
from fnlearn.nn.container import Sequential, compose
from fnlearn.nn.layer import Layer
from fnlearn.nn.linear import Linear


class ASMoutput(NamedTuple):
    """What `AdaptiveLogSoftmaxWithLoss` returns: the targets' log-probabilities, and minus their mean."""

    output: jax.Array
    loss: jax.Array


def AdaptiveLogSoftmaxWithLoss(
    in_features: int,
    n_classes: int,
    cutoffs: Sequence[int],
    div_value: float = 4.0,
    head_bias: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Log-softmax over a head of frequent classes and clusters of rarer ones, each with a smaller projection.

    Torch: `torch.nn.AdaptiveLogSoftmaxWithLoss`.
    Shape: input (N, in) or (in), target (N) or () → output, target's, and loss, (); parameters head.weight,
        tail.I.0.weight and tail.I.1.weight.
    Args: in_features: in. n_classes: how many classes, sorted by frequency. cutoffs: where the clusters begin, rising,
        below n_classes. div_value: by how much each cluster's projection is smaller than the one before. head_bias:
        whether the head has a bias. device, dtype: as for `Linear`. When applied, method="log_prob" gives the
        log-probabilities (N, n_classes) of input alone, and method="predict" the likeliest classes.
    Raises: ValueError when the cutoffs don't rise or the shapes don't fit; TypeError when target is not of integers.
    Differs: torch's methods log_prob and predict are asked for by `method=`. Every cluster is computed for every
        sample, since shapes are static. A class out of range is not refused under jit: it gives NaN.
    Source: Grave et al.: Efficient Softmax Approximation for GPUs (2017).
    """
    ends = [*cutoffs, n_classes]
    if not cutoffs or any(a >= b for a, b in itertools.pairwise([0, *ends])) or any(int(c) != c for c in ends):
        raise ValueError(f"cutoffs must be rising integers above 0 and below n_classes = {n_classes}, got {cutoffs}")
    head_size = ends[0] + len(ends) - 1

    def cluster(position: int) -> Layer:
        hidden = int(in_features // div_value ** (position + 1))
        size = ends[position + 1] - ends[position]
        return Sequential(Linear(in_features, hidden, False, device, dtype), Linear(hidden, size, False, device, dtype))

    def forward(net: Any, input: Any, target: Any = None, *, method: str = "forward") -> Any:
        check.option("method", method, ("forward", "log_prob", "predict"))
        x = check.floating("input", input)
        if x.shape[-1:] != (in_features,) or x.ndim > 2:
            raise ValueError(f"input must have shape (N, {in_features}) or ({in_features}), got {x.shape}")
        rows = x if x.ndim == 2 else x[None]
        head = F.log_softmax(net.head(rows), 1)
        if method == "forward":
            return _forward(net, rows, head, _classes(target, x, n_classes), ends, x.ndim == 1)
        tails = [F.log_softmax(tail(rows), 1) + head[:, ends[0] + i, None] for i, tail in enumerate(net.tail)]
        log_p = jnp.concatenate([head[:, : ends[0]], *tails], 1)
        out = log_p if method == "log_prob" else log_p.argmax(1)
        return out if x.ndim == 2 else out[0]

    head = Linear(in_features, head_size, head_bias, device, dtype)
    return compose(forward, head=head, tail=[cluster(i) for i in range(len(ends) - 1)])


def _classes(target: Any, x: jax.Array, n_classes: int) -> jax.Array:
    if target is None:
        raise ValueError("target must be given, unless method is 'log_prob' or 'predict'")
    y = integer_classes("target", target)
    if y.shape != x.shape[:-1]:
        raise ValueError(f"target must have shape {x.shape[:-1]} for input {x.shape}, got {y.shape}")
    within("target", y, 0, n_classes - 1)
    return y.reshape(-1)


def _forward(net: Any, rows: jax.Array, head: jax.Array, y: jax.Array, ends: list[int], single: bool) -> ASMoutput:
    """Each target's log-probability: in the head, or that of its cluster plus its own inside."""
    out = _pick(head, y, 0, ends[0])
    for i, tail in enumerate(net.tail):
        inside = _pick(F.log_softmax(tail(rows), 1), y, ends[i], ends[i + 1])
        out = jnp.where((y >= ends[i]) & (y < ends[i + 1]), inside + head[:, ends[0] + i], out)
    out = jnp.where((y >= 0) & (y < ends[-1]), out, math.nan)
    return ASMoutput(out[0] if single else out, -out.mean())


def _pick(log_p: jax.Array, y: jax.Array, first: int, end: int) -> jax.Array:
    index = jnp.clip(y - first, 0, end - first - 1)
    return jnp.take_along_axis(log_p, index[:, None], 1)[:, 0]
