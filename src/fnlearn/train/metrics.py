"""Metrics of an evaluation, as pure functions on what they have added up so far.

    state = metric.init()
    state = metric.update(state, predictions, targets, mask=rows)  # once a batch
    value = metric.compute(metric.merge(state, other))             # other: of other batches

A state is a dict of arrays, sums and counts, so it can be jitted, scanned, vmapped and saved as parameters are. Where
the arrays of a jitted update are sharded nothing else is needed; within `jax.shard_map`, `jax.lax.psum(state, axis)`
merges the states of all devices. `merge_all` merges states that are stacked, those of `r2_score`, no sums, included.

`mask` is boolean and says which rows count, such as those that do not fill up a last batch. Its shape is the targets'
or a leading part of it; what masked rows hold, NaN included, changes nothing. Classes are along the last dimension of
scores and logits. Floats are added in JAX's default dtype whatever the inputs have, and counts are exact up to 2³¹ − 1,
or 2⁶³ − 1 with `jax_enable_x64`. Without any row the value is NaN (a confusion matrix is 0). Shapes, dtypes and options
that are wrong raise; values can't, since they are unknown under jit, and each metric says what wrong ones do.

`flax.nnx.metrics` does not fit: its metrics are classes that are updated in place. clu, which metrax is built on, is
not maintained.
"""

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

import fnlearn.functional as F
from fnlearn.functional import check

__all__ = [
    "Metric",
    "accuracy",
    "auroc",
    "collection",
    "confusion_matrix",
    "f1",
    "mean",
    "mean_absolute_error",
    "mean_squared_error",
    "merge_all",
    "perplexity",
    "precision",
    "r2_score",
    "recall",
]

State = dict[str, Any]
Score = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]

AVERAGES = ("macro", "micro", "weighted")


class Metric(NamedTuple):
    """Four pure functions.

    Args: init: () → the state before the first batch. update: (state, *inputs, mask=None) → the state with a batch.
        merge: (state, state) → the state of both; the order does not matter. compute: state → the value.
    Source: `optax.GradientTransformation`, whose form it has.
    """

    init: Callable[[], State]
    update: Callable[..., State]
    merge: Callable[[State, State], State]
    compute: Callable[[State], Any]


def merge_all(metric: Metric, states: Any) -> Any:
    """The state of all batches together, from states that are stacked.

    Args: metric: whose states they are. states: one state whose arrays have one more dimension in front, of length 1 or
        more: what `jax.vmap` of an update returns, or `jax.shard_map` with `out_specs` along the devices.
    Returns: one state.
    Raises: ValueError when there is no state.
    Source: this project.
    """
    if any(jnp.shape(x)[:1] in ((), (0,)) for x in jax.tree.leaves(states)):
        raise ValueError(f"states must be stacked and at least one, got shapes {jax.tree.map(jnp.shape, states)}")
    first, others = jax.tree.map(lambda x: x[0], states), jax.tree.map(lambda x: x[1:], states)
    return lax.scan(lambda merged, state: (metric.merge(merged, state), None), first, others)[0]


def collection(metrics: Mapping[str, Metric]) -> Metric:
    """Several metrics as one, whose states and values are dicts.

    Args: metrics: by name, collections among them if need be; "mask" is no name.
    Returns: a metric whose update takes (state, *inputs, mask=None, **own): the inputs go to every metric but those
        that `own` names, which get their own: one array or a tuple of them.
    Raises: ValueError when an entry is no metric or is called "mask"; by update, when `own` names none of them.
    Source: `torchmetrics.MetricCollection`.
    """
    metrics = dict(metrics)
    if wrong := [name for name, metric in metrics.items() if not isinstance(metric, Metric) or name == "mask"]:
        raise ValueError(f'metrics must be a dict of Metric without the name "mask", got wrong entries {wrong}')

    def init() -> State:
        return {name: metric.init() for name, metric in metrics.items()}

    def update(state: State, /, *inputs: Any, mask: Any = None, **own: Any) -> State:
        if unknown := own.keys() - metrics.keys():
            raise ValueError(f"inputs of their own must be for one of {sorted(metrics)}, got {sorted(unknown)}")
        given = {name: x if isinstance(x, tuple) else (x,) for name, x in own.items()}
        return {name: m.update(state[name], *given.get(name, inputs), mask=mask) for name, m in metrics.items()}

    def merge(a: State, b: State) -> State:
        return {name: metric.merge(a[name], b[name]) for name, metric in metrics.items()}

    def compute(state: State) -> dict[str, Any]:
        return {name: metric.compute(state[name]) for name, metric in metrics.items()}

    return Metric(init, update, merge, compute)


