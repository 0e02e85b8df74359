"""What a model is worth: metrics over all rows of a data set, and when to stop for them."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.train.data import in_memory, prefetch, rows_of
from fnlearn.train.jaxpr import convolves_on_cpu
from fnlearn.train.metrics import Metric
from fnlearn.train.state import copied
from fnlearn.tree import as_numpy

Predict = Callable[[Any, Any], tuple[Any, ...]]


def evaluate(state: Any, predict: Predict, metric: Metric, data: Any, *, batch_size: int | None = None) -> Any:
    """A metric over all rows, in one compiled function: the last batch is filled up with rows that don't count.

        evaluate(state, lambda state, batch: (model(state.params, batch[0]), batch[1]), metrics.accuracy(), test)

    It compiles once for each function, metric and shape: make both once, and call as often as you like. On a CPU the
    function is called for each batch where it has a convolution of XLA's, which is slow in a loop there.

    Args: state: what predict wants, such as a `TrainState`. predict: (state, batch) → the inputs of the metric's
        update, each with one row for one of the batch; a dict at the end holds those with names, such as a mask of the
        rows that count. metric: one of `train.metrics`, or a collection of them. data: a tree of arrays with one
        leading length, or anything that gives batches, none larger than the first. batch_size: of arrays alone: rows at
        a time, all of them when left out.
    Returns: the metric's value.
    Raises: ValueError when batch_size is below 1, there is no row, or a batch is larger than the first.
    Source: the evaluation loop of a PyTorch script.
    """
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if in_memory(data):
        size = min(batch_size or rows_of(data), rows_of(data))
        asked = {"predict": predict, "metric": metric, "size": size}
        slow = jax.default_backend() == "cpu" and convolves_on_cpu(_over_arrays.trace(state, data, **asked).jaxpr)
        if not slow or size == rows_of(data):
            return _over_arrays(state, data, **asked)
        data = _parts(data, size)
    elif batch_size is not None:
        raise ValueError("batch_size is for arrays; an iterator has its own")
    total = None
    for batch, counts in prefetch(_filled(data)):
        total = _added(state, metric.init() if total is None else total, batch, counts, predict=predict, metric=metric)
    if total is None:
        raise ValueError("the iterator has no batches")
    return jax.jit(metric.compute)(total)


class EarlyStopping:
    """Ends a training when a number has not become better for some epochs; `after_epoch` of `fit`.

        stopping = EarlyStopping(lambda epoch, state, history: accuracy_of(state), patience=3, mode="max")
        state, history = fit(state, step, data, epochs=100, after_epoch=stopping)

    A number is better when it differs from the best by more than min_delta; NaN never is. It remembers, so make one for
    each run.

    Args: measure: (epoch, state, the epoch's history) → the number, such as a validation loss; the mean loss of the
        epoch when left out. patience: after how many epochs in a row without a better one it ends. min_delta: how much
        better counts. mode: "min" or "max", which is better. keep_best: whether a copy of the best epoch's state stays.
    Attributes: best, best_epoch, best_state: of the best epoch, None before the first. waited: epochs since then.
    Raises: ValueError when patience is below 1, min_delta negative, or mode is another.
    Source: `keras.callbacks.EarlyStopping`; PyTorch Lightning's has the same semantics.
    """

    def __init__(
        self,
        measure: Callable[[int, Any, dict[str, np.ndarray]], Any] | None = None,
        *,
        patience: int,
        min_delta: float = 0.0,
        mode: str = "min",
        keep_best: bool = False,
    ):
        if patience < 1 or min_delta < 0 or mode not in ("min", "max"):
            raise ValueError(
                "patience must be at least 1, min_delta not negative and mode 'min' or 'max', got "
                f"{patience}, {min_delta}, {mode!r}"
            )
        self.measure = measure or (lambda epoch, state, history: history["loss"].mean())
        self.patience, self.min_delta, self.mode, self.keep_best = patience, min_delta, mode, keep_best
        self.best: float | None = None
        self.best_epoch: int | None = None
        self.best_state: Any = None
        self.waited = 0

    def __call__(self, epoch: int, state: Any, history: dict[str, np.ndarray]) -> bool:
        """Whether to stop, after an epoch."""
        value = float(self.measure(epoch, state, history))
        if self._better(value):
            self.best, self.best_epoch, self.waited = value, epoch, 0
            if self.keep_best:
                self.best_state = copied(state)
        else:
            self.waited += 1
        return self.waited >= self.patience

    def _better(self, value: float) -> bool:
        if self.best is None or math.isnan(value):
            return not math.isnan(value)
        gained = value - self.best if self.mode == "max" else self.best - value
        return gained > self.min_delta


@partial(jax.jit, static_argnames=("predict", "metric", "size"))
def _over_arrays(state: Any, data: Any, *, predict: Predict, metric: Metric, size: int) -> Any:
    rows = rows_of(data)
    batches = -(-rows // size)
    counts = (jnp.arange(batches * size) < rows).reshape(batches, size)
    parts = jax.tree.map(lambda x: _padded(jnp.asarray(x), batches * size).reshape(batches, size, *x.shape[1:]), data)

    def add(total: Any, part: Any) -> tuple[Any, None]:
        batch, counts = part
        return _add(state, total, batch, counts, predict, metric), None

    return metric.compute(lax.scan(add, metric.init(), (parts, counts))[0])


def _add(state: Any, total: Any, batch: Any, counts: jax.Array, predict: Predict, metric: Metric) -> Any:
    given = predict(state, batch)
    inputs, named = (given[:-1], dict(given[-1])) if isinstance(given[-1], dict) else (given, {})
    mask = named.pop("mask", None)
    if mask is not None:
        counts = jnp.asarray(mask) & counts.reshape(-1, *[1] * (jnp.ndim(mask) - 1))
    return metric.update(total, *inputs, mask=counts, **named)


_added = jax.jit(_add, static_argnames=("predict", "metric"))


def _parts(data: Any, size: int) -> Iterator[Any]:
    for start in range(0, rows_of(data), size):
        yield jax.tree.map(lambda x: x[start : start + size], data)  # noqa: B023


def _filled(data: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """The batches, each with as many rows as the first, and which of them count."""
    size = 0
    for given in data:
        batch = jax.tree.map(lambda x: np.asarray(as_numpy(x)), given)
        rows, size = rows_of(batch), size or rows_of(batch)
        if rows > size:
            raise ValueError(f"a batch has {rows} rows, and the first {size}: give the largest first")
        yield jax.tree.map(lambda x: _padded(x, size), batch), np.arange(size) < rows  # noqa: B023


def _padded(x: Any, rows: int) -> Any:
    pads = [(0, rows - len(x)), *[(0, 0)] * (x.ndim - 1)]
    return (np if isinstance(x, np.ndarray) else jnp).pad(x, pads)
