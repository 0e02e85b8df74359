"""Equal layers in one array, as a loop over them wants its parameters."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp

from fnlearn.tree.nested import Nested, flatten, unflatten

__all__ = ["stack_layers", "unstack_layers"]

STACKED = "stacked"


def stack_layers(nested: Nested, paths: Iterable[str]) -> dict[str, Any]:
    """The tree with the equal layers of containers in one array each, along a new first dimension.

    Args: nested: dicts in dicts. paths: the joined keys of containers, dicts {"0": layer, "1": layer, …}.
    Returns: the tree with {"stacked": layers} in each container, as `functional.scan_layers` takes it.
    Raises: KeyError when there is no such container; ValueError when its keys are others or its layers are not equal.
    Source: `jax.lax.scan`'s way to take a layer's parameters.
    """
    flat = flatten(nested)
    for path in paths:
        start = f"{path}." if path else ""
        inside = {name.removeprefix(start): flat[name] for name in flat if name.startswith(start)}
        if not inside:
            raise KeyError(f"there is no container {path!r}; the names are {sorted(flat)[:8]}")
        layers = unflatten(inside)
        if set(layers) != {str(i) for i in range(len(layers))}:
            raise ValueError(f'{path!r} must hold layers by the keys "0", "1", …, got {sorted(layers)}')
        each = [flatten(layers[str(i)]) for i in range(len(layers))]
        shapes = [{name: (jnp.shape(x), jnp.result_type(x)) for name, x in layer.items()} for layer in each]
        unlike = next((i for i, layer in enumerate(shapes) if layer != shapes[0]), None)
        if unlike is not None:
            raise ValueError(
                f"the layers of {path!r} must be equal, but layer {unlike} has other names, shapes or dtypes"
            )
        stacked = {f"{start}{STACKED}.{name}": jnp.stack([layer[name] for layer in each]) for name in each[0]}
        flat = _in_place(flat, start, stacked)
    return unflatten(flat)


def unstack_layers(nested: Nested) -> dict[str, Any]:
    """The tree that `stack_layers` came from.

    Args: nested: dicts in dicts.
    Returns: the tree with {"0": layer, "1": layer, …} wherever there is {"stacked": layers}.
    Raises: nothing.
    Source: `stack_layers`.
    """
    if set(nested) == {STACKED} and isinstance(nested[STACKED], Mapping):
        layers = flatten(unstack_layers(nested[STACKED]))
        count = len(next(iter(layers.values())))
        return {str(i): unflatten({name: x[i] for name, x in layers.items()}) for i in range(count)}
    return {key: unstack_layers(value) if isinstance(value, Mapping) else value for key, value in nested.items()}


def _in_place(flat: dict[str, Any], start: str, new: dict[str, Any]) -> dict[str, Any]:
    """The leaves with others in the place of those below a path."""
    kept: dict[str, Any] = {}
    for name, leaf in flat.items():
        kept.update(new if name.startswith(start) else {name: leaf})
    return kept