def mean() -> Metric:
    """The mean of any numbers, such as the losses of single rows, Σ w·x / Σ w.

    Args: none.
    Returns: a metric whose update takes (state, values, weights=None, mask=None); the weights have the values' shape or
        a leading part of it, and are 1 when left out. The mean loss of a batch needs its number of rows as its weight.
    Raises: by update, ValueError for shapes that don't fit or numbers that are not real.
    Source: `torchmetrics.MeanMetric`.
    """

    def terms(values: Any, weights: Any = None, *, mask: Any) -> State:
        x = _float(_real("values", values))
        w = jnp.ones_like(x) if weights is None else _along("weights", _float(_real("weights", weights)), x.shape)
        counts = _counting(mask, x.shape)
        return {"total": jnp.where(counts, w * x, 0).sum(), "count": jnp.where(counts, w, 0).sum()}

    return _sums({"total": ((), float), "count": ((), float)}, terms, _quotient)


def mean_squared_error() -> Metric:
    """The mean of (prediction − target)² over all numbers of all rows.

    Args: none.
    Returns: a metric whose update takes (state, predictions, targets, mask=None), of one shape.
    Raises: by update, ValueError for shapes that don't fit or numbers that are not real.
    Source: `sklearn.metrics.mean_squared_error`.
    """
    return _mean_error(jnp.square)


def mean_absolute_error() -> Metric:
    """The mean of |prediction − target| over all numbers of all rows.

    Args: none.
    Returns: a metric whose update takes (state, predictions, targets, mask=None), of one shape.
    Raises: by update, ValueError for shapes that don't fit or numbers that are not real.
    Source: `sklearn.metrics.mean_absolute_error`.
    """
    return _mean_error(jnp.abs)


def r2_score(num_outputs: int = 1) -> Metric:
    """The coefficient of determination, 1 − Σ (t − p)² / Σ (t − mean of t)², its mean over the outputs.

    The targets' spread is kept about their mean so far and merged as by Chan et al., so that nothing is lost where the
    mean is large. Targets that are all one number give −inf, or NaN where every prediction is that number too.

    Args: num_outputs: how many numbers a row has.
    Returns: a metric whose update takes (state, predictions, targets, mask=None), both (N, num_outputs), or (N) for one
        output, and a mask (N).
    Raises: ValueError when num_outputs is below 1; by update, for shapes that don't fit or numbers that are not real.
    Source: Chan, Golub, LeVeque: Updating Formulae and a Pairwise Algorithm (1979); `sklearn.metrics.r2_score` with
        force_finite=False.
    """
    _at_least("num_outputs", num_outputs, 1)

    def init() -> State:
        columns = {name: jnp.zeros(num_outputs, float) for name in ("mean", "spread", "residual")}
        return {"count": jnp.zeros((), int), **columns}

    def update(state: State, predictions: Any, targets: Any, *, mask: Any = None) -> State:
        p, t = _outputs(predictions, targets, num_outputs)
        return _merged_spread(state, _spread(p, t, _counting(mask, t.shape[:1])))

    return Metric(init, update, _merged_spread, lambda s: jnp.mean(1 - s["residual"] / s["spread"]))


