"""Both sides' answers to one call: outputs and gradients in one form, so that `assert_equivalent` can judge them.

Arguments are written once, as numpy arrays; those of floats take the dtype under test. Positional ones are
differentiated, keyword ones are constants.
"""

import contextlib
import copy
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import torch

from fnlearn import tree
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
    rounded = {name: as_seen(value, dtype) for name, value in kwargs.items()}
    wide = torch_answers(
        torch_fn,
        tuple(as_seen(value, dtype) for value in args),
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
    outs = [x for x in jax.tree.leaves(fn(*given, **named)) if torch.is_tensor(x)]
    answers: Answers = {"out": [x.detach() for x in outs]}
    pulled = [x for x in outs if x.requires_grad]
    if gradients and pulled:
        cotangents = [_tensor(_cotangent(x.shape), cotangent or dtype).to(x.dtype) for x in pulled]
        grads = torch.autograd.grad(pulled, leaves, cotangents, allow_unused=True)
        answers["grad"] = [torch.zeros_like(x) if g is None else g for g, x in zip(grads, leaves, strict=True)]
    return answers


def jax_answers(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], dtype: str, *, gradients: bool = True
) -> Answers:
    with precision(dtype):
        given = [_array(value, dtype) for value in args]
        named = {name: _array(value, dtype) for name, value in kwargs.items()}
        floats = [x for x in given if is_float(x)]

        def call(floats: list[Any]) -> tuple[list[Any], list[Any]]:
            new = iter(floats)
            outs = jax.tree.leaves(fn(*[next(new) if is_float(x) else x for x in given], **named))
            return [x for x in outs if is_float(x)], outs

        if not floats:
            return {"out": call([])[1]}

        @jax.jit
        def compiled(floats: list[Any]) -> Answers:
            if not gradients:
                return {"out": call(floats)[1]}
            pulled, pullback, outs = jax.vjp(call, floats, has_aux=True)
            answers: Answers = {"out": outs}
            if pulled:
                (answers["grad"],) = pullback([jnp.asarray(_cotangent(x.shape), x.dtype) for x in pulled])
            return answers

        return compiled(floats)


def torch_layer(
    module: Any, inputs: Any, dtype: str, named: dict[str, Any] | None = None, constant: Collection[str] = ()
) -> Answers:
    """A module's outputs, the gradients of its floating inputs and parameters, and its buffers afterwards.

    Inputs may be nested, as an LSTM's state is. Those called constant, such as "input.1", are not differentiated.
    """
    module = copy.deepcopy(module).to(getattr(torch, dtype))
    leaves, shape = jax.tree.flatten((tuple(inputs), named or {}))
    given = [_tensor(x, dtype) for x in leaves]
    numbers = {f"input.{i}": x for i, x in enumerate(given) if _is_float_tensor(x)}
    floats = {name: x.requires_grad_() for name, x in numbers.items() if name not in constant}
    args, kwargs = jax.tree.unflatten(shape, given)
    outs = [x for x in jax.tree.leaves(module(*args, **kwargs)) if torch.is_tensor(x)]
    answers: Answers = {"out": [x.detach() for x in outs]}
    pulled = [x for x in outs if x.requires_grad]
    differentiated = {**floats, **dict(module.named_parameters())}
    if pulled and differentiated:
        cotangents = [torch.from_numpy(_cotangent(x.shape)).to(x.dtype) for x in pulled]
        grads = torch.autograd.grad(pulled, list(differentiated.values()), cotangents, allow_unused=True)
        both = zip(grads, differentiated.items(), strict=True)
        answers["grad"] = {name: torch.zeros_like(leaf) if g is None else g for g, (name, leaf) in both}
    saved = module.state_dict()
    answers["buffers"] = {name: b for name, b in module.named_buffers() if name in saved}
    return answers


def jax_layer(
    layer: Any, module: Any, inputs: Any, dtype: str, train: bool, named: dict[str, Any] | None = None
) -> Answers:
    """The same of a layer that has the module's parameters and buffers."""
    leaves, shape = jax.tree.flatten((tuple(inputs), named or {}))
    given = [_array(x, dtype) for x in leaves]
    saved = module.state_dict()
    params = {name: _array(tree.as_numpy(p), dtype) for name, p in module.named_parameters()}
    kept = {name: _array(tree.as_numpy(b), dtype) for name, b in module.named_buffers() if name in saved}
    floats = {f"input.{i}": x for i, x in enumerate(given) if is_float(x)}

    def call(differentiated: dict[str, Any]) -> tuple[list[Any], tuple[list[Any], Any]]:
        filled = [differentiated.get(f"input.{i}", x) for i, x in enumerate(given)]
        args, kwargs = jax.tree.unflatten(shape, filled)
        own = tree.unflatten({name: differentiated[name] for name in params})
        key = jax.random.key(0)
        out, after = layer.apply(own, tree.unflatten(kept), *args, train=train, key=key, **kwargs)
        outs = jax.tree.leaves(out)
        return [x for x in outs if jnp.issubdtype(x.dtype, jnp.inexact)], (outs, after)

    @jax.jit
    def compiled(differentiated: dict[str, Any]) -> Answers:
        pulled, pullback, (outs, after) = jax.vjp(call, differentiated, has_aux=True)
        answers: Answers = {"out": outs, "buffers": tree.flatten(after)}
        if pulled and differentiated:
            (answers["grad"],) = pullback([jnp.asarray(_cotangent(x.shape), x.dtype) for x in pulled])
        return answers

    return compiled({**floats, **params})


def precision(dtype: str) -> contextlib.AbstractContextManager[Any]:
    """Float64 needs JAX's switch."""
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()


def is_float(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)


def as_seen(value: Any, dtype: str) -> Any:
    """What the narrow side sees, for the float64 side to see too."""
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    return value.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype).astype("float64")


def _cotangent(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(tuple(shape))


def _is_float_tensor(x: Any) -> bool:
    return torch.is_tensor(x) and x.is_floating_point()


def _tensor(value: Any, dtype: str) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.from_numpy(np.array(value))
    return tensor.to(getattr(torch, dtype)) if value.dtype.kind == "f" else tensor


def _array(value: Any, dtype: str) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return jnp.asarray(value, dtype) if value.dtype.kind == "f" else jnp.asarray(value)
