"""Equal layers, one after the other, as one loop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["scan_layers"]

NO_KEY: Any = object()


def scan_layers(fn: Callable[..., Any], layers: Any, x: Any, *, key: jax.Array | None = NO_KEY) -> Any:
    """What comes out of equal layers that are applied one after the other, by a loop that is compiled once.

    Torch: `torch.nn.Sequential`.
    Shape: x any tree of arrays, which every layer must return in the same shapes → the last layer's output.
    Args: fn: a layer, (params, x) → x, or (params, x, key) → x when there is an argument `key`. layers: the layers'
        parameters, a list of trees, or a dict of them whose keys are "0", "1", …; or {"stacked": tree}, where each
        array holds those of all layers along a new first dimension; or a tuple of these, of which `fn` is given one
        layer each, as parameters and buffers. key: split into one for each layer; None for each
        when it is None, as in evaluation.
    Raises: ValueError when there are no layers, a dict's keys are others, or the layers' trees or shapes differ.
    Differs: a function of parameters; the layers must be equal but for their parameters' numbers.
    Source: `jax.lax.scan`.
    """
    stacked = _stacked(layers)
    counts = {len(leaf) for leaf in jax.tree.leaves(stacked)}
    if len(counts) != 1:
        raise ValueError(f"layers must be equally many of each kind, got {sorted(counts)}")
    (count,) = counts
    keys = None if key is NO_KEY or key is None else jax.random.split(key, count)

    def step(x: Any, layer: Any) -> tuple[Any, None]:
        params, own = layer
        return fn(params, x) if key is NO_KEY else fn(params, x, own), None

    return jax.lax.scan(step, x, (stacked, keys))[0]


def _stacked(layers: Any) -> Any:
    if isinstance(layers, tuple):
        return tuple(_stacked(part) for part in layers)
    if isinstance(layers, Mapping) and set(layers) == {"stacked"}:
        return layers["stacked"]
    if isinstance(layers, Mapping):
        names = [str(i) for i in range(len(layers))]
        if set(layers) != set(names):
            raise ValueError(f'layers must have the keys "0", "1", … or "stacked", got {sorted(layers)}')
        layers = [layers[name] for name in names]
    if not isinstance(layers, Sequence) or not layers or not jax.tree.leaves(layers[0]):
        raise ValueError(f"layers must be the parameters of at least one layer, got {type(layers).__name__}")
    first = jax.tree.map(jnp.shape, layers[0])
    for i, layer in enumerate(layers):
        if jax.tree.map(jnp.shape, layer) != first:
            raise ValueError(f"the layers must be equal, but the parameters of layer {i} differ from those of layer 0")
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *layers)