def perplexity(ignore_index: int = -100) -> Metric:
    """The exponential of the mean negative log-likelihood of the targets, in nats.

    Args: ignore_index: the target that counts as nothing.
    Returns: a metric whose update takes (state, logits, targets, mask=None): floating-point (…, C) and integers (…). A
        target that is neither a class nor ignore_index gives NaN.
    Raises: ValueError when ignore_index is no integer; by update, for shapes that don't fit or dtypes that are wrong.
    Source: `torchmetrics.text.Perplexity`; `fnlearn.functional.cross_entropy`.
    """
    if not isinstance(ignore_index, Integral):
        raise ValueError(f"ignore_index must be an integer, got {ignore_index!r}")

    def terms(logits: Any, targets: Any, *, mask: Any) -> State:
        x, t = jnp.asarray(logits), _classes("targets", targets)
        if not jnp.issubdtype(x.dtype, jnp.floating) or x.shape[:-1] != t.shape or x.ndim != t.ndim + 1:
            raise ValueError(f"logits must be floating-point {_shape(t.shape, 'C')}, got {x.dtype} {x.shape}")
        counts = _counting(mask, t.shape) & (t != ignore_index)
        t = jnp.where(t < 0, x.shape[-1], t)  # no class, rather than one counted from the end
        x = jnp.moveaxis(_float(x), -1, min(1, t.ndim))
        loss = F.cross_entropy(x, jnp.where(counts, t, -1), ignore_index=-1, reduction="none")
        return {"total": jnp.where(counts, loss, 0).sum(), "count": counts.sum()}

    return _sums({"total": ((), float), "count": ((), int)}, terms, lambda state: jnp.exp(_quotient(state)))


def accuracy(top_k: int = 1) -> Metric:
    """The share of rows whose target is the class of the greatest score, or among those of the top_k greatest.

    Of equal scores the first is the greatest, as for `jnp.argmax`. A row counts as wrong if its target's score is NaN
    or its target is no class.

    Args: top_k: how many scores to look at, at least 1.
    Returns: a metric whose update takes (state, predictions, targets, mask=None): scores (…, C) or, where top_k is 1,
        integer classes (…); and integer classes (…).
    Raises: ValueError when top_k is below 1; by update, when there are fewer classes than that, shapes don't fit, or
        dtypes are wrong.
    Source: `sklearn.metrics.top_k_accuracy_score`.
    """
    _at_least("top_k", top_k, 1)

    def terms(predictions: Any, targets: Any, *, mask: Any) -> State:
        x, t = _real("predictions", predictions), _classes("targets", targets)
        if top_k == 1 and x.shape == t.shape and _is_integer(x):
            right = x.astype(int) == t
        elif x.ndim == t.ndim + 1 and x.shape[:-1] == t.shape and x.shape[-1] >= top_k:
            right = _among_greatest(x, t, top_k)
        else:
            classes = f"integer classes {t.shape} or " if top_k == 1 else ""
            expected = f"{classes}scores {_shape(t.shape, 'C')} with C at least {top_k}"
            raise ValueError(f"predictions must be {expected}, got {x.dtype} {x.shape}")
        counts = _counting(mask, t.shape)
        return {"total": (right & counts).sum(), "count": counts.sum()}

    return _sums({"total": ((), int), "count": ((), int)}, terms, _quotient)


def confusion_matrix(num_classes: int) -> Metric:
    """How many rows of each class were predicted to be of each: [i, j] of class i as class j.

    Args: num_classes: C.
    Returns: a metric whose update takes (state, predictions, targets, mask=None): scores (…, C) or integer classes (…),
        and integer classes (…); its value is (C, C) integers. A row with a class outside [0, C) is left out. Of equal
        scores the first is the greatest, and NaN is greater than any.
    Raises: ValueError when num_classes is below 1; by update, for shapes that don't fit or dtypes that are wrong.
    Source: `sklearn.metrics.confusion_matrix`.
    """
    _at_least("num_classes", num_classes, 1)

    def terms(predictions: Any, targets: Any, *, mask: Any) -> State:
        p, t = _predicted(predictions, targets, num_classes)
        counts = _counting(mask, t.shape) & _within(p, num_classes) & _within(t, num_classes)
        cells = _tally(t * num_classes + p, counts, num_classes**2)
        return {"counts": cells.reshape(num_classes, num_classes)}

    return _sums({"counts": ((num_classes, num_classes), int)}, terms, lambda state: state["counts"])


