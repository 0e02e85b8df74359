"""The inverse of maximum pooling: each value goes back to its index, and zero everywhere else."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.pool_window import Ints, sized, spatial
from fnlearn.functional.typing import ArrayLike


def max_unpool1d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Put the maxima of a sequence back where they were, with zeros between them.

    Torch: `torch.nn.functional.max_unpool1d`.
    Shape: (N, C, Lᵢ) or (C, Lᵢ), twice → (N, C, L) or (C, L), L = (Lᵢ − 1) · stride + kernel_size − 2·padding.
    Args: input: floating-point. indices: of the elements in the output, as from `max_pool1d`. kernel_size, stride,
        padding: those of the pooling. output_size: L, or the whole shape, if it is less than one stride from the above.
    Raises: ValueError when shapes or output_size don't fit; TypeError when input is not floating-point or indices are
        no integers.
    Differs: an index outside of the output is left out, where torch raises: values can't be refused under jit.
    Source: ATen `MaxUnpoolKernel.cpp`.
    """
    return _unpooled(input, indices, 1, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Put the maxima of an image back where they were, with zeros between them.

    Torch: `torch.nn.functional.max_unpool2d`.
    Shape: (N, C, Hᵢ, Wᵢ) or (C, Hᵢ, Wᵢ), twice → (N, C, H, W) or (C, H, W); sizes as for `max_unpool1d`.
    Args: as for `max_unpool1d`, sizes being one integer or one a dimension.
    Raises: as `max_unpool1d`.
    Differs: as for `max_unpool1d`.
    Source: ATen `MaxUnpoolKernel.cpp`.
    """
    return _unpooled(input, indices, 2, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Put the maxima of a volume back where they were, with zeros between them.

    Torch: `torch.nn.functional.max_unpool3d`.
    Shape: (N, C, Dᵢ, Hᵢ, Wᵢ) or without N, twice → the same with D, H, W; sizes as for `max_unpool1d`.
    Args: as for `max_unpool1d`, sizes being one integer or one a dimension.
    Raises: as `max_unpool1d`.
    Differs: as for `max_unpool1d`.
    Source: ATen `MaxUnpoolKernel.cpp`.
    """
    return _unpooled(input, indices, 3, kernel_size, stride, padding, output_size)


def _unpooled(
    input: ArrayLike,
    indices: ArrayLike,
    count: int,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
) -> jax.Array:
    x, index = check.floating("input", input), check.number("indices", indices)
    if not jnp.issubdtype(index.dtype, jnp.integer):
        raise TypeError(f"indices must be integers, got dtype {index.dtype}")
    if index.shape != x.shape:
        raise ValueError(f"indices must have the shape of input, {x.shape}, got {index.shape}")
    sizes = _sizes(spatial(x, count), kernel_size, stride, padding, output_size)
    outer, area = x.shape[: x.ndim - count], math.prod(sizes)
    rows = jnp.arange(math.prod(outer))[:, None]
    places = index.reshape(len(rows), -1)
    places = jnp.where(places < 0, area, places)  # JAX would count from the end
    flat = jnp.zeros((len(rows), area), x.dtype)
    # unique as far as gradients go: like ATen's, each element takes that of its place, even one it shares
    flat = flat.at[rows, places].set(x.reshape(places.shape), mode="drop", unique_indices=True)
    return flat.reshape(*outer, *sizes)


def _sizes(
    pooled: tuple[int, ...], kernel_size: Ints, stride: Ints | None, padding: Ints, output_size: Sequence[int] | None
) -> tuple[int, ...]:
    count = len(pooled)
    kernel, pads = sized("kernel_size", kernel_size, count), sized("padding", padding, count)
    steps = kernel if stride is None else sized("stride", stride, count)
    if min(steps) <= 0:
        raise ValueError(f"stride must be above 0, got {steps}")
    usual = tuple((n - 1) * s + k - 2 * p for n, s, k, p in zip(pooled, steps, kernel, pads, strict=True))
    if output_size is None:
        return usual
    wanted = tuple(output_size)[2:] if len(output_size) == count + 2 else tuple(output_size)
    if len(wanted) != count:
        raise ValueError(f"output_size must have {count} or {count + 2} elements, got {tuple(output_size)}")
    if any(abs(w - u) >= s for w, u, s in zip(wanted, usual, steps, strict=True)):
        raise ValueError(f"output_size must be less than one stride {steps} away from {usual}, got {wanted}")
    return wanted
