"""What a loop does between two looks: epochs of arrays in one `lax.scan`, or one batch that comes from somewhere."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.train.data import positioned, rows_of, warn_of_shapes
from fnlearn.train.step import Metrics


class Turn(NamedTuple):
    """Args: work: from which epoch to which, or a batch. epoch, batch, position: the place in the data after it. steps,
    rows: how many. ends: whether an epoch ends; where batches do, a turn without steps says so.
    """

    work: Any
    epoch: int
    batch: int = 0
    position: Any = None
    steps: int = 0
    rows: int = 0
    ends: bool = True


class Source(NamedTuple):
    """Args: turns: in their order. advance: (what is carried, turn) → (the same, metrics). batch_at: (turn, epoch of
    it, batch of that) → that batch. total: how many turns, length: how many batches an
    epoch has, where they are known.
    """

    turns: Iterator[Turn]
    advance: Callable[[Any, Turn], tuple[Any, Metrics]]
    batch_at: Callable[[Turn, int, int], Any]
    total: int | None
    length: int | None


def of_arrays(
    step: Callable[..., Any], data: Any, size: int | None, shuffle: jax.Array | None, first: int, epochs: int, each: int
) -> Source:
    """Turns of some epochs each."""
    rows = rows_of(data)
    size, data = min(size or rows, rows), jax.tree.map(jnp.asarray, data)
    keys = None if shuffle is None else jax.random.split(shuffle, epochs)
    ends = [min(start + each, epochs) for start in range(first, epochs, each)]
    spans = list(zip([first, *ends], ends, strict=False))
    length = -(-rows // size)
    turns = [Turn(span, span[1], steps=length * (n := span[1] - span[0]), rows=rows * n) for span in spans]

    def advance(carried: Any, turn: Turn) -> tuple[Any, Metrics]:
        start, stop = turn.work
        order = None if keys is None else keys[start:stop]
        return _epochs(carried, data, order, step=step, size=size, length=stop - start)

    def batch_at(turn: Turn, epoch: int, batch: int) -> Any:
        rows = data if keys is None else _shuffled(data, keys[turn.work[0] + epoch])
        return jax.tree.map(lambda x: x[batch * size : (batch + 1) * size], rows)

    return Source(iter(turns), advance, batch_at, len(turns), length)


def of_batches(step: Callable[..., Any], data: Any, place: Turn, epochs: int) -> Source:
    """Turns of one batch each, from a place on."""
    stepped = jax.jit(step, donate_argnums=0)
    length = len(data) if hasattr(data, "__len__") else None
    turns = _batches(data, place, epochs)
    return Source(turns, lambda carried, turn: stepped(carried, turn.work), lambda turn, *_: turn.work, None, length)


def _batches(data: Any, place: Turn, epochs: int) -> Iterator[Turn]:
    shapes: dict[Any, None] = {}
    for epoch in range(place.epoch, epochs):
        number, position = (place.batch, place.position) if epoch == place.epoch else (0, None)
        for batch, position in positioned(data, epoch, number, position):  # noqa: B020
            warn_of_shapes(batch, shapes)
            number += 1
            yield Turn(batch, epoch, number, position, steps=1, rows=_rows(batch), ends=False)
        if not number:
            again = "" if epoch == 0 else f" in epoch {epoch}: give a list or a loader, which can be gone through again"
            raise ValueError(f"the iterator has no batches{again}")
        yield Turn(None, epoch + 1)


def _rows(batch: Any) -> int:
    """The first dimension of a batch, 0 where there is none."""
    return next((x.shape[0] for x in jax.tree.leaves(batch) if x.ndim), 0)


@partial(jax.jit, static_argnames=("step", "size", "length"), donate_argnames="carried")
def _epochs(
    carried: Any, data: Any, order: jax.Array | None, *, step: Callable[..., Any], size: int, length: int
) -> tuple[Any, Metrics]:
    def epoch(carried: Any, key: jax.Array | None) -> tuple[Any, Metrics]:
        return _epoch(step, carried, data if key is None else _shuffled(data, key), size)

    return lax.scan(epoch, carried, order, length=length)


def _epoch(step: Callable[..., Any], carried: Any, data: Any, size: int) -> tuple[Any, Metrics]:
    """All full batches in one scan, then the rest of the rows."""
    rows = rows_of(data)
    full = rows // size
    if full == 1 and rows == size:
        carried, metrics = step(carried, data)
        return carried, jax.tree.map(lambda m: m[None], metrics)
    batches = jax.tree.map(lambda x: x[: full * size].reshape(full, size, *x.shape[1:]), data)
    carried, metrics = lax.scan(step, carried, batches)
    if rows % size == 0:
        return carried, metrics
    carried, last = step(carried, jax.tree.map(lambda x: x[full * size :], data))
    return carried, jax.tree.map(lambda m, x: jnp.concatenate([m, x[None]]), metrics, last)


def _shuffled(data: Any, key: jax.Array) -> Any:
    order = jax.random.permutation(key, rows_of(data))
    return jax.tree.map(lambda x: x[order], data)