def f1(num_classes: int, average: str | None = "macro") -> Metric:
    """The harmonic mean of precision and recall, 2·hits / (predicted + actual).

    Args: num_classes: C. average: "macro", the mean over the classes that occur in targets or predictions; "weighted",
        by how often each is a target; "micro", of the sums over all classes; or None, each class by itself (C), NaN for
        one that does not occur. A class that occurs, without a hit, has 0.
    Returns: a metric whose update takes (state, predictions, targets, mask=None) as `confusion_matrix`; a row whose
        target is no class is a wrong prediction of what was predicted.
    Raises: ValueError when num_classes is below 1 or average is unknown; by update, for shapes that don't fit or dtypes
        that are wrong.
    Source: `sklearn.metrics.f1_score` with zero_division=0.
    """
    return _class_score(num_classes, average, lambda hits, predicted, actual: (2 * hits, predicted + actual))


def precision(num_classes: int, average: str | None = "macro") -> Metric:
    """The share of the rows predicted to be of a class that are, hits / predicted.

    Args: num_classes, average: as for `f1`.
    Returns: a metric whose update is that of `f1`.
    Raises: as `f1`.
    Source: `sklearn.metrics.precision_score` with zero_division=0.
    """
    return _class_score(num_classes, average, lambda hits, predicted, actual: (hits, predicted))


def recall(num_classes: int, average: str | None = "macro") -> Metric:
    """The share of the rows of a class that are predicted to be, hits / actual.

    Args: num_classes, average: as for `f1`.
    Returns: a metric whose update is that of `f1`.
    Raises: as `f1`.
    Source: `sklearn.metrics.recall_score` with zero_division=0.
    """
    return _class_score(num_classes, average, lambda hits, predicted, actual: (hits, actual))


def auroc(thresholds: int = 1024) -> Metric:
    """The area under the ROC curve of two classes: how likely a positive row has a greater score than a negative one.

    Scores are counted in bins of width 1 / thresholds, and those in one bin are taken as equal. So the value is off by
    at most half the share of the pairs of a positive and a negative row that have a bin in common. Scores that crowd
    near 0 or 1 need more thresholds, or to be spread first by any function that keeps their order.

    Args: thresholds: how many, at least 2: 0, 1/thresholds, … A power of two makes the bins' edges exact.
    Returns: a metric whose update takes (state, scores, targets, mask=None) of one shape: floating-point from 0 to 1,
        and booleans or the integers 0 and 1. One other score (NaN, or a logit without its sigmoid) or target makes the
        value NaN, and so does the lack of either class.
    Raises: ValueError when thresholds is below 2; by update, for shapes that don't fit or dtypes that are wrong.
    Source: `sklearn.metrics.roc_auc_score`; the bins as in `torchmetrics.classification.BinaryAUROC`.
    """
    _at_least("thresholds", thresholds, 2)

    def terms(scores: Any, targets: Any, *, mask: Any) -> State:
        x, t = jnp.asarray(scores), _classes("targets", targets)
        if not jnp.issubdtype(x.dtype, jnp.floating) or x.shape != t.shape:
            raise ValueError(f"scores must be floating-point of the targets' shape {t.shape}, got {x.dtype} {x.shape}")
        x, counts = _float(x), _counting(mask, t.shape)
        valid = (x >= 0) & (x <= 1) & _within(t, 2)
        bins = jnp.minimum((jnp.where(valid, x, 0) * thresholds).astype(int), thresholds - 1)
        cells = _tally(t * thresholds + bins, counts & valid, 2 * thresholds).reshape(2, thresholds)
        return {"negatives": cells[0], "positives": cells[1], "invalid": (counts & ~valid).sum()}

    def compute(state: State) -> jax.Array:
        negatives, positives = state["negatives"], state["positives"]
        below = _float(jnp.cumsum(negatives) - negatives) + _float(negatives) / 2
        area = jnp.sum(_float(positives) / _float(positives.sum()) * (below / _float(negatives.sum())))
        return jnp.where(state["invalid"] > 0, jnp.nan, area)

    bins = ((thresholds,), int)
    return _sums({"negatives": bins, "positives": bins, "invalid": ((), int)}, terms, compute)


