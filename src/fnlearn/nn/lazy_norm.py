"""Normalisation layers that take their number of channels from an example."""

from fnlearn.functional.typing import DTypeLike
from fnlearn.nn.layer import Layer
from fnlearn.nn.norm import batch_layer, instance_layer


def LazyBatchNorm1d(
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel with mean 0 and variance 1 over a batch of vectors or sequences, however many there are.

    Torch: `torch.nn.LazyBatchNorm1d`.
    Shape: (N, C) or (N, C, L) → as input; parameters and buffers as for `BatchNorm1d`.
    Args: as for `BatchNorm1d`, less num_features: `init(key, input)` takes it from an example input (or its
        shape struct).
    Raises: as `BatchNorm1d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call.
    Source: `torch.nn.LazyBatchNorm1d`.
    """
    return batch_layer((2, 3), None, eps, momentum, affine, track_running_stats, dtype, bias)


def LazyBatchNorm2d(
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel with mean 0 and variance 1 over a batch of images, however many there are.

    Torch: `torch.nn.LazyBatchNorm2d`.
    Shape: (N, C, H, W) → as input; parameters and buffers as for `BatchNorm2d`.
    Args: as for `BatchNorm2d`, less num_features: `init(key, input)` takes it from an example input (or its
        shape struct).
    Raises: as `BatchNorm2d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call.
    Source: `torch.nn.LazyBatchNorm2d`.
    """
    return batch_layer((4,), None, eps, momentum, affine, track_running_stats, dtype, bias)


def LazyBatchNorm3d(
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel with mean 0 and variance 1 over a batch of volumes, however many there are.

    Torch: `torch.nn.LazyBatchNorm3d`.
    Shape: (N, C, D, H, W) → as input; parameters and buffers as for `BatchNorm3d`.
    Args: as for `BatchNorm3d`, less num_features: `init(key, input)` takes it from an example input (or its
        shape struct).
    Raises: as `BatchNorm3d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call.
    Source: `torch.nn.LazyBatchNorm3d`.
    """
    return batch_layer((5,), None, eps, momentum, affine, track_running_stats, dtype, bias)


def LazyInstanceNorm1d(
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel of each sequence with mean 0 and variance 1, however many there are.

    Torch: `torch.nn.LazyInstanceNorm1d`.
    Shape: (N, C, L) or (C, L) → as input; parameters and buffers as for `InstanceNorm1d`.
    Args: as for `InstanceNorm1d`, less num_features: `init(key, input)` takes it from an example input (or its
        shape struct).
    Raises: as `InstanceNorm1d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call; C is the first dimension of an
        example without a batch, where torch takes the second.
    Source: `torch.nn.LazyInstanceNorm1d`.
    """
    return instance_layer(1, None, eps, momentum, affine, track_running_stats, dtype, bias)


def LazyInstanceNorm2d(
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel of each image with mean 0 and variance 1, however many there are.

    Torch: `torch.nn.LazyInstanceNorm2d`.
    Shape: (N, C, H, W) or (C, H, W) → as input; parameters and buffers as for `InstanceNorm2d`.
    Args: as for `InstanceNorm2d`, less num_features: `init(key, input)` takes it from an example input (or its
        shape struct).
    Raises: as `InstanceNorm2d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call; C is the first dimension of an
        example without a batch, where torch takes the second.
    Source: `torch.nn.LazyInstanceNorm2d`.
    """
    return instance_layer(2, None, eps, momentum, affine, track_running_stats, dtype, bias)


def LazyInstanceNorm3d(
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel of each volume with mean 0 and variance 1, however many there are.

    Torch: `torch.nn.LazyInstanceNorm3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → as input; parameters and buffers as for `InstanceNorm3d`.
    Args: as for `InstanceNorm3d`, less num_features: `init(key, input)` takes it from an example input (or its
        shape struct).
    Raises: as `InstanceNorm3d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call; C is the first dimension of an
        example without a batch, where torch takes the second.
    Source: `torch.nn.LazyInstanceNorm3d`.
    """
    return instance_layer(3, None, eps, momentum, affine, track_running_stats, dtype, bias)
