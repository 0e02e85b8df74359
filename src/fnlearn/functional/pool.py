"""Average and power-average pooling over windows of a fixed size."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.pool_reduce import totals
from fnlearn.functional.pool_window import Ints, Windows, sized, strided
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike


@wide_inside
def avg_pool1d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> jax.Array:
    """Mean of each window of a sequence.

    Torch: `torch.nn.functional.avg_pool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ), Lₒ = (L + 2·padding − kernel_size) / stride + 1, rounded down,
        or up in ceil_mode.
    Args: input: floating-point, or integers, whose means are rounded towards 0. kernel_size: the window's size.
        stride: the step between windows, kernel_size when left out. padding: zeros at both ends, at most half of the
        kernel. ceil_mode: whether a last window that leaves the input counts. count_include_pad: whether the divisor
        counts the padding.
    Raises: ValueError when shape, window, step or padding don't fit; TypeError when input is no array of numbers.
    Differs: nothing.
    Source: ATen `AveragePool2d.cpp`.
    """
    return _averages(input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@wide_inside
def avg_pool2d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Mean of each window of an image.

    Torch: `torch.nn.functional.avg_pool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ); the sizes as for `avg_pool1d`.
    Args: as for `avg_pool1d`, sizes being one integer or one a dimension. divisor_override: divides the sum of each
        window in place of the number of its elements.
    Raises: as `avg_pool1d`; ValueError when divisor_override is 0.
    Differs: nothing.
    Source: ATen `AveragePool2d.cpp`.
    """
    return _averages(input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@wide_inside
def avg_pool3d(
    input: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Mean of each window of a volume.

    Torch: `torch.nn.functional.avg_pool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ; the sizes as for `avg_pool1d`.
    Args: as for `avg_pool2d`.
    Raises: as `avg_pool2d`.
    Differs: nothing.
    Source: ATen `AveragePool3d.cpp`.
    """
    return _averages(input, 3, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _averages(
    input: ArrayLike,
    count: int,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> jax.Array:
    x = check.number("input", input)
    if divisor_override == 0:
        raise ValueError("divisor_override must not be 0: it divides each window's sum")
    windows = strided(x, count, kernel_size, stride, padding, 1, ceil_mode)
    summed = totals(x, windows)
    pads = sized("padding", padding, count)
    counts = [_count(w, p if count_include_pad else 0) for w, p in zip(windows, pads, strict=True)]
    divisor = divisor_override or (
        math.prod(int(c[0]) for c in counts) if all((c == c[0]).all() for c in counts) else _outer(counts, x.ndim)
    )
    divisors = jnp.broadcast_to(jnp.asarray(divisor, summed.dtype), summed.shape)
    return summed / divisors if jnp.issubdtype(x.dtype, jnp.floating) else lax.div(summed, divisors)


def _count(w: Windows, padding: int) -> np.ndarray:
    """(out): how many elements each window has between −padding and size + padding."""
    start, stop = np.maximum(w.start, -padding), np.minimum(w.start + w.kernel, w.size + padding)
    return stop - start


def _outer(counts: list[np.ndarray], ndim: int) -> np.ndarray:
    """The products of the dimensions' counts, with as many dimensions as the input."""
    product = np.ones((), int)
    for each in counts:
        product = np.multiply.outer(product, each)
    return product.reshape((1,) * (ndim - len(counts)) + product.shape)


@wide_inside
def lp_pool1d(
    input: ArrayLike, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> jax.Array:
    """Norm of each window of a sequence, (Σ x^p)^(1/p).

    Torch: `torch.nn.functional.lp_pool1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ); the size as for `avg_pool1d`.
    Args: input: floating-point. norm_type: the power p, not 0. kernel_size, stride, ceil_mode: as for `avg_pool1d`.
    Raises: ValueError when shape, window, step or power don't fit; TypeError when input is not floating-point.
    Differs: nothing; as in torch a sum below 0 gives NaN, and a sum of 0 a gradient of NaN.
    Source: Sermanet, Chintala, LeCun: Convolutional Neural Networks Applied to House Numbers (2012).
    """
    return _norms(input, 1, norm_type, kernel_size, stride, ceil_mode)


@wide_inside
def lp_pool2d(
    input: ArrayLike, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> jax.Array:
    """Norm of each window of an image.

    Torch: `torch.nn.functional.lp_pool2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ); the sizes as for `avg_pool1d`.
    Args: as for `lp_pool1d`, sizes being one integer or one a dimension.
    Raises: as `lp_pool1d`.
    Differs: nothing, as for `lp_pool1d`.
    Source: Sermanet, Chintala, LeCun: Convolutional Neural Networks Applied to House Numbers (2012).
    """
    return _norms(input, 2, norm_type, kernel_size, stride, ceil_mode)


@wide_inside
def lp_pool3d(
    input: ArrayLike, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> jax.Array:
    """Norm of each window of a volume.

    Torch: `torch.nn.functional.lp_pool3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ; the sizes as for `avg_pool1d`.
    Args: as for `lp_pool2d`.
    Raises: as `lp_pool1d`.
    Differs: nothing, as for `lp_pool1d`.
    Source: Sermanet, Chintala, LeCun: Convolutional Neural Networks Applied to House Numbers (2012).
    """
    return _norms(input, 3, norm_type, kernel_size, stride, ceil_mode)


def _norms(
    input: ArrayLike, count: int, norm_type: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool
) -> jax.Array:
    x = check.floating("input", input)
    if norm_type == 0:
        raise ValueError("norm_type must not be 0: it divides the exponent")
    power = int(norm_type) if float(norm_type).is_integer() else float(norm_type)
    mean = _averages(x**power, count, kernel_size, stride, 0, ceil_mode, True, None)
    size = math.prod(sized("kernel_size", kernel_size, count))
    sign = lax.stop_gradient(jnp.sign(mean))
    magnitude = sign * mean  # |mean| with derivative 0 at 0, where the root's is infinite: NaN in torch too
    return (sign * jnp.where(magnitude <= 0, jnp.zeros_like(mean), magnitude) * size) ** (1.0 / norm_type)
