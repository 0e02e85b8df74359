"""The loop: whole epochs inside one `lax.scan`, with the data on the device."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fnlearn.train.state import TrainState
from fnlearn.train.step import Step

History = dict[str, np.ndarray]

UPDATES = 20  # how often the progress bar moves: often enough to watch, too seldom to cost anything


def fit(
    state: TrainState,
    step: Step,
    data: Any,
    *,
    epochs: int,
    batch_size: int | None = None,
    shuffle: jax.Array | None = None,
    progress: bool = False,
) -> tuple[TrainState, History]:
    """Train on arrays that fit in memory.

    An epoch visits every row once: in batches of `batch_size`, the last one smaller when the rows don't divide evenly,
    as a `torch.utils.data.DataLoader` does. The state's buffers are donated: use the state returned, not the one given.

    Args: state: where to start. step: as `make_step` returns it. data: a tree of arrays with one leading length, the
        rows. epochs: how many. batch_size: rows a step, all of them when left out. shuffle: a key to draw each epoch's
        order from; without it the order stays. progress: show a bar with the loss and the time left.
    Returns: (state, history): history holds each metric as an array (epochs, steps of an epoch).
    Raises: ValueError when epochs or batch_size is not positive, or the arrays' lengths differ or are 0.
    Source: the training loop of a PyTorch script.
    """
    rows = _rows(data)
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    size = min(batch_size or rows, rows)
    data = jax.tree.map(jnp.asarray, data)
    order = None if shuffle is None else jax.random.split(shuffle, epochs)
    if not progress:
        state, history = _epochs(state, data, order, step=step, size=size, length=epochs)
        return state, _concatenate([history])
    parts = []
    with _bar() as bar:
        task = bar.add_task("training", total=epochs, loss=float("nan"))
        for start, stop in _parts(epochs):
            keys = None if order is None else order[start:stop]
            state, history = _epochs(state, data, keys, step=step, size=size, length=stop - start)
            parts.append(history)
            bar.update(task, completed=stop, loss=float(history["loss"][-1].mean()))
    return state, _concatenate(parts)


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


def _parts(epochs: int) -> list[tuple[int, int]]:
    """The spans of epochs between two moves of the bar, all of one length but the last."""
    length = -(-epochs // UPDATES)
    return [(start, min(start + length, epochs)) for start in range(0, epochs, length)]


def _concatenate(parts: list[dict[str, jax.Array]]) -> History:
    return jax.tree.map(lambda *spans: np.concatenate([np.asarray(span) for span in spans]), *parts)


def _bar() -> Progress:
    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    return Progress(*columns, TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.4g}"))
