"""Dropout layers: the functions of the same purpose in `fnlearn.functional`, which draw in training."""

from collections.abc import Callable
from typing import Any

from fnlearn import functional as F
from fnlearn.nn.layer import Layer, stochastic


def Dropout(p: float = 0.5, inplace: bool = False) -> Layer:
    """Zero each number with probability p in training, and divide the others by 1 − p.

    Torch: `torch.nn.Dropout`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.dropout`.
    Raises: ValueError when p is out of range, and, when applied with train=True, without a key.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: `fnlearn.functional.dropout`.
    """
    return _layer(F.dropout, p, inplace)


def Dropout1d(p: float = 0.5, inplace: bool = False) -> Layer:
    """Zero whole channels of sequences with probability p in training, and divide the others by 1 − p.

    Torch: `torch.nn.Dropout1d`.
    Shape: (N, C, L) or (C, L) → as input.
    Args: as for `fnlearn.functional.dropout1d`.
    Raises: ValueError when p is out of range, and, when applied with train=True, without a key.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: `fnlearn.functional.dropout1d`.
    """
    return _layer(F.dropout1d, p, inplace)


def Dropout2d(p: float = 0.5, inplace: bool = False) -> Layer:
    """Zero whole channels of images with probability p in training, and divide the others by 1 − p.

    Torch: `torch.nn.Dropout2d`.
    Shape: (N, C, H, W) or (N, C, L) → as input.
    Args: as for `fnlearn.functional.dropout2d`.
    Raises: ValueError when p is out of range, and, when applied with train=True, without a key.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: `fnlearn.functional.dropout2d`.
    """
    return _layer(F.dropout2d, p, inplace)


def Dropout3d(p: float = 0.5, inplace: bool = False) -> Layer:
    """Zero whole channels of volumes with probability p in training, and divide the others by 1 − p.

    Torch: `torch.nn.Dropout3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → as input.
    Args: as for `fnlearn.functional.dropout3d`.
    Raises: ValueError when p is out of range, and, when applied with train=True, without a key.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: `fnlearn.functional.dropout3d`.
    """
    return _layer(F.dropout3d, p, inplace)


def AlphaDropout(p: float = 0.5, inplace: bool = False) -> Layer:
    """Set each number with probability p to selu's lower limit in training, then restore mean 0 and variance 1.

    Torch: `torch.nn.AlphaDropout`.
    Shape: (*) → (*).
    Args: as for `fnlearn.functional.alpha_dropout`.
    Raises: ValueError when p is out of range, and, when applied with train=True, without a key.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: `fnlearn.functional.alpha_dropout`.
    """
    return _layer(F.alpha_dropout, p, inplace)


def FeatureAlphaDropout(p: float = 0.5, inplace: bool = False) -> Layer:
    """Set whole channels with probability p to selu's lower limit in training, then restore mean 0 and variance 1.

    Torch: `torch.nn.FeatureAlphaDropout`.
    Shape: (N, C, *) → (N, C, *).
    Args: as for `fnlearn.functional.feature_alpha_dropout`.
    Raises: ValueError when p is out of range, and, when applied with train=True, without a key.
    Differs: only a `TorchGenerator` as key gives torch's mask.
    Source: `fnlearn.functional.feature_alpha_dropout`.
    """
    return _layer(F.feature_alpha_dropout, p, inplace)


def _layer(function: Callable[..., Any], p: float, inplace: bool) -> Layer:
    if not 0 <= p <= 1:
        raise ValueError(f"p must be a probability between 0 and 1, got {p}")
    return stochastic(function, p=p, inplace=inplace)
