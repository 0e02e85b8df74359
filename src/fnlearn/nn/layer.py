"""The contract of a layer.

    params, buffers = layer.init(key)
    out, buffers = layer.apply(params, buffers, *inputs, train=False, key=None)

`params` is what is differentiated; `buffers` (running statistics, counters) is what `apply` returns anew. Both are
nested dicts whose joined keys are torch's `state_dict` keys, and `{}` where a layer has none.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Tree = dict[str, Any]


class Layer(NamedTuple):
    """A layer as two pure functions.

    Args: init: a key, or a `fnlearn.random.TorchGenerator` for torch's own numbers → (params, buffers). apply: (params,
        buffers, *inputs, train=, key=) → (output, buffers).
    Raises: nothing itself; `apply` raises what the functions of `fnlearn.functional` raise.
    Source: the shape of `jax.example_libraries.stax`, with buffers.
    """

    init: Callable[..., tuple[Tree, Tree]]
    apply: Callable[..., tuple[Any, Tree]]


def stateless(function: Callable[..., Any], **options: Any) -> Layer:
    """A layer without parameters: a function of `fnlearn.functional` with its options fixed.

    Args: function: called with the inputs and the options. options: keyword arguments.
    Returns: a `Layer` whose params and buffers are empty.
    Raises: what the function raises, when applied.
    """

    def apply(
        params: Tree, buffers: Tree, *inputs: Any, train: bool = False, key: jax.Array | None = None, **named: Any
    ) -> tuple[Any, Tree]:
        return function(*inputs, **named, **options), buffers

    return Layer(nothing, apply)


def stochastic(function: Callable[..., Any], **options: Any) -> Layer:
    """A layer without parameters whose function behaves differently in training, and draws there.

    Args: function: called with the inputs, the options, `training` and `key`. options: keyword arguments.
    Returns: a `Layer` whose params and buffers are empty.
    Raises: what the function raises, when applied.
    """

    def apply(
        params: Tree, buffers: Tree, *inputs: Any, train: bool = False, key: jax.Array | None = None, **named: Any
    ) -> tuple[Any, Tree]:
        return function(*inputs, **named, **options, training=train, key=key), buffers

    return Layer(nothing, apply)


def nothing(key: jax.Array) -> tuple[Tree, Tree]:
    """The parameters and buffers of a layer that has none.

    Args: key: not used.
    Returns: ({}, {}).
    """
    return {}, {}
