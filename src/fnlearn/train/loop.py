"""The loop: whole epochs inside one `lax.scan`, with the data on the device, or batches from wherever they come."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fnlearn.train.data import in_memory, prefetch, recompiled
from fnlearn.train.state import TrainState
from fnlearn.train.step import Step

History = dict[str, np.ndarray]

UPDATES = 20  # how often the progress bar moves: often enough to watch, too seldom to cost anything


AfterEpoch = Callable[[int, TrainState, History], bool | None]


def fit(
    state: TrainState,
    step: Step,
    data: Any,
    *,
    epochs: int,
    batch_size: int | None = None,
    shuffle: jax.Array | None = None,
    progress: bool = False,
    after_epoch: AfterEpoch | None = None,
) -> tuple[TrainState, History]:
    """Train on arrays that fit in memory, or on batches that come one after the other.

    An epoch visits every row once: in batches of `batch_size`, the last one smaller when the rows don't divide evenly,
    as a `torch.utils.data.DataLoader` does. The state's buffers are donated: use the state returned, not the one given.

    Args: state: where to start. step: as `make_step` returns it. data: a tree of arrays with one leading length, the
        rows, which whole epochs on the device go through; or anything that gives batches whenever it is iterated over,
        such as a `DataLoader` of torch's, whose batches are moved to the device while the one before is computed with.
        epochs: how many. batch_size, shuffle: of arrays alone: rows a step, all of them when left out; a key to draw
        each epoch's order from, without which the order stays. progress: show a bar with the loss and the time left.
        after_epoch: called with an epoch's number, from 0, the state after it and its metrics, to evaluate, save or
        log; True ends the training. It must not keep the state: copy what is to stay.
    Returns: (state, history): history holds each metric as an array (epochs, steps of an epoch).
    Raises: ValueError when epochs or batch_size is not positive, the arrays' lengths differ or are 0, or an iterator
        has no batches, or other numbers of them from epoch to epoch.
    Source: the training loop of a PyTorch script.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if in_memory(data):
        rows = _rows(data)
        span = partial(_span, step, jax.tree.map(jnp.asarray, data), min(batch_size or rows, rows), shuffle, epochs)
    elif batch_size is not None or shuffle is not None:
        raise ValueError("batch_size and shuffle are for arrays; an iterator has its own")
    else:
        span = partial(_stream, jax.jit(step, donate_argnums=0), data)
    if not progress and after_epoch is None:
        state, history = span(state, 0, epochs)
        return state, _concatenate([history])
    parts, each = [], 1 if after_epoch is not None else -(-epochs // UPDATES)
    with _bar(progress) as bar:
        task = bar.add_task("training", total=epochs, loss=float("nan"))
        for start in range(0, epochs, each):
            stop = min(start + each, epochs)
            state, history = span(state, start, stop)
            parts.append(history)
            bar.update(task, completed=stop, loss=float(history["loss"][-1].mean()))
            if after_epoch is not None and after_epoch(start, state, _concatenate([history])):
                break
    return state, _concatenate(parts)


def _span(
    step: Step, data: Any, size: int, shuffle: jax.Array | None, epochs: int, state: TrainState, start: int, stop: int
) -> tuple[TrainState, Any]:
    """Epochs on arrays, from one number to another."""
    keys = None if shuffle is None else jax.random.split(shuffle, epochs)[start:stop]
    return _epochs(state, data, keys, step=step, size=size, length=stop - start)


def _stream(
    step: Step, batches: Iterable[Any], state: TrainState, start: int, stop: int
) -> tuple[TrainState, dict[str, np.ndarray]]:
    """Epochs on batches that come one after the other, from one number to another."""
    epochs: list[Any] = []
    for epoch in range(start, stop):
        told = []
        for batch in recompiled(prefetch(batches)):
            state, metrics = step(state, batch)
            told.append(metrics)
        if not told:
            again = "" if epoch == 0 else f" in epoch {epoch}: give a list or a loader, which can be gone through again"
            raise ValueError(f"the iterator has no batches{again}")
        epochs.append(jax.tree.map(lambda *x: np.stack(jax.device_get(x)), *told))
    if len({len(jax.tree.leaves(epoch)[0]) for epoch in epochs}) > 1:
        raise ValueError(f"the iterator has {[len(jax.tree.leaves(e)[0]) for e in epochs]} batches from epoch to epoch")
    return state, jax.tree.map(lambda *x: np.stack(x), *epochs)


@partial(jax.jit, static_argnames=("step", "size", "length"), donate_argnames="state")
def _epochs(
    state: TrainState, data: Any, order: jax.Array | None, *, step: Step, size: int, length: int
) -> tuple[TrainState, dict[str, jax.Array]]:
    def epoch(state: TrainState, key: jax.Array | None) -> tuple[TrainState, dict[str, jax.Array]]:
        return _epoch(step, state, data if key is None else _shuffled(data, key), size)

    return lax.scan(epoch, state, order, length=length)


def _epoch(step: Step, state: TrainState, data: Any, size: int) -> tuple[TrainState, dict[str, jax.Array]]:
    """All full batches in one scan, then the rest of the rows."""
    rows = _rows(data)
    full = rows // size
    if full == 1 and rows == size:
        state, metrics = step(state, data)
        return state, jax.tree.map(lambda m: m[None], metrics)
    batches = jax.tree.map(lambda x: x[: full * size].reshape(full, size, *x.shape[1:]), data)
    state, metrics = lax.scan(step, state, batches)
    if rows % size == 0:
        return state, metrics
    state, last = step(state, jax.tree.map(lambda x: x[full * size :], data))
    return state, jax.tree.map(lambda m, x: jnp.concatenate([m, x[None]]), metrics, last)


def _shuffled(data: Any, key: jax.Array) -> Any:
    order = jax.random.permutation(key, _rows(data))
    return jax.tree.map(lambda x: x[order], data)


def _rows(data: Any) -> int:
    lengths = {jnp.shape(x)[:1] for x in jax.tree.leaves(data)}
    if len(lengths) != 1 or lengths & {(), (0,)}:
        shapes = [jnp.shape(x) for x in jax.tree.leaves(data)]
        raise ValueError(f"data must hold arrays with one leading length above 0, the rows; got shapes {shapes}")
    return lengths.pop()[0]


def _concatenate(parts: list[dict[str, jax.Array]]) -> History:
    return jax.tree.map(lambda *spans: np.concatenate([np.asarray(span) for span in spans]), *parts)


def _bar(shown: bool) -> Progress:
    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    return Progress(*columns, TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.4g}"), disable=not shown)
