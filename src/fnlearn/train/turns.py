"""What a loop does between two looks: epochs of arrays in one `lax.scan`, or one batch that comes from somewhere."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.train.data import positioned, round_after_round, rows_of, warn_of_shapes
from fnlearn.train.jaxpr import convolves_on_cpu
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
    """Args: turns: in their order. advance: (what is carried, turn) → (the same, metrics). jaxpr: of that. batch_at:
    (turn, epoch of it, batch of that) → that batch. total: how many turns, length: how many batches an epoch has, where
    they are known.
    """

    turns: Iterator[Turn]
    advance: Callable[[Any, Turn], tuple[Any, Metrics]]
    jaxpr: Callable[[Any, Turn], Any]
    batch_at: Callable[[Turn, int, int], Any]
    total: int | None
    length: int | None


def of_arrays(
    step: Callable[..., Any], data: Any, size: int | None, shuffle: jax.Array | None, first: int, epochs: int, each: int
) -> Source:
    """Turns of some epochs each."""
    rows = rows_of(data)
    size, data = min(size or rows, rows), jax.tree.map(_on_device, data)
    keys = None if shuffle is None else jax.random.split(shuffle, epochs)
    ends = [min(start + each, epochs) for start in range(first, epochs, each)]
    shapes = tuple((x.shape, x.dtype) for x in jax.tree.leaves(data))
    spans = list(zip([first, *ends], ends, strict=False))
    length = -(-rows // size)
    turns = [Turn(span, span[1], steps=length * (n := span[1] - span[0]), rows=rows * n) for span in spans]

    def given(turn: Turn) -> dict[str, Any]:
        start, stop = turn.work
        return {"data": data, "order": None if keys is None else keys[start:stop], "step": step, "size": size,
                "length": stop - start}  # fmt: skip

    def jaxpr(carried: Any, turn: Turn) -> Any:
        return _epochs.trace(carried, **given(turn)).jaxpr

    def advance(carried: Any, turn: Turn) -> tuple[Any, Metrics]:
        apart = jax.default_backend() == "cpu" and _apart(step, size, shapes, lambda: jaxpr(carried, turn))
        return (_one_by_one if apart else _epochs)(carried, **given(turn))

    def batch_at(turn: Turn, epoch: int, batch: int) -> Any:
        rows = data if keys is None else _shuffled(data, keys[turn.work[0] + epoch])
        return jax.tree.map(lambda x: x[batch * size : (batch + 1) * size], rows)

    return Source(iter(turns), advance, jaxpr, batch_at, len(turns), length)


def of_batches(step: Callable[..., Any], data: Any, place: Turn, epochs: int, steps: int | None) -> Source:
    """Turns of one batch each, from a place on; steps: of an epoch, all that the data gives when left out."""
    stepped = jax.jit(step, donate_argnums=0)
    turns = _whole_rounds(data, place, epochs) if steps is None else _equal_epochs(data, place, epochs, steps)
    advance = lambda carried, turn: stepped(carried, turn.work)  # noqa: E731
    jaxpr = lambda carried, turn: stepped.trace(carried, turn.work).jaxpr  # noqa: E731
    length = steps or (len(data) if hasattr(data, "__len__") else None)
    return Source(turns, advance, jaxpr, lambda turn, *_: turn.work, None, length)


def _whole_rounds(data: Any, place: Turn, epochs: int) -> Iterator[Turn]:
    shapes: dict[Any, None] = {}
    if "round" in (place.position or {}):
        raise ValueError("the run that goes on had steps_per_epoch: give it again")
    for epoch in range(place.epoch, epochs):
        number, position = (place.batch, place.position) if epoch == place.epoch else (0, None)
        for batch, position in positioned(data, epoch, number, position):  # noqa: B020
            number += 1
            yield _turn(batch, epoch, number, position, shapes)
        if not number:
            again = "" if epoch == 0 else f" in epoch {epoch}: give a list or a loader, which can be gone through again"
            raise ValueError(f"the iterator has no batches{again}")
        yield Turn(None, epoch + 1)


def _equal_epochs(data: Any, place: Turn, epochs: int, steps: int) -> Iterator[Turn]:
    """The data goes on from epoch to epoch, and its position with it."""
    shapes: dict[Any, None] = {}
    begun = place.epoch or place.batch
    if place.batch > steps or (begun and "round" not in (place.position or {})):
        raise ValueError(f"the run that goes on had other epochs than of steps_per_epoch={steps}")
    number, position = place.batch, place.position
    batches = round_after_round(data, position, (epochs - place.epoch) * steps - number)
    for epoch in range(place.epoch, epochs):
        for batch, position in islice(batches, steps - number):
            number += 1
            yield _turn(batch, epoch, number, position, shapes)
        number = 0
        yield Turn(None, epoch + 1, 0, position)


def _turn(batch: Any, epoch: int, number: int, position: Any, shapes: dict[Any, None]) -> Turn:
    """One batch's; shapes: of those before."""
    warn_of_shapes(batch, shapes)
    return Turn(batch, epoch, number, position, steps=1, rows=_rows(batch), ends=False)


def _on_device(x: Any) -> jax.Array:
    """The array itself if it is one of JAX's, which `jnp.asarray` takes longer to find out than a small step takes."""
    return x if isinstance(x, jax.Array) else jnp.asarray(x)


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


@lru_cache(32)
def _answers(*question: Any) -> list[bool]:
    """What was found before, at most one answer: a step is traced for it once, not in each call."""
    return []


def _apart(step: Callable[..., Any], size: int, shapes: Any, jaxpr: Callable[[], Any]) -> bool:
    """Whether epochs are gone through step by step, since XLA's convolutions are slow in its loops on a CPU."""
    known = _answers(step, size, shapes)
    if not known:
        known.append(convolves_on_cpu(jaxpr()))
    return known[0]


def _one_by_one(
    carried: Any, data: Any, order: jax.Array | None, *, step: Callable[..., Any], size: int, length: int
) -> tuple[Any, Metrics]:
    """What `_epochs` does, with a call for each step."""
    rows, told = rows_of(data), []
    for epoch in range(length):
        places = None if order is None else _places(order[epoch], rows)
        for start in range(0, rows, size):
            part = {"data": data, "places": places, "start": start, "step": step, "size": min(size, rows - start)}
            carried, metrics = _one(carried, **part)
            told.append(metrics)
    return carried, jax.tree.map(lambda *x: np.stack(x).reshape(length, -1, *x[0].shape), *jax.device_get(told))


@partial(jax.jit, static_argnames=("step", "size"), donate_argnames="carried")
def _one(
    carried: Any, data: Any, places: jax.Array | None, start: int, *, step: Callable[..., Any], size: int
) -> tuple[Any, Metrics]:
    """A step with the rows of some places, or with those that follow each other."""
    rows = lambda x: lax.dynamic_slice_in_dim(x, start, size)  # noqa: E731
    if places is None:
        return step(carried, jax.tree.map(rows, data))
    chosen = rows(places)
    return step(carried, jax.tree.map(lambda x: x[chosen], data))


_places = jax.jit(jax.random.permutation, static_argnums=1)


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
