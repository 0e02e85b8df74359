"""Activation layers: the functions of the same purpose in `fnlearn.functional`, with their options fixed."""

from typing import Any

import jax

from fnlearn import functional as F
from fnlearn.functional.typing import DTypeLike
from fnlearn.nn import init as initial
from fnlearn.nn.layer import Layer, Tree, stateless, stochastic


def Sigmoid() -> Layer:
    """Logistic function, 1 / (1 + exp(−x)).

    Torch: `torch.nn.Sigmoid`.
    Shape: (*) → (*).
    Args: none.
    Raises: as `fnlearn.functional.sigmoid`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.sigmoid`.
    """
    return stateless(F.sigmoid)


def Tanh() -> Layer:
    """Hyperbolic tangent.

    Torch: `torch.nn.Tanh`.
    Shape: (*) → (*).
    Args: none.
    Raises: as `fnlearn.functional.tanh`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.tanh`.
    """
    return stateless(F.tanh)


def ReLU(inplace: bool = False) -> Layer:
    """Rectifier, max(0, x).

    Torch: `torch.nn.ReLU`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.relu`.
    Raises: as `fnlearn.functional.relu`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.relu`.
    """
    return stateless(F.relu, inplace=inplace)


def ReLU6(inplace: bool = False) -> Layer:
    """Rectifier with a ceiling, min(max(0, x), 6).

    Torch: `torch.nn.ReLU6`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.relu6`.
    Raises: as `fnlearn.functional.relu6`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.relu6`.
    """
    return stateless(F.relu6, inplace=inplace)


def Threshold(threshold: float, value: float, inplace: bool = False) -> Layer:
    """Keep x above a threshold, else a fixed value.

    Torch: `torch.nn.Threshold`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.threshold`.
    Raises: as `fnlearn.functional.threshold`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.threshold`.
    """
    return stateless(F.threshold, threshold=threshold, value=value, inplace=inplace)


def LeakyReLU(negative_slope: float = 0.01, inplace: bool = False) -> Layer:
    """Rectifier with a slope below zero.

    Torch: `torch.nn.LeakyReLU`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.leaky_relu`.
    Raises: as `fnlearn.functional.leaky_relu`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.leaky_relu`.
    """
    return stateless(F.leaky_relu, negative_slope=negative_slope, inplace=inplace)


def ELU(alpha: float = 1.0, inplace: bool = False) -> Layer:
    """Exponential linear unit.

    Torch: `torch.nn.ELU`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.elu`.
    Raises: as `fnlearn.functional.elu`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.elu`.
    """
    return stateless(F.elu, alpha=alpha, inplace=inplace)


def SELU(inplace: bool = False) -> Layer:
    """Self-normalising exponential linear unit.

    Torch: `torch.nn.SELU`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.selu`.
    Raises: as `fnlearn.functional.selu`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.selu`.
    """
    return stateless(F.selu, inplace=inplace)


def CELU(alpha: float = 1.0, inplace: bool = False) -> Layer:
    """Continuously differentiable exponential linear unit.

    Torch: `torch.nn.CELU`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.celu`.
    Raises: as `fnlearn.functional.celu`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.celu`.
    """
    return stateless(F.celu, alpha=alpha, inplace=inplace)


def GELU(approximate: str = "none") -> Layer:
    """Gaussian error linear unit, x · Φ(x).

    Torch: `torch.nn.GELU`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.gelu`.
    Raises: as `fnlearn.functional.gelu`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.gelu`.
    """
    return stateless(F.gelu, approximate=approximate)


def SiLU(inplace: bool = False) -> Layer:
    """Sigmoid linear unit, x · sigmoid(x).

    Torch: `torch.nn.SiLU`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.silu`.
    Raises: as `fnlearn.functional.silu`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.silu`.
    """
    return stateless(F.silu, inplace=inplace)


def Mish(inplace: bool = False) -> Layer:
    """Mish, x · tanh(softplus(x)).

    Torch: `torch.nn.Mish`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.mish`.
    Raises: as `fnlearn.functional.mish`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.mish`.
    """
    return stateless(F.mish, inplace=inplace)


def Hardsigmoid(inplace: bool = False) -> Layer:
    """Piecewise linear sigmoid.

    Torch: `torch.nn.Hardsigmoid`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.hardsigmoid`.
    Raises: as `fnlearn.functional.hardsigmoid`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.hardsigmoid`.
    """
    return stateless(F.hardsigmoid, inplace=inplace)


def Hardswish(inplace: bool = False) -> Layer:
    """Piecewise quadratic swish.

    Torch: `torch.nn.Hardswish`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.hardswish`.
    Raises: as `fnlearn.functional.hardswish`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.hardswish`.
    """
    return stateless(F.hardswish, inplace=inplace)


def LogSigmoid() -> Layer:
    """Logarithm of the sigmoid.

    Torch: `torch.nn.LogSigmoid`.
    Shape: (*) → (*).
    Args: none.
    Raises: as `fnlearn.functional.logsigmoid`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.logsigmoid`.
    """
    return stateless(F.logsigmoid)


def Softplus(beta: float = 1.0, threshold: float = 20.0) -> Layer:
    """Smooth rectifier, log(1 + exp(beta · x)) / beta.

    Torch: `torch.nn.Softplus`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.softplus`.
    Raises: as `fnlearn.functional.softplus`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.softplus`.
    """
    return stateless(F.softplus, beta=beta, threshold=threshold)


