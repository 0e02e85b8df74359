"""A torch module and the JAX function that should be the same, and what each of them answers.

Both sides get the same weights and inputs, rounded to the dtype under test, and the same cotangents. An answer is a
plain dict: `out`, `buffers` as they are afterwards, and `grad` where gradients were asked, all by torch's names.
"""

import contextlib
import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.nn import Layer
from fnlearn.tree import as_numpy, flatten, unflatten

Call = tuple[Any, ...] | Mapping[str, Any]
Losses = tuple[Callable[[Any], Any], Callable[[Any], Any]]
SEED = 7


class Pair(NamedTuple):
    """Two models that should be the same.

    Args: module: the `torch.nn.Module`; it is copied before it is run. apply: (params, buffers, *inputs, train=, key=)
        → (out, buffers). params, buffers: trees of arrays of the JAX side. names: what makes {torch's name: array in
        torch's layout} of `params`, or of a gradient of the same shape.
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

    Args: module: a `torch.nn.Module`. fn: a `Layer`, or a function (params, *inputs) → out. params, buffers: the JAX
        side's; the module's own, as nested dicts with torch's names, when left out. names: makes {torch's name: array
        in torch's layout} of params, for trees of another shape; transposes belong here.
    Returns: a `Pair`.
    Raises: TypeError when fn can't be called.
    """
    if not isinstance(fn, Layer) and not callable(fn):
        raise TypeError(f"fn must be a Layer or a function (params, *inputs), got {type(fn).__name__}")
    own = weights(module)
    return Pair(
        module,
        fn.apply if isinstance(fn, Layer) else _without_state(fn),
        own[0] if params is None else params,
        own[1] if buffers is None else buffers,
        names,
    )


