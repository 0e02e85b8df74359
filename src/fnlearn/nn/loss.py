"""Losses as layers: the functions of the same purpose in `fnlearn.functional`, with their options fixed."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn import random
from fnlearn.functional.reduction import effective
from fnlearn.functional.typing import ArrayLike, DTypeLike
from fnlearn.nn.layer import Layer, Tree
from fnlearn.nn.linear import Linear


def criterion(
    function: Callable[..., Any], weights: dict[str, ArrayLike | None] | None = None, **options: Any
) -> Layer:
    """A layer without parameters whose weights, where given, are buffers, as they are in torch's `state_dict`."""

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        return {}, {name: jnp.asarray(weight) for name, weight in (weights or {}).items() if weight is not None}

    def apply(
        params: Tree, buffers: Tree, *inputs: Any, train: bool = False, key: jax.Array | None = None, **named: Any
    ) -> tuple[Any, Tree]:
        return function(*inputs, **named, **buffers, **options), buffers

    return Layer(init, apply)


def L1Loss(
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Absolute error, |x − y|.

    Torch: `torch.nn.L1Loss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.l1_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.l1_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.l1_loss`.
    """
    return criterion(F.l1_loss, reduction=effective(size_average, reduce, reduction))


def MSELoss(
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Squared error, (x − y)².

    Torch: `torch.nn.MSELoss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.mse_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.mse_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.mse_loss`.
    """
    return criterion(F.mse_loss, reduction=effective(size_average, reduce, reduction))


def SmoothL1Loss(
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Layer:
    """Squared error below beta, absolute error from there on.

    Torch: `torch.nn.SmoothL1Loss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.smooth_l1_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.smooth_l1_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.smooth_l1_loss`.
    """
    return criterion(F.smooth_l1_loss, reduction=effective(size_average, reduce, reduction), beta=beta)


def HuberLoss(
    reduction: str = "mean",
    delta: float = 1.0,
) -> Layer:
    """Squared error up to delta, linear from there on.

    Torch: `torch.nn.HuberLoss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.huber_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.huber_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.huber_loss`.
    """
    return criterion(F.huber_loss, reduction=reduction, delta=delta)


def BCELoss(
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Binary cross-entropy of probabilities.

    Torch: `torch.nn.BCELoss`.
    Shape: input and target (*) → () or, unreduced, (*); buffer weight, broadcast to input, when given.
    Args: as for `fnlearn.functional.binary_cross_entropy`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.binary_cross_entropy`.
    Differs: nothing.
    Source: `fnlearn.functional.binary_cross_entropy`.
    """
    return criterion(
        F.binary_cross_entropy,
        {"weight": weight},
        reduction=effective(size_average, reduce, reduction),
    )


def BCEWithLogitsLoss(
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
) -> Layer:
    """Binary cross-entropy of logits.

    Torch: `torch.nn.BCEWithLogitsLoss`.
    Shape: input and target (*) → () or, unreduced, (*); buffers weight and pos_weight, broadcast to input, when given.
    Args: as for `fnlearn.functional.binary_cross_entropy_with_logits`.
    Raises: ValueError for an unknown reduction, and, when applied, as
        `fnlearn.functional.binary_cross_entropy_with_logits`.
    Differs: nothing.
    Source: `fnlearn.functional.binary_cross_entropy_with_logits`.
    """
    return criterion(
        F.binary_cross_entropy_with_logits,
        {"weight": weight, "pos_weight": pos_weight},
        reduction=effective(size_average, reduce, reduction),
    )


def NLLLoss(
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Negative log-likelihood of the target classes.

    Torch: `torch.nn.NLLLoss`.
    Shape: input (C), (N, C) or (N, C, d₁, …), target without C → () or, unreduced, target's; buffer weight (C),
        when given.
    Args: as for `fnlearn.functional.nll_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.nll_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.nll_loss`.
    """
    return criterion(
        F.nll_loss,
        {"weight": weight},
        ignore_index=ignore_index,
        reduction=effective(size_average, reduce, reduction),
    )


def NLLLoss2d(
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Negative log-likelihood of the target classes of images; `NLLLoss` under its name of old.

    Torch: `torch.nn.NLLLoss2d`.
    Shape: as for `NLLLoss`.
    Args: as for `fnlearn.functional.nll_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.nll_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.nll_loss`.
    """
    return NLLLoss(weight, size_average, ignore_index, reduce, reduction)


def CrossEntropyLoss(
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Layer:
    """Cross-entropy of logits against classes or against probabilities.

    Torch: `torch.nn.CrossEntropyLoss`.
    Shape: input (C), (N, C) or (N, C, d₁, …), target without C, or input's shape → () or, unreduced, the former; buffer
        weight (C), when given.
    Args: as for `fnlearn.functional.cross_entropy`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.cross_entropy`.
    Differs: nothing.
    Source: `fnlearn.functional.cross_entropy`.
    """
    return criterion(
        F.cross_entropy,
        {"weight": weight},
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=effective(size_average, reduce, reduction),
    )


def KLDivLoss(
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Layer:
    """Kullback–Leibler divergence of log-probabilities from a target.

    Torch: `torch.nn.KLDivLoss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.kl_div`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.kl_div`.
    Differs: nothing.
    Source: `fnlearn.functional.kl_div`.
    """
    return criterion(
        F.kl_div,
        reduction=effective(size_average, reduce, reduction, ("batchmean",)),
        log_target=log_target,
    )


def PoissonNLLLoss(
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Layer:
    """Negative log-likelihood of counts under a Poisson distribution.

    Torch: `torch.nn.PoissonNLLLoss`.
    Shape: input and target (*) → () or, unreduced, (*).
    Args: as for `fnlearn.functional.poisson_nll_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.poisson_nll_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.poisson_nll_loss`.
    """
    return criterion(
        F.poisson_nll_loss,
        log_input=log_input,
        full=full,
        eps=eps,
        reduction=effective(size_average, reduce, reduction),
    )


def GaussianNLLLoss(
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Layer:
    """Negative log-likelihood of samples under a normal distribution.

    Torch: `torch.nn.GaussianNLLLoss`.
    Shape: input, target and var as for `fnlearn.functional.gaussian_nll_loss` → () or, unreduced, (*).
    Args: as for `fnlearn.functional.gaussian_nll_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.gaussian_nll_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.gaussian_nll_loss`.
    """
    return criterion(F.gaussian_nll_loss, full=full, eps=eps, reduction=reduction)


def CTCLoss(
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Layer:
    """Negative log-likelihood of labels whose alignment with the time steps is unknown.

    Torch: `torch.nn.CTCLoss`.
    Shape: log_probs (T, N, C) or (T, C), targets and lengths as for `fnlearn.functional.ctc_loss` → () or, unreduced,
        (N).
    Args: as for `fnlearn.functional.ctc_loss`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.ctc_loss`.
    Differs: nothing.
    Source: `fnlearn.functional.ctc_loss`.
    """
    return criterion(F.ctc_loss, blank=blank, reduction=reduction, zero_infinity=zero_infinity)


def LinearCrossEntropyLoss(
    in_features: int,
    num_classes: int,
    *,
    out_features: tuple[int, ...] = (),
    bias: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
    reduction: str = "mean",
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Layer:
    """Cross-entropy of the logits of a linear map that the loss holds itself.

    Torch: `torch.nn.LinearCrossEntropyLoss`.
    Shape: input (in_features) or (N, in_features), target as for `fnlearn.functional.linear_cross_entropy` → () or,
        unreduced, that of a target of classes; parameters linear.weight (num_classes · Π out_features, in_features) and
        linear.bias; buffer weight (num_classes), when given.
    Args: in_features, num_classes: sizes. out_features: the loss's further dimensions d₁, …. bias, device, dtype: as
        for `Linear`. reduction, weight, ignore_index, label_smoothing, options: as for
        `fnlearn.functional.linear_cross_entropy`.
    Raises: ValueError for an unknown reduction, and, when applied, as `fnlearn.functional.linear_cross_entropy`.
    Differs: the initial numbers come from a JAX key; their distribution is torch's.
    Source: `torch.nn.LinearCrossEntropyLoss`.
    """
    shape = (num_classes, *out_features)
    linear = Linear(in_features, math.prod(shape), bias, device, dtype)

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        params, _ = linear.init(random.named(key, "linear"))
        return {"linear": params}, {} if weight is None else {"weight": jnp.asarray(weight)}

    def apply(
        params: Tree, buffers: Tree, input: Any, target: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        own = params["linear"]
        loss = F.linear_cross_entropy(
            input,
            own["weight"].reshape(*shape, in_features),
            target,
            linear_bias=own["bias"].reshape(shape) if bias else None,
            weight=buffers.get("weight"),
            reduction=reduction,
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            options=options,
        )
        return loss, buffers

    return Layer(init, apply)
