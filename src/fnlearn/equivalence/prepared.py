"""A torch module and its inputs in the dtype under test."""

import copy
from typing import Any

import jax.numpy as jnp
import numpy as np

from fnlearn.equivalence.asked import Request, complex_of
from fnlearn.tree import as_numpy

__all__ = ["copied", "prepared", "read", "tensor"]


def tensor(value: Any, dtype: str | None, seen: str | None, probe: int = 0) -> Any:
    """An array as a tensor; floats in a dtype, after they were rounded to the one that is seen."""
    import torch

    if not isinstance(value, np.ndarray):
        return value
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        return torch.from_numpy(np.array(value))
    real = jnp.issubdtype(value.dtype, jnp.floating)
    if dtype is None or seen is None:
        return torch.from_numpy(np.array(value, "float32" if real else "complex64"))
    if not real:
        return torch.from_numpy(value.astype(complex_of(seen)).astype(complex_of(dtype)))
    return _nudged(torch.from_numpy(value.astype(seen).astype("float64")).to(getattr(torch, dtype)), probe)


def read(value: Any) -> np.ndarray:
    """An array for torch: int32, JAX's integer, becomes int64, torch's, without which `cross_entropy` takes no classes.

    A tensor stays of its dtype, so that a module that counts on 32 bits can be asked.
    """
    import torch

    array = as_numpy(value)
    return array.astype("int64") if array.dtype == np.int32 and not torch.is_tensor(value) else array


def copied(module: Any) -> Any:
    """A copy of a module, with the very scripted functions that it holds, which nothing can copy."""
    import torch

    held = [value for part in module.modules() for value in vars(part).values()]
    known: dict[int, Any] = {id(x): x for x in held if isinstance(x, torch.jit.ScriptFunction)}
    known |= {id(x): x.detach().clone() for x in held if isinstance(x, torch.Tensor) and not x.is_leaf}
    return copy.deepcopy(module, known)


def prepared(module: Any, request: Request, probe: int) -> Any:
    """A copy of a module in the dtype of a request, after it was rounded to the one that is seen.

    probe: which way its parameters are changed by a unit in the last place; 0 leaves them.
    """
    import torch

    made = copied(module).train(request.train)
    for dtype in (request.seen, request.dtype):
        real, other = getattr(torch, dtype), getattr(torch, complex_of(dtype))
        # `Module.to` makes real numbers of complex ones
        made._apply(lambda x, r=real, c=other: x.to(r if x.is_floating_point() else c if x.is_complex() else x.dtype))
    for p in made.parameters() if probe else ():
        p.data.copy_(_nudged(p.data, probe))
    return made


def _nudged(x: Any, probe: int) -> Any:
    """A tensor whose numbers are up to a unit in the last place away; those of float64 to one of float32."""
    import torch

    if not probe or not x.is_floating_point():
        return x
    source = torch.Generator().manual_seed(probe)
    steps = torch.randint(-1, 2, x.shape, generator=source, dtype=torch.float64)
    eps = max(torch.finfo(x.dtype).eps, torch.finfo(torch.float32).eps)
    return (x.detach().double() * (1 + steps * eps)).to(x.dtype)
