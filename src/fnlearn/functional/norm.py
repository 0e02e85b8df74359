"""Normalisations: numbers divided by a statistic of the numbers around them.

Statistics of float16 and bfloat16 are float32. The derivative of a standardised array is written down: it needs the
input and its statistics alone, and reads them once.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import NARROW, accumulator, wide_inside
from fnlearn.functional.typing import ArrayLike
from fnlearn.functional.vector_norm import vector_norm

Axes = tuple[int, ...]
Running = jax.Array | None


def batch_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> jax.Array:
    """Each channel with mean 0 and variance 1 over a batch, (x − mean) / √(var + eps) · weight + bias.

    Torch: `torch.nn.functional.batch_norm`.
    Shape: input (N, C, *), the other arrays (C) → (N, C, *).
    Args: input: floating-point. running_mean, running_var: the statistics used in evaluation. weight, bias: the
        channels' own scale and shift. training: whether the batch's statistics are used. momentum: the share of the
        batch in new running statistics, see `batch_norm_update`. eps: added to the variance.
    Raises: ValueError when shapes don't fit, the statistics are missing in evaluation, training has one number for a
        channel or no positive eps; TypeError when dtypes differ (float32 beside a narrow input is fine).
    Differs: the running statistics stay as they are; `batch_norm_update` returns the new ones.
    Source: Ioffe, Szegedy: Batch Normalization (2015).
    """
    return batch_norm_update(input, running_mean, running_var, weight, bias, training, momentum, eps)[0]


def batch_norm_update(
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[jax.Array, Running, Running]:
    """What `batch_norm` returns, and the running mean and variance that torch would have written.

    Torch: `torch.nn.functional.batch_norm`.
    Shape: input (N, C, *), the other arrays (C) → (N, C, *), (C), (C).
    Args: input, running_mean, running_var, weight, bias, training, momentum, eps: as for `batch_norm`; statistics left
        out stay None.
    Raises: as `batch_norm`.
    Differs: torch writes the running statistics in place.
    Source: ATen `Normalization.cpp`.
    """
    x = check.floating("input", input)
    if not x.size:
        return x, *_as_given(running_mean, running_var)
    if x.ndim < 2:
        raise ValueError(f"input must have at least the dimensions (N, C), got shape {x.shape}")
    old = _running(x, running_mean, running_var, needed=not training, flag="training=True")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"eps must be {'positive in training' if training else 'at least 0'}, got {eps}")
    count = x.size // x.shape[1]
    if training and count == 1:
        raise ValueError(f"training needs more than one number a channel, got input of shape {x.shape}")
    axes = (0, *range(2, x.ndim))
    y, mean, var = _by_channel(x, axes, old, training, eps)
    out = _affine(x, y, weight, bias, x.shape[1:2], 1)
    if not training:
        return out, *old
    return out, *_updated(old, mean.reshape(-1), var.reshape(-1) * (count / max(count - 1, 1)), momentum)


def batch_norm_tracked(
    input: ArrayLike,
    buffers: dict[str, Any],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> tuple[jax.Array, dict[str, Any]]:
    """What `torch.nn.BatchNorm2d` and its siblings return, and their buffers afterwards.

    Torch: `torch.nn.BatchNorm1d`.
    Shape: input (N, C, *), weight, bias and the statistics (C) → (N, C, *), the buffers.
    Args: input, weight, bias, training, eps: as for `batch_norm`. buffers: running_mean, running_var and
        num_batches_tracked, as the module saves them. momentum: the share of the batch in new running statistics; None
        for the mean over all batches so far.
    Raises: as `batch_norm`; KeyError when a buffer is missing.
    Differs: torch writes the buffers in place.
    Source: `torch.nn.modules.batchnorm`.
    """
    running = buffers["running_mean"], buffers["running_var"]
    if not training:
        return batch_norm(input, *running, weight, bias, eps=eps), buffers
    count = buffers["num_batches_tracked"] + 1
    share = 1 / count.astype(accumulator(running[0].dtype)) if momentum is None else momentum
    out, mean, var = batch_norm_update(input, *running, weight, bias, True, share, eps)
    return out, {"running_mean": mean, "running_var": var, "num_batches_tracked": count}


def instance_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> jax.Array:
    """Each channel of each sample with mean 0 and variance 1, (x − mean) / √(var + eps) · weight + bias.

    Torch: `torch.nn.functional.instance_norm`.
    Shape: input (N, C, *), the other arrays (C) → (N, C, *).
    Args: input: floating-point. running_mean, running_var: the statistics used without use_input_stats. weight, bias:
        the channels' own scale and shift. use_input_stats: whether each sample's own statistics are used. momentum:
        the share of the batch in new running statistics, see `instance_norm_update`. eps: added to the variance.
    Raises: ValueError when shapes don't fit, statistics are missing, or a channel of a sample has one number;
        TypeError when dtypes differ (float32 beside a narrow input is fine).
    Differs: the running statistics stay as they are; `instance_norm_update` returns the new ones.
    Source: Ulyanov, Vedaldi, Lempitsky: Instance Normalization (2016).
    """
    return instance_norm_update(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)[0]


def instance_norm_update(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[jax.Array, Running, Running]:
    """What `instance_norm` returns, and the running mean and variance that torch would have written.

    Torch: `torch.nn.functional.instance_norm`.
    Shape: input (N, C, *), the other arrays (C) → (N, C, *), (C), (C).
    Args: input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps: as for `instance_norm`;
        statistics left out stay None.
    Raises: as `instance_norm`.
    Differs: torch writes the running statistics in place.
    Source: ATen `Normalization.cpp`.
    """
    x = check.floating("input", input)
    if x.ndim < 2:
        raise ValueError(f"input must have at least the dimensions (N, C), got shape {x.shape}")
    old = _running(x, running_mean, running_var, needed=not use_input_stats, flag="use_input_stats=True")
    count = math.prod(x.shape[2:])
    if use_input_stats and count == 1:
        raise ValueError(f"input statistics need more than one number a channel, got input of shape {x.shape}")
    axes = tuple(range(2, x.ndim))
    y, mean, var = _by_channel(x, axes, old, use_input_stats, eps)
    out = _affine(x, y, weight, bias, x.shape[1:2], 1)
    if not use_input_stats:
        return out, *old
    over_batch = lambda statistic: statistic.reshape(x.shape[:2]).mean(0)  # noqa: E731
    return out, *_updated(old, over_batch(mean), over_batch(var) * (count / max(count - 1, 1)), momentum)


def layer_norm(
    input: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """The last dimensions with mean 0 and variance 1, (x − mean) / √(var + eps) · weight + bias.

    Torch: `torch.nn.functional.layer_norm`.
    Shape: input (*, normalized_shape), weight and bias normalized_shape → as input.
    Args: input: floating-point. normalized_shape: the sizes of the last dimensions. weight, bias: scale and shift of
        each number. eps: added to the variance.
    Raises: ValueError when the shapes don't fit; TypeError when dtypes differ (float32 beside a narrow input is fine).
    Differs: nothing.
    Source: Ba, Kiros, Hinton: Layer Normalization (2016).
    """
    x, shape = check.floating("input", input), _last(check.number("input", input), normalized_shape)
    y, _, _ = _standardised(_wide(x), tuple(range(x.ndim - len(shape), x.ndim)), eps)
    return _affine(x, y, weight, bias, shape, x.ndim - len(shape))


def group_norm(
    input: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """Each group of channels of each sample with mean 0 and variance 1, (x − mean) / √(var + eps) · weight + bias.

    Torch: `torch.nn.functional.group_norm`.
    Shape: input (N, C, *), weight and bias (C) → (N, C, *).
    Args: input: floating-point. num_groups: a divisor of C. weight, bias: the channels' own scale and shift. eps:
        added to the variance.
    Raises: ValueError when the shapes don't fit, num_groups doesn't divide C or there is one number in all to each
        group; TypeError when dtypes differ (float32 beside a narrow input is fine).
    Differs: nothing.
    Source: Wu, He: Group Normalization (2018).
    """
    x = check.floating("input", input)
    if x.ndim < 2:
        raise ValueError(f"input must have at least the dimensions (N, C), got shape {x.shape}")
    if num_groups <= 0 or x.shape[1] % num_groups:
        raise ValueError(f"num_groups must divide the {x.shape[1]} channels of input {x.shape}, got {num_groups}")
    if x.shape[0] * (x.shape[1] // num_groups) * math.prod(x.shape[2:]) == 1:
        raise ValueError(f"a group needs more than one number, got input {x.shape} in {num_groups} groups")
    grouped = _wide(x).reshape(x.shape[0], num_groups, x.shape[1] // num_groups, *x.shape[2:])
    y, _, _ = _standardised(grouped, tuple(range(2, grouped.ndim)), eps)
    return _affine(x, y.reshape(x.shape), weight, bias, x.shape[1:2], 1)


def rms_norm(
    input: ArrayLike, normalized_shape: Sequence[int], weight: ArrayLike | None = None, eps: float | None = None
) -> jax.Array:
    """The last dimensions divided by their root mean square, x / √(mean(x²) + eps) · weight.

    Torch: `torch.nn.functional.rms_norm`.
    Shape: input (*, normalized_shape), weight normalized_shape → as input.
    Args: input: floating-point or complex. normalized_shape: the sizes of the last dimensions. weight: the scale of
        each number. eps: added to the mean; left out, the machine epsilon of the dtype computed in, which is float32
        for narrow numbers.
    Raises: ValueError when the shapes don't fit; TypeError when dtypes differ (float32 beside a narrow input is fine).
    Differs: nothing.
    Source: Zhang, Sennrich: Root Mean Square Layer Normalization (2019).
    """
    x, shape = check.inexact("input", input), _last(check.number("input", input), normalized_shape)
    wide = _wide(x)
    eps = float(jnp.finfo(wide.dtype).eps) if eps is None else eps
    y = _by_root_mean_square(wide, tuple(range(x.ndim - len(shape), x.ndim)), eps)
    return _affine(x, y, weight, None, shape, x.ndim - len(shape))


def local_response_norm(
    input: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> jax.Array:
    """Each number divided by its neighbours in the channels beside it, x / (k + alpha · mean(x²))^beta.

    Torch: `torch.nn.functional.local_response_norm`.
    Shape: (N, C, *) → (N, C, *).
    Args: input: real numbers; integers become float32. size: how many channels are neighbours, missing ones counting
        as 0. alpha: the neighbours' factor. beta: the exponent. k: what is added.
    Raises: ValueError when input has fewer than three dimensions or size is below 1; TypeError when it isn't numeric.
    Differs: nothing.
    Source: Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks (2012).
    """
    x = check.number("input", input)
    if x.ndim < 3:
        raise ValueError(f"input must have at least the dimensions (N, C, L), got shape {x.shape}")
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    return _local_response(x, size, alpha, beta, k)


@wide_inside
def _local_response(x: jax.Array, size: int, alpha: float, beta: float, k: float) -> jax.Array:
    window, padding = [1] * x.ndim, [(0, 0)] * x.ndim
    window[1], padding[1] = size, (size // 2, (size - 1) // 2)
    real = jnp.issubdtype(x.dtype, jnp.floating)
    total = lax.reduce_window(x * x, 0.0 if real else 0, lax.add, window, [1] * x.ndim, padding)
    mean = total / size if real else total // size  # integers are averaged as integers
    x, mean = check.promoted("input", x), check.promoted("input", mean)
    return x / (k + alpha * mean) ** beta


def normalize(
    input: ArrayLike, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12, out: None = None
) -> jax.Array:
    """Vectors divided by their p-norm, x / max(‖x‖ₚ, eps).

    Torch: `torch.nn.functional.normalize`.
    Shape: (*) → (*).
    Args: input: floating-point or complex. p: the norm's exponent, 0 and ±∞ included. dim: where the vectors lie, one
        dimension or several. eps: the least divisor. out: None; there are no arrays to write to.
    Raises: ValueError when dim is absent or out is given; TypeError when input is neither floating-point nor complex.
    Differs: out is refused.
    Source: `torch.nn.functional.normalize`.
    """
    x = check.inexact("input", input)
    if out is not None:
        raise ValueError("out must be None: JAX arrays can't be written to; use the value that is returned")
    dims = dim if isinstance(dim, Sequence) else (dim,)
    return _normalized(x, p, tuple(check.axis("dim", d, x.ndim) for d in dims) if x.ndim else (), eps)


@wide_inside
def _normalized(x: jax.Array, p: float, axes: Axes, eps: float) -> jax.Array:
    norm = vector_norm(x, p, axes)
    divisor = jnp.where(norm < eps, eps, norm)  # no derivative below eps, as in torch's clamp
    return x / jnp.broadcast_to(divisor, x.shape).astype(x.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _standardised(x: jax.Array, axes: Axes, eps: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Numbers of mean 0 and variance 1 along dimensions; and the mean and the (biased) variance they had."""
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    var = (centred * centred).mean(axes, keepdims=True)
    return centred * lax.rsqrt(var + eps), mean, var


