"""Both sides' answers to one call: outputs and gradients in one form, so that `assert_equivalent` can judge them.

Arguments are written once, as numpy arrays; those of floats take the dtype under test. Positional ones are
differentiated, keyword ones are constants.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch

from fnlearn.equivalence import Leaf, assert_equivalent

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
    theirs = torch_answers(torch_fn, args, kwargs, dtype, gradients=gradients)
    rounded = {name: _rounded(value, dtype) for name, value in kwargs.items()}
    wide = torch_answers(
        torch_fn,
        tuple(_rounded(value, dtype) for value in args),
        rounded,
        "float64",
        gradients=gradients,
        cotangent=dtype,
    )
    mine = jax_answers(jax_fn, args, kwargs, dtype, gradients=gradients)
    return assert_equivalent(theirs, mine, wide)


def torch_answers(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dtype: str,
    *,
    gradients: bool = True,
    cotangent: str | None = None,
) -> Answers:
    given = [_tensor(value, dtype) for value in args]
    named = {name: _tensor(value, dtype) for name, value in kwargs.items()}
    leaves = [x.requires_grad_() for x in given if torch.is_tensor(x) and x.is_floating_point()]
    out = fn(*given, **named)
    answers: Answers = {"out": out.detach()}
    if gradients and out.is_floating_point():
        pulled = torch.autograd.grad(out, leaves, _tensor(_cotangent(out.shape), cotangent or dtype).to(out.dtype))
        answers["grad"] = [gradient.detach() for gradient in pulled]
    return answers


def jax_answers(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str, *, gradients: bool = True
) -> Answers:
    with precision(dtype):
        given = [_array(value, dtype) for value in args]
        named = {name: _array(value, dtype) for name, value in kwargs.items()}
        floats = [x for x in given if is_float(x)]

        def call(floats: list[Any]) -> Any:
            new = iter(floats)
            return fn(*[next(new) if is_float(x) else x for x in given], **named)

        if not gradients:
            return {"out": np.asarray(call(floats))}
        out, pullback = jax.vjp(call, floats)
        (pulled,) = pullback(jnp.asarray(_cotangent(out.shape), out.dtype))
        return {"out": np.asarray(out), "grad": [np.asarray(x) for x in pulled]}


def precision(dtype: str) -> contextlib.AbstractContextManager[Any]:
    """Float64 needs JAX's switch."""
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()


def is_float(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)


def _rounded(value: Any, dtype: str) -> Any:
    """What the narrow side sees, for the float64 side to see too."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    return value.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype).astype("float64")


def _cotangent(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(tuple(shape))


def _tensor(value: Any, dtype: str) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.from_numpy(np.array(value))
    return tensor.to(getattr(torch, dtype)) if value.dtype.kind == "f" else tensor


def _array(value: Any, dtype: str) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return jnp.asarray(value, dtype) if value.dtype.kind == "f" else jnp.asarray(value)