def weights(module: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A module's parameters and buffers as nested dicts of numpy arrays.

    Args: module: a `torch.nn.Module`.
    Returns: (params, buffers); buffers that its `state_dict` leaves out are left out.
    """
    saved = module.state_dict()
    params = {name: as_numpy(p) for name, p in module.named_parameters()}
    return unflatten(params), unflatten({name: as_numpy(b) for name, b in module.named_buffers() if name in saved})


def _without_state(fn: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    def apply(params: Any, buffers: Any, *inputs: Any, train: bool, key: Any, **named: Any) -> tuple[Any, Any]:
        return fn(params, *inputs, **named), buffers

    return apply


def torch_answer(
    both: Pair, call: Call, dtype: str, train: bool, gradients: bool, losses: Losses | None, seen: str | None = None
) -> dict[str, Any]:
    """What the module answers in a dtype, to numbers that were rounded to the one that was seen."""
    import torch

    module = copy.deepcopy(both.module).train(train).to(getattr(torch, seen or dtype)).to(getattr(torch, dtype))
    leaves, shape = jax.tree.flatten(arguments(call))
    given = [tensor(leaf, dtype, seen or dtype) for leaf in leaves]
    floats = {str(i): x.requires_grad_() for i, x in enumerate(given) if torch.is_tensor(x) and x.is_floating_point()}
    args, kwargs = jax.tree.unflatten(shape, given)
    with torch.enable_grad():
        out = module(*args, **kwargs)
        answer: dict[str, Any] = {"out": plain(out)}
        if gradients:
            params = {name: p for name, p in module.named_parameters() if p.requires_grad}
            wanted = [*params.values(), *floats.values()]
            pulled = [losses[0](out)] if losses else [x for x in jax.tree.leaves(answer["out"]) if x.requires_grad]
            cotangents = [torch.from_numpy(np.array(_cotangent(i, x.shape))).to(x) for i, x in enumerate(pulled)]
            found = torch.autograd.grad(pulled, wanted, None if losses else cotangents, allow_unused=True)
            filled = [torch.zeros_like(x) if g is None else g for g, x in zip(found, wanted, strict=True)]
            grads = iter(filled)
            answer["grad"] = {
                part: {k: next(grads) for k in of} for part, of in (("params", params), ("input", floats))
            }
    saved = module.state_dict()
    answer["buffers"] = {name: b for name, b in module.named_buffers() if name in saved}
    return jax.tree.map(lambda x: x.detach(), answer)


def jax_answer(
    both: Pair, call: Call, dtype: str, train: bool, gradients: bool, losses: Losses | None, key: Any
) -> dict[str, Any]:
    """What the JAX side answers in a dtype, in one compiled program."""
    with float64_for(dtype):
        args, kwargs = jax.tree.map(lambda x: array(x, dtype), arguments(call))
        params, buffers = jax.tree.map(lambda x: array(x, dtype), (both.params, both.buffers))
        leaves, shape = jax.tree.flatten((params, (args, kwargs)))
        floats = {i: x for i, x in enumerate(leaves) if _is_float(x)}

        def run(floats: dict[int, Any], buffers: Any) -> tuple[Any, Any]:
            own, (args, kwargs) = jax.tree.unflatten(shape, [floats.get(i, x) for i, x in enumerate(leaves)])
            out, after = both.apply(own, buffers, *args, train=train, key=key, **kwargs)
            pulled = [losses[1](out)] if losses else [x for x in jax.tree.leaves(plain(out)) if _is_float(x)]
            return pulled, (plain(out), after)

        @jax.jit
        def compiled(floats: dict[int, Any], buffers: Any) -> Any:
            if not gradients:
                return *run(floats, buffers)[1], None
            pulled, pullback, (out, after) = jax.vjp(lambda x: run(x, buffers), floats, has_aux=True)
            ones = losses is not None
            cotangents = [jnp.asarray(1 if ones else _cotangent(i, x.shape), x.dtype) for i, x in enumerate(pulled)]
            return out, after, pullback(cotangents)[0]

        out, after, grads = compiled(floats, buffers)
        answer = {"out": out, "buffers": flatten(after)}
        if gradients:
            of_params, of_inputs = jax.tree.unflatten(shape, [grads.get(i, x) for i, x in enumerate(leaves)])
            frozen = {name for name, p in both.module.named_parameters() if not p.requires_grad}
            named = {name: g for name, g in both.names(of_params).items() if name not in frozen}
            inputs = {str(i): x for i, x in enumerate(jax.tree.leaves(of_inputs)) if _is_float(x)}
            answer["grad"] = {"params": named, "input": inputs}
        return answer


def float64_for(dtype: str) -> contextlib.AbstractContextManager[Any]:
    """JAX's switch, where a dtype needs it."""
    return jax.enable_x64(dtype == "float64" or has_x64())


def has_x64() -> bool:
    """Whether JAX has float64 at the moment."""
    return jax.dtypes.canonicalize_dtype("float64") == np.float64


def draws(module: Any, call: Call) -> bool:
    """Whether a module in training gives something else for another seed."""
    import torch

    outs = []
    with torch.random.fork_rng(), torch.no_grad():
        for seed in (0, 1):
            torch.manual_seed(seed)
            args, kwargs = jax.tree.map(lambda x: tensor(x, None, None), arguments(call))
            outs.append(jax.tree.leaves(plain(copy.deepcopy(module).train()(*args, **kwargs))))
    return any(not np.array_equal(as_numpy(a), as_numpy(b), equal_nan=True) for a, b in zip(*outs, strict=True))


def plain(out: Any) -> Any:
    """A model's output as dicts and lists, without what is None."""
    if isinstance(out, Mapping):
        return {str(key): plain(value) for key, value in out.items() if value is not None}
    if isinstance(out, tuple | list):
        return [plain(value) for value in out if value is not None]
    return out


def arguments(call: Call) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments, tensors among them as arrays."""
    args, kwargs = ((), dict(call)) if isinstance(call, Mapping) else (tuple(call), {})
    return jax.tree.map(lambda x: as_numpy(x) if hasattr(x, "shape") else x, (args, kwargs))


def tensor(value: Any, dtype: str | None, seen: str | None) -> Any:
    """An array as a tensor; floats in a dtype, after they were rounded to the one that is seen."""
    import torch

    if not isinstance(value, np.ndarray):
        return value
    if not jnp.issubdtype(value.dtype, jnp.floating):
        return torch.from_numpy(np.array(value))
    if dtype is None:
        return torch.from_numpy(np.array(value, "float32"))
    return torch.from_numpy(value.astype(seen).astype("float64")).to(getattr(torch, dtype))


def array(value: Any, dtype: str) -> Any:
    """Floats in the dtype under test; Python's own numbers stay as they are, for options that must be known."""
    if not hasattr(value, "shape"):
        return value
    return jnp.asarray(value, dtype) if jnp.issubdtype(value.dtype, jnp.floating) else jnp.asarray(value)


def _is_float(x: Any) -> bool:
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)


def _cotangent(position: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.random.default_rng((SEED, position)).standard_normal(tuple(shape)))
