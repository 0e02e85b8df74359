"""Activation functions: torch's values, and torch's derivatives at kinks, infinities and NaN.

A kink's derivative is decided by the comparison inside `jnp.where`, which is therefore the one that the ATen kernel's
backward uses (`<=` or `<`), and not the shorter `jnp.maximum`, which halves the gradient at a tie.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnlearn.functional import check
from fnlearn.functional.precision import wide_inside
from fnlearn.functional.typing import ArrayLike

SIX = 5.999999821186071  # ATen's hardsigmoid_backward has float32's 1/6 in float64 too; in narrower dtypes this is 6
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def sigmoid(input: ArrayLike) -> jax.Array:
    """Logistic function, 1 / (1 + exp(−x)).

    Torch: `torch.nn.functional.sigmoid`.
    Shape: (*) → (*).
    Args: input: any numbers; integers become float32.
    Raises: TypeError when input is no array of numbers.
    Differs: nothing.
    Source: ATen `UnaryOpsKernel.cpp`.
    """
    return jax.nn.sigmoid(check.promoted("input", input))


def tanh(input: ArrayLike) -> jax.Array:
    """Hyperbolic tangent.

    Torch: `torch.nn.functional.tanh`.
    Shape: (*) → (*).
    Args: input: any numbers; integers become float32.
    Raises: TypeError when input is no array of numbers.
    Differs: nothing.
    Source: ATen `UnaryOpsKernel.cpp`.
    """
    return jnp.tanh(check.promoted("input", input))


def relu(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Rectifier, max(0, x), with derivative 0 at 0.

    Torch: `torch.nn.functional.relu`.
    Shape: (*) → (*).
    Args: input: real numbers, integers included.
    Raises: TypeError when input is no array of numbers.
    Differs: nothing.
    Source: ATen `threshold_backward`.
    """
    x = check.number("input", input)
    return jnp.where(x <= 0, jnp.zeros_like(x), x)