def _sums(
    zeros: dict[str, tuple[tuple[int, ...], type]], terms: Callable[..., State], compute: Callable[[State], Any]
) -> Metric:
    """A metric whose state is sums: of shapes and dtypes, and of what a batch adds to each."""

    def init() -> State:
        return {name: jnp.zeros(shape, dtype) for name, (shape, dtype) in zeros.items()}

    def update(state: State, *inputs: Any, mask: Any = None) -> State:
        return jax.tree.map(lambda total, x: total + x.astype(total.dtype), state, terms(*inputs, mask=mask))

    def merge(a: State, b: State) -> State:
        return jax.tree.map(jnp.add, a, b)

    return Metric(init, update, merge, compute)


def _mean_error(measure: Callable[[jax.Array], jax.Array]) -> Metric:
    def terms(predictions: Any, targets: Any, *, mask: Any) -> State:
        p, t = _real("predictions", predictions), _real("targets", targets)
        if p.shape != t.shape:
            raise ValueError(f"predictions must have the targets' shape {t.shape}, got {p.shape}")
        counts = _counting(mask, t.shape)
        return {"total": jnp.where(counts, measure(_float(p) - _float(t)), 0).sum(), "count": counts.sum()}

    return _sums({"total": ((), float), "count": ((), int)}, terms, _quotient)


def _class_score(num_classes: int, average: str | None, score: Score) -> Metric:
    _at_least("num_classes", num_classes, 1)
    if average is not None:
        check.option("average", average, AVERAGES)

    def terms(predictions: Any, targets: Any, *, mask: Any) -> State:
        p, t = _predicted(predictions, targets, num_classes)
        counts = _counting(mask, t.shape)
        which = {"hits": (t, counts & (p == t)), "predicted": (p, counts), "actual": (t, counts)}
        return {name: _tally(classes, rows, num_classes) for name, (classes, rows) in which.items()}

    def compute(state: State) -> jax.Array:
        hits, predicted, actual = (_float(state[name]) for name in ("hits", "predicted", "actual"))
        part, whole = score(hits, predicted, actual)
        if average == "micro":
            return part.sum() / whole.sum()
        each = part / jnp.maximum(whole, 1)
        occurs = predicted + actual > 0
        if average is None:
            return jnp.where(occurs, each, jnp.nan)
        weight = actual if average == "weighted" else _float(occurs)
        return jnp.sum(weight * each) / weight.sum()

    return _sums({name: ((num_classes,), int) for name in ("hits", "predicted", "actual")}, terms, compute)


def _spread(p: jax.Array, t: jax.Array, counts: jax.Array) -> State:
    """The state of `r2_score` after one batch; the second step takes the first one's rounding off the mean."""
    rows = jnp.broadcast_to(counts[:, None], t.shape)
    size = jnp.maximum(_float(counts.sum()), 1)
    total = lambda x: jnp.where(rows, x, 0).sum(0, keepdims=True)  # noqa: E731
    mean = total(t) / size
    mean = mean + total(t - mean) / size
    columns = {"mean": mean, "spread": total((t - mean) ** 2), "residual": total((t - p) ** 2)}
    return {"count": counts.sum(), **{name: x[0] for name, x in columns.items()}}


def _merged_spread(a: State, b: State) -> State:
    count = a["count"] + b["count"].astype(a["count"].dtype)
    share = _float(b["count"]) / jnp.maximum(_float(count), 1)
    apart = b["mean"] - a["mean"]
    spread = a["spread"] + b["spread"] + apart**2 * (_float(a["count"]) * share)
    columns = {"mean": a["mean"] + apart * share, "spread": spread, "residual": a["residual"] + b["residual"]}
    return {"count": count, **columns}


