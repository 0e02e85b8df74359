"""Data on its way to the device."""

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import jax
import numpy as np

from fnlearn.tree import as_numpy

ENOUGH = 2  # shapes of batches: the full one, and the last of an epoch


def prefetch(batches: Iterable[Any], size: int = 2, sharding: Any = None) -> Iterator[Any]:
    """Batches on the device, some of them ahead of the one that is worked on.

    Moving is asynchronous: while a step is computed, the next batches are made and sent.

    Args: batches: trees of arrays, numbers or torch tensors. size: how many are ahead. sharding: where they go, a
        `jax.sharding.Sharding` or a tree of them; the default device when left out.
    Returns: the batches in their order, as JAX arrays.
    Raises: ValueError when size is below 1; what `batches` raises, after the batches before it were given out.
    Source: `torch.utils.data.DataLoader`'s prefetch_factor and pin_memory.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    return _ahead(batches, size, lambda batch: _moved(batch, sharding))


def positioned(data: Any, epoch: int, done: int, position: Any, most: int | None = None) -> Iterator[tuple[Any, Any]]:
    """An epoch's batches on the device, each with the position after it, from a position on.

    Args: data: gives batches when it is iterated over, or when a function is called with the epoch's number. done: how
        many of the epoch's batches are behind. position: what was given with the last of them, None where the iterator
        does not tell: then it gives as many again, which are passed over. most: how many are wanted, all when left out.
    """
    source = iter(data(epoch) if callable(data) else data)
    tells = hasattr(source, "get_state") and hasattr(source, "set_state")  # as grain's iterators do
    if done and tells and position is not None:
        source.set_state(position["bytes"].encode("latin-1") if "bytes" in position else position["state"])
    else:
        for _ in range(done):
            next(source, None)
    with_positions = ((batch, _position(source) if tells else None) for batch in islice(source, most))
    return _ahead(with_positions, 2, lambda both: (_moved(both[0], None), both[1]))


def round_after_round(data: Any, position: Any, most: int) -> Iterator[tuple[Any, Any]]:
    """Batches of data that is begun again at its end, each with the position after it, from a position on.

    Args: data: as for `positioned`, a function of the round's number. position: as it was given; None at the beginning.
        most: how many are wanted.
    """
    now = position or {"round": 0, "batch": 0, "within": None}
    while True:
        number, batches = now["round"], now["batch"]
        for batch, within in positioned(data, number, batches, now["within"], most):
            batches, most = batches + 1, most - 1
            yield batch, {"round": number, "batch": batches, "within": within}
        if not batches:
            again = (
                "" if number == 0 else f" in round {number}: give a list or a loader, which can be gone through again"
            )
            raise ValueError(f"the iterator has no batches{again}")
        now = {"round": number + 1, "batch": 0, "within": None}


def _position(source: Any) -> dict[str, Any]:
    """What JSON can hold of an iterator's state."""
    state = source.get_state()
    return {"bytes": state.decode("latin-1")} if isinstance(state, bytes) else {"state": state}


def _moved(batch: Any, sharding: Any) -> Any:
    """On the device; arrays that are on one, or on several, stay there where no place is named."""
    host = jax.tree.map(lambda x: x if isinstance(x, jax.Array) else as_numpy(x), batch)
    if sharding is not None:
        return jax.device_put(host, sharding)
    return jax.tree.map(lambda x: x if isinstance(x, jax.Array) else jax.device_put(x), host)


def _ahead(source: Iterable[Any], size: int, move: Callable[[Any], Any]) -> Iterator[Any]:
    ahead: deque[Any] = deque()
    source = iter(source)
    while True:
        try:
            batch = next(source)
        except StopIteration:
            break
        except BaseException:
            yield from ahead
            raise
        ahead.append(move(batch))
        if len(ahead) > size:
            yield ahead.popleft()
    yield from ahead


def in_memory(data: Any) -> bool:
    """Whether data is a tree of arrays, and not something that gives batches, such as a list of trees."""
    if callable(data):
        return False
    if isinstance(data, list):
        return all(isinstance(x, jax.Array | np.ndarray) for x in data)
    return isinstance(data, Mapping | tuple | jax.Array | np.ndarray) or not hasattr(data, "__iter__")


def rows_of(data: Any) -> int:
    """The one leading length of a tree of arrays."""
    lengths = {np.shape(x)[:1] for x in jax.tree.leaves(data)}
    if len(lengths) != 1 or lengths & {(), (0,)}:
        shapes = [np.shape(x) for x in jax.tree.leaves(data)]
        raise ValueError(f"data must hold arrays with one leading length above 0, the rows; got shapes {shapes}")
    return lengths.pop()[0]


def warn_of_shapes(batch: Any, seen: dict[Any, None]) -> None:
    """A warning where a batch has shapes for which a step must be compiled again; those that were there are in seen."""
    shapes = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(batch))
    if shapes in seen:
        return
    seen[shapes] = None
    if len(seen) > ENOUGH:
        warnings.warn(
            f"a batch of other shapes is compiled for: {_told(shapes)} after {_told([*seen][-2])}; "
            "pad batches to few shapes",
            stacklevel=3,
        )


def _told(shapes: Any) -> str:
    return ", ".join(f"{dtype}{list(shape)}" for shape, dtype in shapes)
