"""The distributions that weights start from: torch.nn.init's, as functions of a key and a shape.

A weight's shape is (out, in, *): `fan_in` is in · Π(*), `fan_out` is out · Π(*). torch's default for a layer is
`kaiming_uniform(a=√5)`, which is U(−1/√fan_in, 1/√fan_in). The numbers come from a JAX key, or in torch's order
from a `fnlearn.random.TorchGenerator` in its place, and a new array is returned; `dtype` is float32 when left out,
whatever JAX's own default is.
"""

import math
import warnings

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.typing import DTypeLike
from fnlearn.random import TorchGenerator, draw
from fnlearn.random.draw import Key

__all__ = [
    "calculate_gain",
    "constant",
    "dirac",
    "eye",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "trunc_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

Shape = tuple[int, ...]

GAINS = {
    **dict.fromkeys(("linear", "sigmoid", "conv1d", "conv2d", "conv3d"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a weight's deviation makes up for the nonlinearity that follows.

    Torch: `torch.nn.init.calculate_gain`.
    Shape: no array.
    Args: nonlinearity: the function's name, such as "relu". param: the slope below zero of "leaky_relu", 0.01 when left
        out.
    Raises: ValueError for a name that has no gain, or a param that is no number.
    Differs: nothing.
    Source: He et al.: Delving Deep into Rectifiers (2015).
    """
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, int | float | None):
            raise ValueError(f"param must be the slope below zero, a number, got {param!r}")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    check.option("nonlinearity", nonlinearity, (*GAINS, "leaky_relu"))
    return GAINS[nonlinearity]


def uniform(key: Key, shape: Shape, a: float = 0.0, b: float = 1.0, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Uniformly distributed numbers, U(a, b).

    Torch: `torch.nn.init.uniform_`.
    Shape: as asked for.
    Args: key: a typed key. shape: the result's. a, b: the bounds, b exclusive. dtype: float32 when left out.
    Raises: ValueError when a exceeds b.
    Differs: only a `TorchGenerator` as key gives torch's numbers.
    Source: `torch.nn.init`.
    """
    if a > b:
        raise ValueError(f"a must not exceed b, got a={a} and b={b}")
    return draw.uniform(key, shape, dtype or jnp.float32, a, b)


def normal(key: Key, shape: Shape, mean: float = 0.0, std: float = 1.0, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Normally distributed numbers, N(mean, std²).

    Torch: `torch.nn.init.normal_`.
    Shape: as asked for.
    Args: key: a typed key. shape: the result's. mean, std: of the distribution, std at least 0. dtype: float32 when
        left out.
    Raises: ValueError when std is negative.
    Differs: only a `TorchGenerator` as key gives torch's numbers.
    Source: `torch.nn.init`.
    """
    _refuse_negative("std", std)
    return draw.normal(key, shape, dtype or jnp.float32, mean, std)


def trunc_normal(
    key: Key,
    shape: Shape,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    *,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """Normally distributed numbers, those outside [a, b] drawn again.

    Torch: `torch.nn.init.trunc_normal_`.
    Shape: as asked for.
    Args: key: a typed key. shape: the result's. mean, std: of the distribution before truncation, std above 0. a, b:
        the bounds themselves, not in units of std. dtype: float32 when left out.
    Raises: ValueError when std is not positive or a is not below b; warns when mean is far outside [a, b].
    Differs: only a `TorchGenerator` as key gives torch's numbers.
    Source: `torch.nn.init`.
    """
    if std <= 0 or a >= b:
        raise ValueError(f"std must be above 0 and a below b, got std={std}, a={a}, b={b}")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn("mean is more than 2 std from [a, b]; the distribution of values may be incorrect.", stacklevel=2)
    dtype = dtype or jnp.float32
    drawn = draw.truncated_normal(key, shape, dtype, mean, std, a, b)
    return jnp.clip(drawn, jnp.asarray(a, dtype), jnp.asarray(b, dtype))  # rounding may lead out of the bounds


def constant(shape: Shape, val: float, *, dtype: DTypeLike | None = None) -> jax.Array:
    """An array of one number.

    Torch: `torch.nn.init.constant_`.
    Shape: as asked for.
    Args: shape: the result's. val: the number. dtype: float32 when left out.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.nn.init`.
    """
    return jnp.full(shape, val, dtype or jnp.float32)


def ones(shape: Shape, *, dtype: DTypeLike | None = None) -> jax.Array:
    """An array of ones.

    Torch: `torch.nn.init.ones_`.
    Shape: as asked for.
    Args: shape: the result's. dtype: float32 when left out.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.nn.init`.
    """
    return constant(shape, 1.0, dtype=dtype)


def zeros(shape: Shape, *, dtype: DTypeLike | None = None) -> jax.Array:
    """An array of zeros.

    Torch: `torch.nn.init.zeros_`.
    Shape: as asked for.
    Args: shape: the result's. dtype: float32 when left out.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.nn.init`.
    """
    return constant(shape, 0.0, dtype=dtype)


def eye(shape: Shape, *, dtype: DTypeLike | None = None) -> jax.Array:
    """The identity matrix, cut or padded to the shape.

    Torch: `torch.nn.init.eye_`.
    Shape: (rows, columns).
    Args: shape: the result's. dtype: float32 when left out.
    Raises: ValueError unless the shape has two dimensions.
    Differs: nothing.
    Source: `torch.nn.init`.
    """
    _refuse_rank(shape, (2,))
    return jnp.eye(shape[0], shape[1], dtype=dtype or jnp.float32)


def dirac(shape: Shape, groups: int = 1, *, dtype: DTypeLike | None = None) -> jax.Array:
    """A convolution's weight that hands its input through, as far as there are channels.

    Torch: `torch.nn.init.dirac_`.
    Shape: (out, in / groups, *), of three to five dimensions.
    Args: shape: the result's. groups: of the convolution; each hands its channels through. dtype: float32 when left
        out.
    Raises: ValueError for another number of dimensions, or when groups doesn't divide out.
    Differs: nothing.
    Source: `torch.nn.init`.
    """
    _refuse_rank(shape, (3, 4, 5))
    if shape[0] % groups:
        raise ValueError(f"groups must divide the {shape[0]} output channels, got {groups}")
    middle = tuple(size // 2 for size in shape[2:])
    within = jnp.eye(shape[0] // groups, shape[1], dtype=dtype or jnp.float32)
    return zeros(shape, dtype=dtype).at[:, :, *middle].set(jnp.tile(within, (groups, 1)))


def xavier_uniform(key: Key, shape: Shape, gain: float = 1.0, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Xavier's uniform distribution, of deviation gain · √(2 / (fan_in + fan_out)).

    Torch: `torch.nn.init.xavier_uniform_`.
    Shape: (out, in, *).
    Args: key: a typed key. shape: the weight's. gain: as `calculate_gain` gives it. dtype: float32 when left out.
    Raises: ValueError when the shape has fewer than two dimensions.
    Differs: only a `TorchGenerator` as key gives torch's numbers.
    Source: Glorot, Bengio: Understanding the Difficulty of Training Deep Feedforward Neural Networks (2010).
    """
    bound = math.sqrt(3) * gain * math.sqrt(2 / sum(fans(shape)))
    return uniform(key, shape, -bound, bound, dtype=dtype)


def xavier_normal(key: Key, shape: Shape, gain: float = 1.0, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Xavier's normal distribution, of deviation gain · √(2 / (fan_in + fan_out)).

    Torch: `torch.nn.init.xavier_normal_`.
    Shape: (out, in, *).
    Args: as for `xavier_uniform`.
    Raises: as `xavier_uniform`.
    Differs: only a `TorchGenerator` as key gives torch's numbers.
    Source: Glorot, Bengio: Understanding the Difficulty of Training Deep Feedforward Neural Networks (2010).
    """
    return normal(key, shape, 0.0, gain * math.sqrt(2 / sum(fans(shape))), dtype=dtype)


def kaiming_uniform(
    key: Key,
    shape: Shape,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """Kaiming's uniform distribution, of deviation gain / √fan.

    Torch: `torch.nn.init.kaiming_uniform_`.
    Shape: (out, in, *).
    Args: key: a typed key. shape: the weight's. a: the slope below zero of "leaky_relu"; √5 gives a layer's default,
        U(−1/√fan_in, 1/√fan_in). mode: "fan_in" or "fan_out". nonlinearity: as `calculate_gain` takes it. dtype:
        float32 when left out.
    Raises: ValueError when the shape has fewer than two dimensions, or for an unknown mode or nonlinearity.
    Differs: only a `TorchGenerator` as key gives torch's numbers; an empty weight gives no warning.
    Source: He et al.: Delving Deep into Rectifiers (2015).
    """
    bound = math.sqrt(3) * _kaiming_deviation(shape, a, mode, nonlinearity)
    return uniform(key, shape, -bound, bound, dtype=dtype)


def kaiming_normal(
    key: Key,
    shape: Shape,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """Kaiming's normal distribution, of deviation gain / √fan.

    Torch: `torch.nn.init.kaiming_normal_`.
    Shape: (out, in, *).
    Args: as for `kaiming_uniform`.
    Raises: as `kaiming_uniform`.
    Differs: only a `TorchGenerator` as key gives torch's numbers; an empty weight gives no warning.
    Source: He et al.: Delving Deep into Rectifiers (2015).
    """
    return normal(key, shape, 0.0, _kaiming_deviation(shape, a, mode, nonlinearity), dtype=dtype)


def orthogonal(key: Key, shape: Shape, gain: float = 1.0, *, dtype: DTypeLike | None = None) -> jax.Array:
    """A (semi-)orthogonal matrix, uniformly distributed among all of them, times gain.

    Torch: `torch.nn.init.orthogonal_`.
    Shape: (rows, *), orthogonal as (rows, Π(*)).
    Args: key: a typed key. shape: the weight's. gain: a factor. dtype: float32 when left out.
    Raises: ValueError when the shape has fewer than two dimensions.
    Differs: only a `TorchGenerator` as key gives torch's numbers.
    Source: Saxe, McClelland, Ganguli: Exact Solutions to the Nonlinear Dynamics of Learning (2014).
    """
    if len(shape) < 2:
        raise ValueError(f"orthogonal needs a weight of two or more dimensions, got shape {shape}")
    if not math.prod(shape):
        return zeros(shape, dtype=dtype)
    rows, columns = shape[0], math.prod(shape[1:])
    if isinstance(key, TorchGenerator):
        return (gain * _orthogonalised(normal(key, (rows, columns), dtype=dtype))).reshape(shape)
    return gain * jax.random.orthogonal(key, rows, m=columns, dtype=dtype or jnp.float32).reshape(shape)


def sparse(key: Key, shape: Shape, sparsity: float, std: float = 0.01, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Normally distributed numbers, of which a share in each column is zero.

    Torch: `torch.nn.init.sparse_`.
    Shape: (rows, columns).
    Args: key: a typed key. shape: the weight's. sparsity: the share of zeros in each column, rounded up to whole rows.
        std: of the other numbers. dtype: float32 when left out.
    Raises: ValueError unless the shape has two dimensions and sparsity is between 0 and 1.
    Differs: only a `TorchGenerator` as key gives torch's numbers.
    Source: Martens: Deep Learning via Hessian-Free Optimization (2010).
    """
    _refuse_rank(shape, (2,))
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must be between 0 and 1, got {sparsity}")
    if isinstance(key, TorchGenerator):
        drawn = normal(key, shape, 0.0, std, dtype=dtype)
        for column in range(shape[1]):
            drawn = drawn.at[key.randperm(shape[0])[: math.ceil(sparsity * shape[0])], column].set(0)
        return drawn
    numbers, rows = jax.random.split(key)
    ranks = jax.random.uniform(rows, shape).argsort(0).argsort(0)  # a random order of the rows in each column
    return jnp.where(ranks < math.ceil(sparsity * shape[0]), 0, normal(numbers, shape, 0.0, std, dtype=dtype))


def fans(shape: Shape) -> tuple[int, int]:
    """How many numbers flow into one output of a weight of this shape, and out of one input.

    Args: shape: (out, in, *).
    Returns: (fan_in, fan_out).
    Raises: ValueError when the shape has fewer than two dimensions.
    """
    if len(shape) < 2:
        raise ValueError(f"fan_in and fan_out need a weight of two or more dimensions, got shape {shape}")
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


def _orthogonalised(x: jax.Array) -> jax.Array:
    """The orthogonal factor of a matrix, with the signs that make it unique."""
    wide = x.shape[0] < x.shape[1]
    q, r = jnp.linalg.qr(x.T if wide else x)
    q = q * jnp.sign(jnp.diagonal(r))[None, :]
    return q.T if wide else q


def _kaiming_deviation(shape: Shape, a: float, mode: str, nonlinearity: str) -> float:
    check.option("mode", mode, ("fan_in", "fan_out"))
    fan = fans(shape)[0 if mode == "fan_in" else 1]
    gain = calculate_gain(nonlinearity, a if nonlinearity == "leaky_relu" else None)
    return gain / math.sqrt(fan) if fan else 0.0


def _refuse_negative(name: str, value: float) -> None:
    if value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")


def _refuse_rank(shape: Shape, allowed: tuple[int, ...]) -> None:
    if len(shape) not in allowed:
        raise ValueError(f"the shape must have {' or '.join(map(str, allowed))} dimensions, got {shape}")
