"""Local response normalisation as the layer of torch's earliest days computes it."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.typing import ArrayLike
from fnlearn.nn.layer import Layer, stateless


def CrossMapLRN2d(size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> Layer:
    """Each number divided by its neighbours in the channels beside it, x / (k + alpha / size · Σ x²)^beta.

    Torch: `torch.nn.CrossMapLRN2d`.
    Shape: (N, C, H, W) → (N, C, H, W).
    Args: size: how many channels are neighbours, at least 2. alpha: the neighbours' factor. beta: the exponent. k: what
        is added.
    Raises: ValueError when size is below 2, and, when applied, when the input doesn't have four dimensions.
    Differs: nothing. As in torch, the first channel stays in every later sum, and the gradient's neighbours are not
        quite the sum's; `LocalResponseNorm` is free of both.
    Source: Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks (2012).
    """
    if size < 2:
        raise ValueError(f"size must be at least 2, got {size}")

    def normalised(input: ArrayLike) -> jax.Array:
        x = check.floating("input", input)
        if x.ndim != 4:
            raise ValueError(f"input must have the dimensions (N, C, H, W), got shape {x.shape}")
        return _cross_map(x, size, alpha, beta, k)

    return stateless(normalised)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3, 4))
def _cross_map(x: jax.Array, size: int, alpha: float, beta: float, k: float) -> jax.Array:
    return x * _scale(x, size, alpha, k) ** -beta


@_cross_map.defjvp
def _(
    size: int, alpha: float, beta: float, k: float, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """The transpose of torch's backward, whose window begins ⌊(size + 1) / 2⌋ channels before."""
    (x,), (dx,) = primals, tangents
    scale = _scale(x, size, alpha, k)
    out = x * scale**-beta
    before = int(size - (size - 1) / 2)
    around = _neighbours(x * dx, size - 1 - before, before)
    return out, dx * scale**-beta - (2 * alpha * beta / size) * (out / scale) * around


def _scale(x: jax.Array, size: int, alpha: float, k: float) -> jax.Array:
    reach = int((size - 1) / 2)
    square = x * x
    total = _neighbours(square, reach, reach)
    leaves = jnp.arange(x.shape[1]) > reach  # where the first channel should be left out, and isn't
    first = jnp.where(leaves[None, :, None, None], jnp.broadcast_to(square[:, :1], x.shape), 0)
    return k + alpha / size * (total + first)


def _neighbours(x: jax.Array, before: int, after: int) -> jax.Array:
    """Sums over channels, from so many before to so many after."""
    padding = [(0, 0), (before, after), (0, 0), (0, 0)]
    return lax.reduce_window(x, 0.0, lax.add, (1, before + after + 1, 1, 1), (1, 1, 1, 1), padding)