def Softsign() -> Layer:
    """Softsign, x / (1 + |x|).

    Torch: `torch.nn.Softsign`.
    Shape: (*) → (*).
    Args: none.
    Raises: as `fnlearn.functional.softsign`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.softsign`.
    """
    return stateless(F.softsign)


def Hardshrink(lambd: float = 0.5) -> Layer:
    """Zero inside [−lambd, lambd], x outside.

    Torch: `torch.nn.Hardshrink`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.hardshrink`.
    Raises: as `fnlearn.functional.hardshrink`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.hardshrink`.
    """
    return stateless(F.hardshrink, lambd=lambd)


def Softshrink(lambd: float = 0.5) -> Layer:
    """Zero inside [−lambd, lambd], x moved towards zero outside.

    Torch: `torch.nn.Softshrink`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.softshrink`.
    Raises: as `fnlearn.functional.softshrink`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.softshrink`.
    """
    return stateless(F.softshrink, lambd=lambd)


def Tanhshrink() -> Layer:
    """Tanhshrink, x − tanh(x).

    Torch: `torch.nn.Tanhshrink`.
    Shape: (*) → (*).
    Args: none.
    Raises: as `fnlearn.functional.tanhshrink`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.tanhshrink`.
    """
    return stateless(F.tanhshrink)


def GLU(dim: int = -1) -> Layer:
    """Gated linear unit, a · sigmoid(b) of the halves of a dimension.

    Torch: `torch.nn.GLU`.
    Shape: (*₁, 2·N, *₂) → (*₁, N, *₂).
    Args: as for `fnlearn.functional.glu`.
    Raises: as `fnlearn.functional.glu`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.glu`.
    """
    return stateless(F.glu, dim=dim)


def Hardtanh(
    min_val: float = -1.0,
    max_val: float = 1.0,
    inplace: bool = False,
    min_value: float | None = None,
    max_value: float | None = None,
) -> Layer:
    """Clamp to [min_val, max_val].

    Torch: `torch.nn.Hardtanh`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.hardtanh`. min_value, max_value: torch's names of old for the bounds.
    Raises: ValueError unless min_val is below max_val.
    Differs: no deprecation warning for min_value and max_value.
    Source: `fnlearn.functional.hardtanh`.
    """
    low = min_val if min_value is None else min_value
    high = max_val if max_value is None else max_value
    if low >= high:
        raise ValueError(f"min_val must be below max_val, got {low} and {high}")
    return stateless(F.hardtanh, min_val=low, max_val=high, inplace=inplace)


def PReLU(num_parameters: int = 1, init: float = 0.25, device: None = None, dtype: DTypeLike | None = None) -> Layer:
    """Leaky rectifier with a learnt slope, one for all channels or one for each.

    Torch: `torch.nn.PReLU`.
    Shape: (N, C, *) or (*) → as input; parameter weight (num_parameters).
    Args: num_parameters: 1 or the number of channels. init: the slopes at the start. device: None; JAX places arrays.
        dtype: of the parameters, float32 when left out.
    Raises: ValueError, when applied, when num_parameters doesn't fit the input.
    Differs: nothing.
    Source: `fnlearn.functional.prelu`.
    """

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        return F.prelu(input, **params), buffers

    return Layer(lambda key: ({"weight": initial.constant((num_parameters,), init, dtype=dtype)}, {}), apply)


def RReLU(lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> Layer:
    """Leaky rectifier whose slope is drawn from U(lower, upper) in training, and is their mean in evaluation.

    Torch: `torch.nn.RReLU`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.rrelu`.
    Raises: ValueError, when applied with train=True and no key.
    Differs: the slopes come from a JAX key, not from torch's generator.
    Source: `fnlearn.functional.rrelu`.
    """
    return stochastic(F.rrelu, lower=lower, upper=upper, inplace=inplace)


def Softmax(dim: int | None = None) -> Layer:
    """Exponentials that sum to 1 along a dimension.

    Torch: `torch.nn.Softmax`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.softmax`.
    Raises: as `fnlearn.functional.softmax`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.softmax`.
    """
    return stateless(F.softmax, dim=dim)


def Softmin(dim: int | None = None) -> Layer:
    """Softmax of −x.

    Torch: `torch.nn.Softmin`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.softmin`.
    Raises: as `fnlearn.functional.softmin`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.softmin`.
    """
    return stateless(F.softmin, dim=dim)


def LogSoftmax(dim: int | None = None) -> Layer:
    """Logarithm of the softmax.

    Torch: `torch.nn.LogSoftmax`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.log_softmax`.
    Raises: as `fnlearn.functional.log_softmax`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.log_softmax`.
    """
    return stateless(F.log_softmax, dim=dim)


def Softmax2d() -> Layer:
    """Softmax over the channels of an image.

    Torch: `torch.nn.Softmax2d`.
    Shape: (N, C, H, W) → (N, C, H, W), or (C, H, W) → (C, H, W).
    Args: none.
    Raises: ValueError, when applied, when the input has neither 3 nor 4 dimensions.
    Differs: nothing.
    Source: `fnlearn.functional.softmax`.
    """

    def over_channels(input: Any) -> Any:
        if input.ndim not in (3, 4):
            raise ValueError(f"input must have shape (N, C, H, W) or (C, H, W), got {input.shape}")
        return F.softmax(input, -3)

    return stateless(over_channels)
