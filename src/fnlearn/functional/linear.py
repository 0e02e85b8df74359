"""Linear maps."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import NARROW, accumulator
from fnlearn.functional.typing import ArrayLike

# Where XLA's CPU code for a plain product is slow (measured in benchmarks/lesson_d): up to so many features its loops
# over them are too short, and up to so many multiplications calling a product costs more than computing it.
FEW_FEATURES = 16
FEW_MULTIPLICATIONS = 2048


def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> jax.Array:
    """Affine map of the last dimension, x · Aᵀ + b.

    Torch: `torch.nn.functional.linear`.
    Shape: input (*, in), weight (out, in) or (in), bias (out) or () → (*, out) or (*).
    Args: input, weight, bias: numbers of one dtype; without bias nothing is added.
    Raises: ValueError when the shapes don't fit; TypeError when dtypes differ.
    Differs: nothing.
    Source: ATen `Linear.cpp`.
    """
    x, a = check.number("input", input), check.number("weight", weight)
    b = None if bias is None else check.number("bias", bias)
    check.same_dtype(input=x, weight=a, bias=b)
    if a.ndim not in (1, 2):
        raise ValueError(f"weight must have shape (out, in) or (in), got {a.shape}")
    if x.ndim == 0 or x.shape[-1] != a.shape[-1]:
        raise ValueError(f"input {x.shape} and weight {a.shape} don't fit: their last dimensions must be equal")
    if b is not None and b.shape not in ((), a.shape[:-1]):
        raise ValueError(f"bias must have shape {a.shape[:-1]} for weight {a.shape}, got {b.shape}")
    if x.ndim == 2 and a.ndim == 2 and max(a.shape) <= FEW_FEATURES and x.dtype == jnp.float32:
        zeros = jnp.zeros(a.shape[:1], a.dtype)
        return lax.platform_dependent(x, a, zeros if b is None else b, cpu=_features_first, default=_affine)
    return _affine(x, a, b)


def _affine(x: jax.Array, a: jax.Array, b: jax.Array | None) -> jax.Array:
    if x.dtype in NARROW:
        return _narrow_affine(x, a, b)
    y = jnp.matmul(x, a.T)
    return y if b is None else y + _spread(b, y)


@jax.custom_jvp
def _narrow_affine(x: jax.Array, a: jax.Array, b: jax.Array | None) -> jax.Array:
    """The same of narrow numbers, summed in float32 and rounded once.

    Its rule makes the gradients' products narrow too. JAX's own would convert to float32 what is rounded already: no
    more exact, and several times as slow on a GPU.
    """
    y = jnp.matmul(x, a.T, preferred_element_type=jnp.float32)
    return (y if b is None else y + _spread(b, y)).astype(x.dtype)


@_narrow_affine.defjvp
def _(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[jax.Array, jax.Array]:
    (x, a, b), (dx, da, db) = primals, tangents
    y = _narrow_affine(x, a, b)
    dy = jnp.matmul(dx, a.T) + jnp.matmul(x, da.T)
    return y, dy if b is None else dy + _spread(db, y.astype(jnp.float32)).astype(y.dtype)


def _spread(b: jax.Array, y: jax.Array) -> jax.Array:
    """The bias of each of the outputs, in the dtype in which products are summed, and its gradient with them."""
    return jnp.broadcast_to(b.astype(y.dtype), y.shape)


def _features_first(x: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """The same on a CPU, features first, so that XLA's innermost loops run along the samples.

    The barriers keep XLA from folding the transpositions into the products again, forward and backward.
    """
    xt = lax.optimization_barrier(x.T)
    few = x.size * a.shape[0] <= FEW_MULTIPLICATIONS
    product = (a[:, :, None] * jnp.broadcast_to(xt, (*a.shape[:1], *xt.shape))).sum(1) if few else a @ xt
    return lax.optimization_barrier(product + jnp.broadcast_to(b[..., None], product.shape)).T


def bilinear(input1: ArrayLike, input2: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> jax.Array:
    """Bilinear form of two inputs, x₁ᵀ · A · x₂ + b.

    Torch: `torch.nn.functional.bilinear`.
    Shape: input1 (*, in1), input2 (*, in2), weight (out, in1, in2), bias (out) → (*, out).
    Args: input1, input2: numbers with equal leading dimensions. weight, bias: of the same dtype.
    Raises: ValueError when the shapes don't fit; TypeError when dtypes differ.
    Differs: nothing.
    Source: ATen `Linear.cpp`.
    """
    x1, x2, a = check.number("input1", input1), check.number("input2", input2), check.number("weight", weight)
    b = None if bias is None else check.number("bias", bias)
    check.same_dtype(input1=x1, input2=x2, weight=a, bias=b)
    if a.ndim != 3 or x1.shape[:-1] != x2.shape[:-1] or (x1.shape[-1:], x2.shape[-1:]) != (a.shape[1:2], a.shape[2:]):
        raise ValueError(f"input1 {x1.shape}, input2 {x2.shape} and weight {a.shape} (out, in1, in2) don't fit")
    if b is not None and b.shape != a.shape[:1]:
        raise ValueError(f"bias must have shape {a.shape[:1]}, got {b.shape}")
    y = jnp.einsum("...i,oij,...j->...o", x1, a, x2, preferred_element_type=accumulator(x1.dtype))
    return (y if b is None else y + _spread(b, y)).astype(x1.dtype)


def grouped_mm(
    mat_a: ArrayLike,
    mat_b: ArrayLike,
    *,
    offs: ArrayLike | None = None,
    bias: None = None,
    out_dtype: Any = None,
) -> jax.Array:
    """Products of groups of rows or columns, each with a matrix of its own, as mixtures of experts need them.

    Torch: `torch.nn.functional.grouped_mm`.
    Shape: mat_a (rows, k), mat_b (groups, k, n) → (rows, n); mat_a (groups, m, k), mat_b (k, columns) → (m, columns);
        mat_a (m, k), mat_b (k, n), the groups of k → (groups, m, n); both of three dimensions, as `jnp.matmul`.
    Args: mat_a, mat_b: numbers of one dtype. offs: where each group ends, ascending; what comes after the last is no
        group's, and zero in the result. bias: None, as in torch. out_dtype: of the result; mat_a's when left out.
    Raises: ValueError when the shapes don't fit, when offs is missing or needless, or for a bias; TypeError when dtypes
        differ.
    Differs: any floating dtype and any alignment; `jax.vmap` over the first dimension of its arguments alone, and no
        second derivatives, where groups are of rows or columns.
    Source: ATen `GroupedMMUtils.h`, as documented; `jax.lax.ragged_dot`.
    """
    a, b = check.number("mat_a", mat_a), check.number("mat_b", mat_b)
    check.same_dtype(mat_a=a, mat_b=b)
    if a.ndim not in (2, 3) or b.ndim not in (2, 3) or a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"mat_a {a.shape} and mat_b {b.shape} don't fit: two or three dimensions, (…, m, k) by (…, k, n)"
        )
    if bias is not None:
        raise ValueError("bias must be None: torch adds none either; add it to the result")
    if (offs is None) != (a.ndim == b.ndim == 3):
        raise ValueError(f"offs says where groups end, of mat_a {a.shape} and mat_b {b.shape}, got {offs!r}")
    many, dtype = accumulator(a.dtype), out_dtype or a.dtype
    if offs is None:
        return jnp.matmul(a, b, preferred_element_type=many).astype(dtype)
    ends = jnp.asarray(offs)
    sizes = jnp.diff(ends, prepend=0)
    groups = a if a.ndim == 3 else b if b.ndim == 3 else None
    if groups is not None and ends.shape != groups.shape[:1]:
        raise ValueError(f"offs must have shape ({groups.shape[0]},), got {ends.shape}")
    if b.ndim == 3:
        y = lax.ragged_dot(a, b, sizes, preferred_element_type=many)
    elif a.ndim == 3:
        y = lax.ragged_dot(b.T, a.mT, sizes, preferred_element_type=many).T
    else:
        group = jnp.searchsorted(ends, jnp.arange(a.shape[1], dtype=ends.dtype), side="right")
        member = jax.nn.one_hot(group, ends.size, axis=0, dtype=a.dtype)
        y = jnp.einsum("mk,gk,kn->gmn", a, member, b, preferred_element_type=many)
    return y.astype(dtype)
