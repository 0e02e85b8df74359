"""Dropouts: numbers or whole channels are zeroed, or set to what keeps mean and variance, and the rest is scaled."""

import math
import warnings

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.activation import SELU_ALPHA, SELU_SCALE
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike
from fnlearn.random import draw

Key = draw.Key | None


def dropout(
    input: ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False, *, key: Key = None
) -> jax.Array:
    """Zero each number with probability p in training, and divide the others by 1 − p.

    Torch: `torch.nn.functional.dropout`.
    Shape: (*) → (*).
    Args: input: floating-point; in evaluation any array, which is returned as it is. p: the probability of a zero, 0
        to 1. training: whether to draw. inplace: ignored. key: needed to draw.
    Raises: ValueError when p is out of range, or numbers are to be drawn without a key; TypeError when input is not
        floating-point in training.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: Srivastava et al.: Dropout (2014).
    """
    x, draws = _prepare("dropout", input, p, training, key)
    return _dropped(x, p, x.shape, key) if draws else x


def dropout1d(
    input: ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False, *, key: Key = None
) -> jax.Array:
    """Zero whole channels of sequences with probability p in training, and divide the others by 1 − p.

    Torch: `torch.nn.functional.dropout1d`.
    Shape: (N, C, L) or (C, L) → as input.
    Args: input, p, training, inplace, key: as for `dropout`.
    Raises: as `dropout`, and ValueError when input has neither two nor three dimensions.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: Tompson et al.: Efficient Object Localization Using Convolutional Networks (2015).
    """
    x, draws = _prepare("dropout1d", input, p, training, key)
    if x.ndim not in (2, 3):
        raise ValueError(f"input must have the dimensions (N, C, L) or (C, L), got shape {x.shape}")
    return _dropped(x, p, _channels(x, batched=x.ndim == 3), key) if draws else x


def dropout2d(
    input: ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False, *, key: Key = None
) -> jax.Array:
    """Zero whole channels of images with probability p in training, and divide the others by 1 − p.

    Torch: `torch.nn.functional.dropout2d`.
    Shape: (N, C, H, W) or, with channels second as well, (N, C, L) → as input.
    Args: input, p, training, inplace, key: as for `dropout`.
    Raises: as `dropout`, and ValueError below two dimensions; warns when input doesn't have four.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: Tompson et al.: Efficient Object Localization Using Convolutional Networks (2015).
    """
    x, draws = _prepare("dropout2d", input, p, training, key)
    if x.ndim == 3:
        warnings.warn("dropout2d takes a 3-D input as (N, C, L); use dropout1d for sequences.", stacklevel=2)
    elif x.ndim != 4:
        warnings.warn(f"dropout2d got a {x.ndim}-D input, which is deprecated; use dropout instead.", stacklevel=2)
    return _dropped(x, p, _channels(x), key) if draws else x


def dropout3d(
    input: ArrayLike, p: float = 0.5, training: bool = True, inplace: bool = False, *, key: Key = None
) -> jax.Array:
    """Zero whole channels of volumes with probability p in training, and divide the others by 1 − p.

    Torch: `torch.nn.functional.dropout3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → as input.
    Args: input, p, training, inplace, key: as for `dropout`.
    Raises: as `dropout`, and ValueError for a scalar; warns when input has neither four nor five dimensions.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: Tompson et al.: Efficient Object Localization Using Convolutional Networks (2015).
    """
    x, draws = _prepare("dropout3d", input, p, training, key)
    if x.ndim not in (4, 5):
        warnings.warn(f"dropout3d got a {x.ndim}-D input, which is deprecated; use dropout instead.", stacklevel=2)
    return _dropped(x, p, _channels(x, batched=x.ndim == 5), key) if draws else x


def alpha_dropout(
    input: ArrayLike, p: float = 0.5, training: bool = False, inplace: bool = False, *, key: Key = None
) -> jax.Array:
    """Set each number with probability p to selu's lower limit in training, then restore mean 0 and variance 1.

    Torch: `torch.nn.functional.alpha_dropout`.
    Shape: (*) → (*).
    Args: input: floating-point, of mean 0 and variance 1; in evaluation any array, which is returned as it is.
        p: the probability of the limit, 0 to 1. training, inplace, key: as for `dropout`.
    Raises: as `dropout`.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: Klambauer et al.: Self-Normalizing Neural Networks (2017).
    """
    x, draws = _prepare("alpha_dropout", input, p, training, key)
    return _saturated(x, p, x.shape, key) if draws else x


def feature_alpha_dropout(
    input: ArrayLike, p: float = 0.5, training: bool = False, inplace: bool = False, *, key: Key = None
) -> jax.Array:
    """Set whole channels with probability p to selu's lower limit in training, then restore mean 0 and variance 1.

    Torch: `torch.nn.functional.feature_alpha_dropout`.
    Shape: (N, C, *) → (N, C, *).
    Args: input, p, training, inplace, key: as for `alpha_dropout`.
    Raises: as `dropout`, and ValueError below two dimensions in training.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: Klambauer et al.: Self-Normalizing Neural Networks (2017).
    """
    x, draws = _prepare("feature_alpha_dropout", input, p, training, key)
    return _saturated(x, p, _channels(x), key) if draws else x


def _prepare(name: str, input: ArrayLike, p: float, training: bool, key: Key) -> tuple[jax.Array, bool]:
    """The input as an array, and whether anything happens to it."""
    if not 0 <= p <= 1:
        raise ValueError(f"p must be a probability between 0 and 1, got {p}")
    if not training or p == 0:
        return jnp.asarray(input), False
    if key is None and p < 1:
        raise ValueError(f"{name} draws its mask when training=True: pass key=jax.random.key(...)")
    return check.floating("input", input), True


def _channels(x: jax.Array, batched: bool = True) -> tuple[int, ...]:
    """The shape of a mask with one number a channel."""
    leading = 2 if batched else 1
    if x.ndim < leading:
        raise ValueError(f"input must have at least {leading} dimensions, got shape {x.shape}")
    return x.shape[:leading] + (1,) * (x.ndim - leading)


@wide_inside
def _dropped(x: jax.Array, p: float, shape: tuple[int, ...], key: Key) -> jax.Array:
    if key is None or p == 1:
        return x * 0.0  # NaN where x is, as in torch
    noise = draw.bernoulli(key, 1 - p, shape).astype(x.dtype) / (1 - p)
    return x * jnp.broadcast_to(noise, x.shape)


@wide_inside
def _saturated(x: jax.Array, p: float, shape: tuple[int, ...], key: Key) -> jax.Array:
    if key is None or p == 1:
        return x * 0.0
    limit = SELU_ALPHA * SELU_SCALE
    scale = 1 / math.sqrt((limit * limit * p + 1) * (1 - p))
    kept = draw.bernoulli(key, 1 - p, shape).astype(x.dtype)
    shift = (kept - 1) * (limit * scale) + limit * scale * p
    return x * jnp.broadcast_to(kept * scale, x.shape) + jnp.broadcast_to(shift, x.shape)