def relu6(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Rectifier with a ceiling, min(max(0, x), 6), with derivative 0 at 0 and 6.

    Torch: `torch.nn.functional.relu6`.
    Shape: (*) → (*).
    Args: input: real numbers, integers included.
    Raises: TypeError when input is no array of numbers.
    Differs: nothing.
    Source: ATen `hardtanh_backward`.
    """
    return hardtanh(input, 0, 6)


def hardtanh(input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> jax.Array:
    """Clamp to [min_val, max_val], with derivative 0 at both ends.

    Torch: `torch.nn.functional.hardtanh`.
    Shape: (*) → (*).
    Args: input: real numbers, integers included. min_val, max_val: the range, min_val ≤ max_val.
    Raises: ValueError when min_val exceeds max_val; TypeError when input is no array of numbers.
    Differs: nothing.
    Source: ATen `hardtanh_backward`.
    """
    x = check.number("input", input)
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got min_val={min_val} and max_val={max_val}")
    low, high = jnp.asarray(min_val, x.dtype), jnp.asarray(max_val, x.dtype)
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))


def threshold(input: ArrayLike, threshold: float, value: float, inplace: bool = False) -> jax.Array:
    """Keep x above a threshold, else a fixed value.

    Torch: `torch.nn.functional.threshold`.
    Shape: (*) → (*).
    Args: input: real numbers, integers included. threshold: the largest x that is replaced. value: the replacement.
    Raises: TypeError when input is no array of numbers.
    Differs: nothing.
    Source: ATen `threshold_backward`.
    """
    x = check.number("input", input)
    return jnp.where(x <= threshold, jnp.asarray(value, x.dtype), x)


def leaky_relu(input: ArrayLike, negative_slope: float = 0.01, inplace: bool = False) -> jax.Array:
    """Rectifier with a slope below zero: x for x > 0, else negative_slope · x.

    Torch: `torch.nn.functional.leaky_relu`.
    Shape: (*) → (*).
    Args: input: floating-point. negative_slope: the derivative for x ≤ 0.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: Maas, Hannun, Ng: Rectifier Nonlinearities Improve Neural Network Acoustic Models (2013).
    """
    x = check.floating("input", input)
    return jnp.where(x > 0, x, negative_slope * x)


def prelu(input: ArrayLike, weight: ArrayLike) -> jax.Array:
    """Leaky rectifier with a learnt slope, one for all channels or one for each.

    Torch: `torch.nn.functional.prelu`.
    Shape: input (N, C, *) or (*), weight (1) or (C) or () → as input.
    Args: input: floating-point; its second dimension is the channels, or it has one when it has fewer than two
        dimensions. weight: the slopes for x ≤ 0.
    Raises: ValueError when weight is neither one number nor one a channel; TypeError when dtypes differ.
    Differs: nothing.
    Source: He et al.: Delving Deep into Rectifiers (2015).
    """
    x, slope = check.floating("input", input), check.floating("weight", weight)
    check.same_dtype(input=x, weight=slope)
    if slope.ndim > 1:
        raise ValueError(f"weight must be a scalar or one-dimensional, got shape {slope.shape}")
    if slope.size != 1:
        channels = x.shape[1] if x.ndim >= 2 else 1
        if slope.size != channels:
            raise ValueError(f"weight must hold 1 number or one for each of {channels} channel(s), got {slope.size}")
        slope = slope.reshape((1, -1) + (1,) * (x.ndim - 2))
    else:
        slope = slope.reshape(())
    return jnp.where(x > 0, x, jnp.broadcast_to(slope, x.shape) * x)


def rrelu(
    input: ArrayLike,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    key: jax.Array | None = None,
) -> jax.Array:
    """Leaky rectifier whose slope is drawn from U(lower, upper) for each element, and is their mean in evaluation.

    Torch: `torch.nn.functional.rrelu`.
    Shape: (*) → (*).
    Args: input: floating-point. lower, upper: bounds of the slope. training: whether to draw. key: needed to draw.
    Raises: ValueError when lower exceeds upper, or training without a key; TypeError when input is not floating-point.
    Differs: the slopes come from a JAX key, not from torch's generator.
    Source: Xu et al.: Empirical Evaluation of Rectified Activations in Convolutional Network (2015).
    """
    x = check.floating("input", input)
    if lower > upper:
        raise ValueError(f"lower must not exceed upper, got lower={lower} and upper={upper}")
    if not training:
        return leaky_relu(x, (lower + upper) / 2)
    if key is None:
        raise ValueError("rrelu draws its slopes when training=True: pass key=jax.random.key(...)")
    slope = jax.random.uniform(key, x.shape, x.dtype, lower, upper)
    return jnp.where(x <= 0, slope * x, x)


@wide_inside
def elu(input: ArrayLike, alpha: float = 1.0, inplace: bool = False) -> jax.Array:
    """Exponential linear unit: x for x > 0, else alpha · (exp(x) − 1).

    Torch: `torch.nn.functional.elu`.
    Shape: (*) → (*).
    Args: input: floating-point. alpha: minus the limit for x → −∞, and the derivative at 0.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: Clevert, Unterthiner, Hochreiter: Fast and Accurate Deep Network Learning by ELUs (2016).
    """
    x = check.floating("input", input)
    return jnp.where(x <= 0, alpha * jnp.expm1(_where_safe(x <= 0, x)), x)


@wide_inside
def selu(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Self-normalising exponential linear unit, scale · elu(x, alpha) with the paper's two constants.

    Torch: `torch.nn.functional.selu`.
    Shape: (*) → (*).
    Args: input: floating-point.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: Klambauer et al.: Self-Normalizing Neural Networks (2017).
    """
    return SELU_SCALE * elu(input, SELU_ALPHA)


@wide_inside
def celu(input: ArrayLike, alpha: float = 1.0, inplace: bool = False) -> jax.Array:
    """Continuously differentiable exponential linear unit: x for x > 0, else alpha · (exp(x / alpha) − 1).

    Torch: `torch.nn.functional.celu`.
    Shape: (*) → (*).
    Args: input: floating-point. alpha: minus the limit for x → −∞, not 0.
    Raises: ValueError when alpha is 0; TypeError when input is not floating-point.
    Differs: nothing.
    Source: Barron: Continuously Differentiable Exponential Linear Units (2017).
    """
    x = check.floating("input", input)
    if alpha == 0:
        raise ValueError("alpha cannot be 0 for celu: the function divides by it")
    return jnp.where(x <= 0, alpha * jnp.expm1(_where_safe(x <= 0, x) / alpha), x)


@wide_inside
def gelu(input: ArrayLike, approximate: str = "none") -> jax.Array:
    """Gaussian error linear unit, x · Φ(x), by erf or by the tanh approximation.

    Torch: `torch.nn.functional.gelu`.
    Shape: (*) → (*).
    Args: input: floating-point. approximate: "none" (erf) or "tanh".
    Raises: ValueError for another approximate; TypeError when input is not floating-point.
    Differs: nothing; `jax.nn.gelu` approximates by default.
    Source: Hendrycks, Gimpel: Gaussian Error Linear Units (2016).
    """
    x = check.floating("input", input)
    check.option("approximate", approximate, ("none", "tanh"))
    if approximate == "none":
        return 0.5 * x * (1 + lax.erf(x * math.sqrt(0.5)))
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1 + jnp.tanh(inner))


