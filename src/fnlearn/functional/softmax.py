"""Softmax and its relatives."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike, DTypeLike
from fnlearn.random import draw


@wide_inside
def softmax(
    input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike | None = None
) -> jax.Array:
    """Exponentials that sum to 1 along a dimension.

    Torch: `torch.nn.functional.softmax`.
    Shape: (*) → (*).
    Args: input: floating-point, or any numbers when dtype is given. dim: where the sum is 1; leaving it out is
        deprecated and takes 0 for 0, 1 and 3 dimensions, else 1. dtype: converted to first.
    Raises: ValueError when dim is absent; TypeError when input is not floating-point; warns when dim is left out.
    Differs: nothing.
    Source: ATen `SoftMax.cpp`.
    """
    x, axis = _prepare("softmax", input, dim, _stacklevel, dtype)
    return shares(x, axis) if x.ndim else jnp.exp(x - x)


@wide_inside
def softmin(
    input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike | None = None
) -> jax.Array:
    """Softmax of −x.

    Torch: `torch.nn.functional.softmin`.
    Shape: (*) → (*).
    Args: input, dim, dtype: as for `softmax`.
    Raises: as `softmax`.
    Differs: nothing.
    Source: `torch.nn.functional.softmin`.
    """
    x, axis = _prepare("softmin", input, dim, _stacklevel, dtype)
    return softmax(-x, axis)


@wide_inside
def log_softmax(
    input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: DTypeLike | None = None
) -> jax.Array:
    """Logarithm of the softmax, x − log Σ exp(x), without overflow.

    Torch: `torch.nn.functional.log_softmax`.
    Shape: (*) → (*).
    Args: input, dim, dtype: as for `softmax`.
    Raises: as `softmax`.
    Differs: nothing.
    Source: ATen `SoftMax.cpp`.
    """
    x, axis = _prepare("log_softmax", input, dim, _stacklevel, dtype)
    return jax.nn.log_softmax(x, axis) if x.ndim else x - x


def gumbel_softmax(
    logits: ArrayLike,
    tau: float = 1,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    key: jax.Array | None = None,
) -> jax.Array:
    """A sample of the Gumbel-softmax distribution: softmax of (logits + Gumbel noise) / tau.

    Torch: `torch.nn.functional.gumbel_softmax`.
    Shape: (*) → (*).
    Args: logits: unnormalised log-probabilities, floating-point. tau: temperature, above 0. hard: return one-hot
        vectors with the soft sample's gradient. eps: unused, as in torch. dim: where the sample sums to 1.
        key: required.
    Raises: ValueError without a key or when dim is absent; TypeError when logits are not floating-point.
    Differs: the noise comes from a JAX key, not from torch's generator.
    Source: Jang, Gu, Poole: Categorical Reparameterization with Gumbel-Softmax (2017).
    """
    x = check.floating("logits", logits)
    if key is None:
        raise ValueError("gumbel_softmax draws noise: pass key=jax.random.key(...)")
    axis = check.axis("dim", dim, x.ndim)
    soft = softmax((x + draw.gumbel(key, x.shape, x.dtype)) / tau, axis)
    if not hard:
        return soft
    one_hot = jax.nn.one_hot(soft.argmax(axis), soft.shape[axis], dtype=soft.dtype, axis=axis) if x.ndim else soft
    return soft + jax.lax.stop_gradient(one_hot - soft)  # the soft sample's gradient, straight through


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def shares(x: jax.Array, axis: int) -> jax.Array:
    """The softmax y itself; its gradient is y · (ct − Σ y · ct), in this order: near y = 1 the difference is exact."""
    return jax.nn.softmax(x, axis)


@shares.defjvp
def _(axis: int, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = shares(primals[0], axis)
    weighted = y * tangents[0]
    return y, weighted - y * weighted.sum(axis, keepdims=True)


def _prepare(
    name: str, input: ArrayLike, dim: int | None, stacklevel: int, dtype: DTypeLike | None
) -> tuple[jax.Array, int]:
    x = check.number("input", input) if dtype is not None else check.floating("input", input)
    if dtype is not None:
        x = x.astype(dtype)
    if dim is None:
        message = f"Implicit dimension choice for {name} has been deprecated; pass dim=X."
        warnings.warn(message, stacklevel=stacklevel)
        dim = 0 if x.ndim in (0, 1, 3) else 1
    return x, check.axis("dim", dim, x.ndim)
