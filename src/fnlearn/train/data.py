"""Data on its way to the device."""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
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
    ahead: deque[Any] = deque()
    source = iter(batches)
    while True:
        try:
            batch = next(source)
        except StopIteration:
            break
        except BaseException:
            yield from ahead
            raise
        ahead.append(jax.device_put(jax.tree.map(as_numpy, batch), sharding))
        if len(ahead) > size:
            yield ahead.popleft()
    yield from ahead


def in_memory(data: Any) -> bool:
    """Whether data is a tree of arrays, and not something that gives batches, such as a list of trees."""
    if isinstance(data, list):
        return all(isinstance(x, jax.Array | np.ndarray) for x in data)
    return isinstance(data, Mapping | tuple | jax.Array | np.ndarray) or not hasattr(data, "__iter__")


def recompiled(batches: Iterable[Any]) -> Iterator[Any]:
    """The same batches, with a warning where one has shapes for which a step must be compiled again."""
    seen: dict[Any, None] = {}
    for batch in batches:
        shapes = tuple((x.shape, str(x.dtype)) for x in jax.tree.leaves(batch))
        if shapes not in seen:
            seen[shapes] = None
            if len(seen) > ENOUGH:
                before = [*seen][-2]
                warnings.warn(
                    f"a batch of other shapes is compiled for: {_told(shapes)} after {_told(before)}; "
                    "pad batches to few shapes",
                    stacklevel=2,
                )
        yield batch


def _told(shapes: Any) -> str:
    return ", ".join(f"{dtype}{list(shape)}" for shape, dtype in shapes)