@wide_inside
def silu(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Sigmoid linear unit, x · sigmoid(x), also known as swish.

    Torch: `torch.nn.functional.silu`.
    Shape: (*) → (*).
    Args: input: floating-point or complex.
    Raises: TypeError when input holds integers.
    Differs: nothing.
    Source: Elfwing, Uchibe, Doya: Sigmoid-Weighted Linear Units (2018).
    """
    x = check.inexact("input", input)
    return x * jax.nn.sigmoid(x)


@wide_inside
def mish(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Mish, x · tanh(softplus(x)).

    Torch: `torch.nn.functional.mish`.
    Shape: (*) → (*).
    Args: input: floating-point.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: Misra: Mish, A Self Regularized Non-Monotonic Activation Function (2019).
    """
    x = check.floating("input", input)
    return x * jnp.tanh(jax.nn.softplus(x))


def hardsigmoid(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Piecewise linear sigmoid, min(max(0, x + 3), 6) / 6, with derivative 0 at ±3.

    Torch: `torch.nn.functional.hardsigmoid`.
    Shape: (*) → (*).
    Args: input: floating-point.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: Howard et al.: Searching for MobileNetV3 (2019).
    """
    return _hardsigmoid(check.floating("input", input))


@jax.custom_jvp
def _hardsigmoid(x: jax.Array) -> jax.Array:
    """The value; the slope is 1 / SIX, and 0 at NaN, as in ATen's hardsigmoid_backward."""
    return jnp.clip(x + 3, 0, 6) / 6


@_hardsigmoid.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    return _hardsigmoid(x), jnp.where((x > -3) & (x < 3), tangent / SIX, 0)


def hardswish(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Piecewise quadratic swish: 0 for x ≤ −3, x for x ≥ 3, else x · (x + 3) / 6.

    Torch: `torch.nn.functional.hardswish`.
    Shape: (*) → (*).
    Args: input: floating-point.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: Howard et al.: Searching for MobileNetV3 (2019).
    """
    x = check.floating("input", input)
    inside = (x > -3) & (x < 3)
    middle = _where_safe(inside, x)
    below = lax.stop_gradient(x * 0)  # NaN at −∞, as torch's −∞ · 0
    return jnp.where(x <= -3, below, jnp.where(inside, middle * (middle + 3) / 6, x))


@wide_inside
def logsigmoid(input: ArrayLike) -> jax.Array:
    """Logarithm of the sigmoid, −log(1 + exp(−x)), without overflow.

    Torch: `torch.nn.functional.logsigmoid`.
    Shape: (*) → (*).
    Args: input: floating-point.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: ATen `log_sigmoid_forward`.
    """
    x = check.floating("input", input)
    negative = x < 0  # chosen by comparison, since JAX's derivative of |x| at 0 is 1
    return jnp.where(negative, x, jnp.zeros_like(x)) - jnp.log1p(jnp.exp(jnp.where(negative, x, -x)))


@wide_inside
def softplus(input: ArrayLike, beta: float = 1, threshold: float = 20) -> jax.Array:
    """Smooth rectifier, log(1 + exp(beta · x)) / beta, and x itself where beta · x exceeds the threshold.

    Torch: `torch.nn.functional.softplus`.
    Shape: (*) → (*).
    Args: input: floating-point. beta: the sharpness. threshold: where the function turns linear.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: Dugas et al.: Incorporating Second-Order Functional Knowledge (2001).
    """
    x = check.floating("input", input)
    linear = beta * x > threshold
    return jnp.where(linear, x, jnp.log1p(jnp.exp(beta * _where_safe(~linear, x))) / beta)


@wide_inside
def softsign(input: ArrayLike) -> jax.Array:
    """Softsign, x / (1 + |x|).

    Torch: `torch.nn.functional.softsign`.
    Shape: (*) → (*).
    Args: input: any numbers; integers become float32.
    Raises: TypeError when input is no array of numbers.
    Differs: nothing.
    Source: Turian, Bergstra, Bengio: Quadratic Features and Deep Architectures for Chunking (2009).
    """
    x = check.promoted("input", input)
    return x / (1 + jnp.abs(x))


def hardshrink(input: ArrayLike, lambd: float = 0.5) -> jax.Array:
    """Zero inside [−lambd, lambd], x outside.

    Torch: `torch.nn.functional.hardshrink`.
    Shape: (*) → (*).
    Args: input: floating-point. lambd: half the width of the gap.
    Raises: TypeError when input is not floating-point.
    Differs: nothing.
    Source: ATen `hardshrink`.
    """
    x = check.floating("input", input)
    return jnp.where((x >= -lambd) & (x <= lambd), jnp.zeros_like(x), x)


def softshrink(input: ArrayLike, lambd: float = 0.5) -> jax.Array:
    """Zero inside [−lambd, lambd]; outside, x moved towards zero by lambd.

    Torch: `torch.nn.functional.softshrink`.
    Shape: (*) → (*).
    Args: input: floating-point. lambd: half the width of the gap, at least 0.
    Raises: ValueError when lambd is negative; TypeError when input is not floating-point.
    Differs: nothing.
    Source: ATen `softshrink`.
    """
    x = check.floating("input", input)
    if lambd < 0:
        raise ValueError(f"lambd must be at least 0, got {lambd}")
    return jnp.where((x >= -lambd) & (x <= lambd), jnp.zeros_like(x), x - jnp.sign(x) * lambd)


@wide_inside
def tanhshrink(input: ArrayLike) -> jax.Array:
    """Tanhshrink, x − tanh(x).

    Torch: `torch.nn.functional.tanhshrink`.
    Shape: (*) → (*).
    Args: input: any numbers; integers become float32.
    Raises: TypeError when input is no array of numbers.
    Differs: nothing.
    Source: `torch.nn.functional.tanhshrink`.
    """
    x = check.promoted("input", input)
    return x - jnp.tanh(x)


@wide_inside
def glu(input: ArrayLike, dim: int = -1) -> jax.Array:
    """Gated linear unit, a · sigmoid(b), where a and b are the halves of the input along a dimension.

    Torch: `torch.nn.functional.glu`.
    Shape: (*₁, 2·N, *₂) → (*₁, N, *₂).
    Args: input: floating-point. dim: the dimension that is halved.
    Raises: ValueError when that dimension is odd or absent; TypeError when input is not floating-point.
    Differs: nothing.
    Source: Dauphin et al.: Language Modeling with Gated Convolutional Networks (2017).
    """
    x = check.floating("input", input)
    if x.ndim == 0:
        raise ValueError("glu does not support a scalar: its input is halved along a dimension")
    axis = check.axis("dim", dim, x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(f"the halved dimension must be even, got size {x.shape[axis]} at dim {dim}")
    value, gate = jnp.split(x, 2, axis)
    return value * jax.nn.sigmoid(gate)


def _where_safe(selected: Any, x: jax.Array) -> jax.Array:
    """X where its branch is selected, else 0, so that the branch not taken has a finite derivative."""
    return jnp.where(selected, x, jnp.zeros_like(x))