def _outputs(predictions: Any, targets: Any, num_outputs: int) -> tuple[jax.Array, jax.Array]:
    """Both as (N, num_outputs)."""
    p, t = _float(_real("predictions", predictions)), _float(_real("targets", targets))
    one = num_outputs == 1 and t.ndim == 1
    if p.shape != t.shape or not (one or (t.ndim == 2 and t.shape[1] == num_outputs)):
        expected = f"(N, {num_outputs})" + (" or (N)" if num_outputs == 1 else "")
        raise ValueError(f"predictions and targets must both have the shape {expected}, got {p.shape} and {t.shape}")
    return p.reshape(t.shape[0], num_outputs), t.reshape(t.shape[0], num_outputs)


def _predicted(predictions: Any, targets: Any, num_classes: int) -> tuple[jax.Array, jax.Array]:
    """The classes predicted, those of the greatest scores where scores come, and those of the targets."""
    p, t = _real("predictions", predictions), _classes("targets", targets)
    if p.shape == (*t.shape, num_classes):
        return jnp.argmax(p, -1).astype(int), t
    if p.shape == t.shape and _is_integer(p):
        return p.astype(int), t
    expected = f"integer classes {t.shape} or scores {_shape(t.shape, num_classes)}"
    raise ValueError(f"predictions must be {expected}, got {p.dtype} {p.shape}")


def _among_greatest(scores: jax.Array, targets: jax.Array, k: int) -> jax.Array:
    """Whether fewer than k scores come before the target's; any comes before NaN."""
    own, target = jnp.take_along_axis(scores, targets[..., None], -1, mode="clip"), targets[..., None]
    column = lax.broadcasted_iota(targets.dtype, scores.shape, scores.ndim - 1)
    before = ~(scores < own) & ~((scores == own) & (column >= target))
    return _within(targets, scores.shape[-1]) & (before.sum(-1) < k)


def _tally(index: jax.Array, counts: jax.Array, length: int) -> jax.Array:
    """How often each number below `length` occurs where it counts."""
    kept = jnp.where(counts & _within(index, length), index, length)
    return jnp.zeros(length, int).at[kept].add(1, mode="drop")


def _counting(mask: Any, shape: tuple[int, ...]) -> jax.Array:
    """The mask in the shape of the rows."""
    if mask is None:
        return jnp.ones(shape, bool)
    rows = jnp.asarray(mask)
    if rows.dtype != jnp.bool_:
        raise ValueError(f"mask must be boolean, got {rows.dtype}")
    return _along("mask", rows, shape)


def _along(name: str, x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """An array of a leading part of a shape, repeated along what is missing."""
    if x.shape != shape[: x.ndim]:
        raise ValueError(f"{name} must have the shape {shape} or a leading part of it, got {x.shape}")
    return jnp.broadcast_to(x.reshape(*x.shape, *(1,) * (len(shape) - x.ndim)), shape)


def _quotient(state: State) -> jax.Array:
    return _float(state["total"]) / _float(state["count"])


def _within(classes: jax.Array, count: int) -> jax.Array:
    return (classes >= 0) & (classes < count)


def _classes(name: str, value: Any) -> jax.Array:
    x = jnp.asarray(value)
    if not _is_integer(x):
        raise ValueError(f"{name} must be integer classes, got {x.dtype} {x.shape}")
    return x.astype(int)


def _real(name: str, value: Any) -> jax.Array:
    x = jnp.asarray(value)
    if not _is_integer(x) and not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"{name} must be real numbers, got {x.dtype} {x.shape}")
    return x


def _is_integer(x: jax.Array) -> bool:
    return x.dtype == jnp.bool_ or jnp.issubdtype(x.dtype, jnp.integer)


def _float(x: jax.Array) -> jax.Array:
    return x.astype(float)


def _shape(rows: tuple[int, ...], last: Any) -> str:
    return "(" + ", ".join(map(str, (*rows, last))) + ")"


def _at_least(name: str, value: int, least: int) -> None:
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