@_standardised.defjvp
def _(
    axes: Axes, eps: float, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]:
    # Behind barriers the two statistics are what is kept, and the rest is computed again from x: XLA:CPU would store
    # the answer and its factors in full size, a third more temporaries.
    (x,), (dx,) = primals, tangents
    mean = lax.optimization_barrier(x.mean(axes, keepdims=True))
    centred = x - mean
    var = (centred * centred).mean(axes, keepdims=True)
    inverse = lax.optimization_barrier(lax.rsqrt(var + eps))
    y, scaled = centred * inverse, dx * inverse
    dmean, along = scaled.mean(axes, keepdims=True), (y * scaled).mean(axes, keepdims=True)
    return (y, mean, var), (scaled - dmean - y * along, dmean / inverse, 2 * along / inverse**2)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _by_root_mean_square(x: jax.Array, axes: Axes, eps: float) -> jax.Array:
    return x * lax.rsqrt((x * x).mean(axes, keepdims=True) + eps)


@_by_root_mean_square.defjvp
def _(axes: Axes, eps: float, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    y = _by_root_mean_square(x, axes, eps)
    inverse = lax.rsqrt((x * x).mean(axes, keepdims=True) + eps)
    return y, (dx - y * (y * dx).mean(axes, keepdims=True)) * inverse


def _by_channel(
    x: jax.Array, axes: Axes, running: tuple[Running, Running], own: bool, eps: float
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Standardised by its own statistics or by the running ones, which have no derivative in torch."""
    if own:
        y, mean, var = _standardised(_wide(x), axes, eps)
        return y, lax.stop_gradient(mean), lax.stop_gradient(var)
    mean, var = (_at(_wide(lax.stop_gradient(jnp.asarray(r))), 1, x.ndim) for r in running)
    return (_wide(x) - mean) * lax.rsqrt(var + eps), mean, var


def _affine(
    x: jax.Array, y: jax.Array, weight: ArrayLike | None, bias: ArrayLike | None, shape: tuple[int, ...], axis: int
) -> jax.Array:
    """Y · weight + bias in the dtype of x, both of a shape that begins at a dimension of y."""
    if weight is not None:
        y = y * _at(_operand("weight", weight, x, shape, y.dtype), axis, y.ndim)
    if bias is not None:
        y = y + _at(_operand("bias", bias, x, shape, y.dtype), axis, y.ndim)
    return y.astype(x.dtype)


def _operand(name: str, value: ArrayLike, x: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
    operand = _beside(name, value, x)
    if operand.shape != shape:
        raise ValueError(f"{name} must have shape {shape} for input {x.shape}, got {operand.shape}")
    return operand.astype(dtype)


def _beside(name: str, value: ArrayLike, x: jax.Array) -> jax.Array:
    """An array of the dtype of x, or of float32 beside a narrow one."""
    operand = check.inexact(name, value)
    if not (x.dtype in NARROW and operand.dtype == jnp.float32):
        check.same_dtype(**{"input": x, name: operand})
    return operand


def _running(
    x: jax.Array, mean: ArrayLike | None, var: ArrayLike | None, needed: bool, flag: str
) -> tuple[Running, Running]:
    if (mean is None) != (var is None):
        raise ValueError("running_mean and running_var must be given both or not at all, got one of them")
    if mean is None or var is None:
        if needed:
            raise ValueError(f"running_mean and running_var must be given, or {flag}; got neither")
        return None, None
    old = _beside("running_mean", mean, x), _beside("running_var", var, x)
    for name, statistic in zip(("running_mean", "running_var"), old, strict=True):
        if statistic.shape != x.shape[1:2]:
            raise ValueError(f"{name} must have shape {x.shape[1:2]} for input {x.shape}, got {statistic.shape}")
    return old


def _as_given(mean: ArrayLike | None, var: ArrayLike | None) -> tuple[Running, Running]:
    return None if mean is None else jnp.asarray(mean), None if var is None else jnp.asarray(var)


def _updated(
    old: tuple[Running, Running], mean: jax.Array, var: jax.Array, momentum: float | jax.Array
) -> tuple[Running, Running]:
    share = jnp.asarray(momentum, mean.dtype)
    mixed = (
        None if before is None else (share * now + (1 - share) * before.astype(now.dtype)).astype(before.dtype)
        for before, now in zip(old, (mean, var), strict=True)
    )
    return next(mixed), next(mixed)


def _last(x: jax.Array, normalized_shape: Sequence[int]) -> tuple[int, ...]:
    """The shape, if it is that of the last dimensions."""
    if not isinstance(normalized_shape, Sequence):
        raise TypeError(f"normalized_shape must be a sequence of sizes, got {normalized_shape!r}")
    shape = tuple(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"normalized_shape must be the last dimensions of input {x.shape}, at least one, got {shape}")
    return shape


def _at(x: jax.Array, axis: int, ndim: int) -> jax.Array:
    """An array whose dimensions begin at a given one of `ndim`; the others have size 1, which broadcasts."""
    return x.reshape((1,) * axis + x.shape + (1,) * (ndim - axis - x.ndim))


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(accumulator(x.dtype))
