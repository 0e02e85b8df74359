"""Linear layers."""

import math
from typing import Any

import jax

from fnlearn import functional as F
from fnlearn import random
from fnlearn.functional.typing import DTypeLike
from fnlearn.nn import init as initial
from fnlearn.nn.layer import Layer, Tree, stateless


def Identity(*args: Any, **kwargs: Any) -> Layer:
    """A layer that returns its input.

    Torch: `torch.nn.Identity`.
    Shape: (*) → (*).
    Args: any, and all are ignored.
    Raises: nothing.
    Differs: nothing.
    Source: `torch.nn.Identity`.
    """
    return stateless(lambda input: input)


def Linear(
    in_features: int, out_features: int, bias: bool = True, device: None = None, dtype: DTypeLike | None = None
) -> Layer:
    """Affine map of the last dimension, x · Aᵀ + b.

    Torch: `torch.nn.Linear`.
    Shape: (*, in_features) → (*, out_features); parameters weight (out_features, in_features), bias (out_features).
    Args: in_features, out_features: sizes of a sample. bias: whether to add b. device: None; JAX places arrays.
        dtype: of the parameters, float32 when left out.
    Raises: ValueError when a size is negative, and, when applied, when the input doesn't fit.
    Differs: the initial numbers come from a JAX key; their distribution, U(−1/√in, 1/√in), is torch's.
    Source: `torch.nn.Linear.reset_parameters`.
    """
    if in_features < 0 or out_features < 0:
        raise ValueError(f"sizes must not be negative, got in_features={in_features}, out_features={out_features}")

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        shape = (out_features, in_features)
        params = {"weight": initial.kaiming_uniform(random.named(key, "weight"), shape, math.sqrt(5), dtype=dtype)}
        if bias:
            bound = 1 / math.sqrt(in_features) if in_features else 0.0
            params["bias"] = initial.uniform(random.named(key, "bias"), shape[:1], -bound, bound, dtype=dtype)
        return params, {}

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        return F.linear(input, **params), buffers

    return Layer(init, apply)


def Bilinear(
    in1_features: int,
    in2_features: int,
    out_features: int,
    bias: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Bilinear form of two inputs, x₁ᵀ · A · x₂ + b.

    Torch: `torch.nn.Bilinear`.
    Shape: (*, in1_features), (*, in2_features) → (*, out_features); parameters weight (out_features, in1_features,
        in2_features), bias (out_features).
    Args: in1_features, in2_features, out_features: sizes of a sample. bias: whether to add b. device: None; JAX places
        arrays. dtype: of the parameters, float32 when left out.
    Raises: ValueError when in1_features is not positive, and, when applied, when the inputs don't fit.
    Differs: the initial numbers come from a JAX key; their distribution, U(−1/√in1, 1/√in1), is torch's.
    Source: `torch.nn.Bilinear.reset_parameters`.
    """
    if in1_features < 1 or in2_features < 0 or out_features < 0:
        raise ValueError(f"in1_features must be positive, got {in1_features} ({in2_features} and {out_features})")
    bound = 1 / math.sqrt(in1_features)

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        shapes = {"weight": (out_features, in1_features, in2_features), "bias": (out_features,)}
        names = list(shapes) if bias else ["weight"]
        return {n: initial.uniform(random.named(key, n), shapes[n], -bound, bound, dtype=dtype) for n in names}, {}

    def apply(
        params: Tree, buffers: Tree, input1: Any, input2: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        return F.bilinear(input1, input2, **params), buffers

    return Layer(init, apply)
