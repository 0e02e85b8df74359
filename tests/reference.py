"""Functions and layers asked by the equivalence kit: both sides' answers to one call, for `assert_equivalent` to judge.

Arguments are written once, as numpy arrays; those of floats take the dtype under test. A function's positional
arguments are differentiated, its keyword ones are constants.
"""

import contextlib
from collections.abc import Callable, Collection
from typing import Any

import jax
import torch

from fnlearn.equivalence import Inputs, Leaf, assert_equivalent, jax_side, pair, torch_side
from fnlearn.equivalence.asked import Request, float64_for

Answers = dict[str, Any]


def check(
    torch_fn: Callable[..., Any],
    jax_fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dtype: str = "float32",
    *,
    gradients: bool = True,
) -> list[Leaf]:
    """Assert that both functions give the same outputs and gradients, by the float64 yardstick."""
    theirs, wide = (
        torch_answers(torch_fn, args, kwargs, computed, gradients=gradients, seen=dtype)
        for computed in (dtype, "float64")
    )
    return assert_equivalent(theirs, jax_answers(jax_fn, args, kwargs, dtype, gradients=gradients), wide)


class Function(torch.nn.Module):
    """A function as a module."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)


def torch_answers(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dtype: str,
    *,
    gradients: bool = True,
    seen: str | None = None,
) -> Answers:
    request, call = Request(0, dtype, seen or dtype, False), Inputs(args, kwargs)
    return torch_side.without_draws(torch_side.answer(Function(fn), [call], request, gradients, None, _constants(call)))


def jax_answers(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str, *, gradients: bool = True
) -> Answers:
    call = Inputs(args, kwargs)
    both = pair(Function(fn), lambda params, *args, **kwargs: fn(*args, **kwargs))
    request = Request(0, dtype, dtype, False)
    return jax_side.answer(both, [call], request, gradients, None, None, (), _constants(call))[0]


def torch_layer(
    module: Any,
    inputs: Any,
    dtype: str,
    named: dict[str, Any] | None = None,
    constant: Collection[str] = (),
    seen: str | None = None,
) -> Answers:
    """A module's outputs, the gradients of its floating inputs and parameters, and its buffers afterwards."""
    request, call = Request(0, dtype, seen or dtype, module.training), Inputs(tuple(inputs), named or {})
    return torch_side.without_draws(torch_side.answer(module, [call], request, True, None, constant))


def jax_layer(
    layer: Any,
    module: Any,
    inputs: Any,
    dtype: str,
    train: bool,
    named: dict[str, Any] | None = None,
    constant: Collection[str] = (),
) -> Answers:
    """The same of a layer that has the module's parameters and buffers."""
    request, call = Request(0, dtype, dtype, train), Inputs(tuple(inputs), named or {})
    drawn = torch_side.answer(module, [call], request, False)["draws"] if train else []
    found, problems = jax_side.answer(pair(module, layer), [call], request, True, None, None, drawn, constant)
    assert not problems
    return found


def precision(dtype: str) -> contextlib.AbstractContextManager[Any]:
    """Float64 needs JAX's switch."""
    return float64_for(dtype)


def _constants(call: Inputs) -> set[str]:
    """The positions of the keyword arguments, which come after all positional ones."""
    before = len(jax.tree.leaves(call.args))
    return {str(before + i) for i in range(len(jax.tree.leaves(call.kwargs)))}
