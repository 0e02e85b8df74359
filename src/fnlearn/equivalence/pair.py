"""A torch module and the JAX function that should be the same, and what is asked of both."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fnlearn.equivalence import torch_side
from fnlearn.nn import Layer
from fnlearn.tree import flatten, unflatten


class Pair(NamedTuple):
    """Two models that should be the same.

    Args: module: the `torch.nn.Module`, which is copied before it is run, or a `Recording` of one. apply: (params,
        buffers, *inputs, train=, key=) → (out, buffers). params, buffers: trees of arrays of the JAX side. names: what
        makes {torch's name: array in torch's layout} of `params`, or of a gradient of the same shape.
    Raises: nothing.
    """

    module: Any
    apply: Callable[..., tuple[Any, Any]]
    params: Any
    buffers: Any
    names: Callable[[Any], Mapping[str, Any]]


def pair(
    module: Any,
    fn: Layer | Callable[..., Any],
    params: Any = None,
    buffers: Any = None,
    *,
    names: Callable[[Any], Mapping[str, Any]] = flatten,
) -> Pair:
    """A module and its port, to ask questions about.

    Args: module: a `torch.nn.Module`, or a `Recording` of one. fn: a `Layer`, or a function (params, *inputs) → out. If
        its second argument is called `buffers`, it is (params, buffers, *inputs) → (out, buffers); `train` and `key`
        are given to it if it has arguments of these names. params, buffers: the JAX side's; the module's own, as nested
        dicts with torch's names, when left out. names: makes {torch's name: array in torch's layout} of params, for
        trees of another shape; transposes belong here.
    Returns: a `Pair`.
    Raises: TypeError when fn can't be called.
    """
    if not isinstance(fn, Layer) and not callable(fn):
        raise TypeError(f"fn must be a Layer or a function (params, *inputs), got {type(fn).__name__}")
    if params is None or buffers is None:
        own = tuple(unflatten(part) for part in torch_side.weights(module))
        params, buffers = own[0] if params is None else params, own[1] if buffers is None else buffers
    return Pair(module, _of_layer(fn) if isinstance(fn, Layer) else _uniform(fn), params, buffers, names)


def _of_layer(layer: Layer) -> Callable[..., tuple[Any, Any]]:
    def apply(params: Any, buffers: Any, *inputs: Any, **options: Any) -> tuple[Any, Any]:
        return layer.apply(params, buffers, *inputs, **options)  # looked up when called, so that it can be watched

    return apply


def _uniform(fn: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """A function of whatever it takes as (params, buffers, *inputs, train=, key=) → (out, buffers)."""
    arguments = inspect.signature(fn).parameters
    takes_buffers = list(arguments)[1:2] == ["buffers"]

    @functools.wraps(fn)
    def apply(params: Any, buffers: Any, *inputs: Any, **named: Any) -> tuple[Any, Any]:
        named = {name: x for name, x in named.items() if name not in ("train", "key") or name in arguments}
        if takes_buffers:
            return fn(params, buffers, *inputs, **named)
        return fn(params, *inputs, **named), buffers

    return apply
