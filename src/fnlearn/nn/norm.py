"""Normalisation layers: scale and shift are learnt, running statistics are buffers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn.functional import check
from fnlearn.functional.typing import DTypeLike
from fnlearn.nn import init as initial
from fnlearn.nn.layer import Layer, Tree, stateless


def BatchNorm1d(
    num_features: int,
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel with mean 0 and variance 1 over a batch of vectors or sequences.

    Torch: `torch.nn.BatchNorm1d`.
    Shape: (N, C) or (N, C, L) → as input; parameters weight and bias (C), buffers running_mean and running_var (C),
        num_batches_tracked ().
    Args: num_features: C. eps: added to the variance. momentum: the share of a batch in the running statistics; None
        makes them the mean of all batches. affine: whether there are parameters. track_running_stats: whether there
        are buffers; without them a batch's own statistics are used in evaluation too. device: None; JAX places arrays.
        dtype: of parameters and statistics, float32 when left out. bias: whether there is a shift.
    Raises: ValueError, when applied, when the input doesn't fit, or has one number a channel in training.
    Differs: num_batches_tracked is int64 only where JAX has it.
    Source: `fnlearn.functional.batch_norm`.
    """
    return batch_layer((2, 3), num_features, eps, momentum, affine, track_running_stats, dtype, bias)


def BatchNorm2d(
    num_features: int,
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel with mean 0 and variance 1 over a batch of images.

    Torch: `torch.nn.BatchNorm2d`.
    Shape: (N, C, H, W) → as input; parameters and buffers as for `BatchNorm1d`.
    Args: as for `BatchNorm1d`.
    Raises: as `BatchNorm1d`.
    Differs: num_batches_tracked is int64 only where JAX has it.
    Source: `fnlearn.functional.batch_norm`.
    """
    return batch_layer((4,), num_features, eps, momentum, affine, track_running_stats, dtype, bias)


def BatchNorm3d(
    num_features: int,
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel with mean 0 and variance 1 over a batch of volumes.

    Torch: `torch.nn.BatchNorm3d`.
    Shape: (N, C, D, H, W) → as input; parameters and buffers as for `BatchNorm1d`.
    Args: as for `BatchNorm1d`.
    Raises: as `BatchNorm1d`.
    Differs: num_batches_tracked is int64 only where JAX has it.
    Source: `fnlearn.functional.batch_norm`.
    """
    return batch_layer((5,), num_features, eps, momentum, affine, track_running_stats, dtype, bias)


def SyncBatchNorm(
    num_features: int,
    eps: float = 1e-5,
    momentum: float | None = 0.1,
    affine: bool = True,
    track_running_stats: bool = True,
    process_group: None = None,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel with mean 0 and variance 1 over a batch that may be spread over many devices.

    Torch: `torch.nn.SyncBatchNorm`.
    Shape: (N, C, *) → as input; parameters and buffers as for `BatchNorm1d`.
    Args: as for `BatchNorm1d`. process_group: None; the devices that hold the batch take part.
    Raises: as `BatchNorm1d`, and ValueError when a process_group is given.
    Differs: under jit every array is whole, however it is sharded, so that `BatchNorm1d` to `BatchNorm3d` are
        synchronised too; inside of `jax.shard_map` each device sees its part alone, and so does this layer.
    Source: `fnlearn.functional.batch_norm`.
    """
    if process_group is not None:
        raise ValueError(f"process_group must be None, got {process_group!r}; shard the batch over a mesh instead")
    return batch_layer(None, num_features, eps, momentum, affine, track_running_stats, dtype, bias)


def InstanceNorm1d(
    num_features: int,
    eps: float = 1e-5,
    momentum: float = 0.1,
    affine: bool = False,
    track_running_stats: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel of each sequence with mean 0 and variance 1.

    Torch: `torch.nn.InstanceNorm1d`.
    Shape: (N, C, L) or (C, L) → as input; parameters weight and bias (C) with affine, buffers running_mean and
        running_var (C) and num_batches_tracked () with track_running_stats.
    Args: num_features: C. eps: added to the variance. momentum: the share of a batch in the running statistics.
        affine: whether there are parameters. track_running_stats: whether there are buffers, which evaluation then
        uses. device: None; JAX places arrays. dtype: of parameters and statistics, float32 when left out. bias:
        whether there is a shift.
    Raises: ValueError, when applied, when the input doesn't fit, or has one number a channel.
    Differs: num_batches_tracked is int64 only where JAX has it (and is never counted up, as in torch); no warning when
        num_features isn't used and wrong.
    Source: `fnlearn.functional.instance_norm`.
    """
    return instance_layer(1, num_features, eps, momentum, affine, track_running_stats, dtype, bias)


def InstanceNorm2d(
    num_features: int,
    eps: float = 1e-5,
    momentum: float = 0.1,
    affine: bool = False,
    track_running_stats: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel of each image with mean 0 and variance 1.

    Torch: `torch.nn.InstanceNorm2d`.
    Shape: (N, C, H, W) or (C, H, W) → as input; parameters and buffers as for `InstanceNorm1d`.
    Args: as for `InstanceNorm1d`.
    Raises: as `InstanceNorm1d`.
    Differs: as `InstanceNorm1d`.
    Source: `fnlearn.functional.instance_norm`.
    """
    return instance_layer(2, num_features, eps, momentum, affine, track_running_stats, dtype, bias)


def InstanceNorm3d(
    num_features: int,
    eps: float = 1e-5,
    momentum: float = 0.1,
    affine: bool = False,
    track_running_stats: bool = False,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each channel of each volume with mean 0 and variance 1.

    Torch: `torch.nn.InstanceNorm3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → as input; parameters and buffers as for `InstanceNorm1d`.
    Args: as for `InstanceNorm1d`.
    Raises: as `InstanceNorm1d`.
    Differs: as `InstanceNorm1d`.
    Source: `fnlearn.functional.instance_norm`.
    """
    return instance_layer(3, num_features, eps, momentum, affine, track_running_stats, dtype, bias)


def GroupNorm(
    num_groups: int,
    num_channels: int,
    eps: float = 1e-5,
    affine: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
    *,
    bias: bool = True,
) -> Layer:
    """Each group of channels of each sample with mean 0 and variance 1.

    Torch: `torch.nn.GroupNorm`.
    Shape: (N, C, *) → as input; parameters weight and bias (C).
    Args: num_groups: a divisor of num_channels. num_channels: C. eps: added to the variance. affine: whether there are
        parameters. device: None; JAX places arrays. dtype: of the parameters, float32 when left out. bias: whether
        there is a shift.
    Raises: ValueError when num_groups doesn't divide num_channels, and, when applied, when the input doesn't fit.
    Differs: nothing.
    Source: `fnlearn.functional.group_norm`.
    """
    if num_groups <= 0 or num_channels % num_groups:
        raise ValueError(f"num_groups must divide num_channels, got {num_groups} and {num_channels}")

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        return F.group_norm(input, num_groups, **params, eps=eps), buffers

    return Layer(lambda key: (_scale_and_shift((num_channels,), affine, bias, dtype), {}), apply)


def LayerNorm(
    normalized_shape: int | Sequence[int],
    eps: float = 1e-5,
    elementwise_affine: bool = True,
    bias: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """The last dimensions with mean 0 and variance 1.

    Torch: `torch.nn.LayerNorm`.
    Shape: (*, normalized_shape) → as input; parameters weight and bias of normalized_shape.
    Args: normalized_shape: the sizes of the last dimensions, or of the last one. eps: added to the variance.
        elementwise_affine: whether there are parameters. bias: whether there is a shift. device: None; JAX places
        arrays. dtype: of the parameters, float32 when left out.
    Raises: ValueError, when applied, when the input doesn't fit.
    Differs: nothing.
    Source: `fnlearn.functional.layer_norm`.
    """
    shape = _shape(normalized_shape)

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        return F.layer_norm(input, shape, **params, eps=eps), buffers

    return Layer(lambda key: (_scale_and_shift(shape, elementwise_affine, bias, dtype), {}), apply)


def RMSNorm(
    normalized_shape: int | Sequence[int],
    eps: float | None = None,
    elementwise_affine: bool = True,
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """The last dimensions divided by their root mean square.

    Torch: `torch.nn.RMSNorm`.
    Shape: (*, normalized_shape) → as input; parameter weight of normalized_shape.
    Args: normalized_shape: the sizes of the last dimensions, or of the last one. eps: as for
        `fnlearn.functional.rms_norm`. elementwise_affine: whether there is a parameter. device: None; JAX places
        arrays. dtype: of the parameter, float32 when left out.
    Raises: ValueError, when applied, when the input doesn't fit.
    Differs: nothing.
    Source: `fnlearn.functional.rms_norm`.
    """
    shape = _shape(normalized_shape)

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        return F.rms_norm(input, shape, **params, eps=eps), buffers

    return Layer(lambda key: (_scale_and_shift(shape, elementwise_affine, False, dtype), {}), apply)


def LocalResponseNorm(size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Layer:
    """Each number divided by its neighbours in the channels beside it.

    Torch: `torch.nn.LocalResponseNorm`.
    Shape: (N, C, *) → (N, C, *).
    Args: as for `fnlearn.functional.local_response_norm`.
    Raises: as `fnlearn.functional.local_response_norm`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.local_response_norm`.
    """
    return stateless(F.local_response_norm, size=size, alpha=alpha, beta=beta, k=k)


def batch_layer(
    ranks: tuple[int, ...] | None,
    num_features: int | None,
    eps: float,
    momentum: float | None,
    affine: bool,
    track_running_stats: bool,
    dtype: DTypeLike | None,
    bias: bool,
) -> Layer:
    """A batch normalisation for inputs of so many dimensions, or any; without num_features `init` needs an example."""

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        x = check.floating("input", input)
        if x.ndim < 2 or (ranks is not None and x.ndim not in ranks):
            raise ValueError(f"input must have {_listed(ranks)} dimensions, got shape {x.shape}")
        if not buffers:
            return F.batch_norm(x, None, None, **params, training=True, momentum=0.0, eps=eps), buffers
        return F.batch_norm_tracked(x, buffers, **params, training=train, momentum=momentum, eps=eps)

    channels = partial(_channels, num_features, ranks, 1)
    return Layer(_initialiser(channels, affine, track_running_stats, dtype, bias), apply)


def instance_layer(
    spatial: int,
    num_features: int | None,
    eps: float,
    momentum: float | None,
    affine: bool,
    track_running_stats: bool,
    dtype: DTypeLike | None,
    bias: bool,
) -> Layer:
    """An instance normalisation over so many spatial dimensions; without num_features `init` needs an example."""

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        x = check.floating("input", input)
        if x.ndim not in (spatial + 1, spatial + 2):
            raise ValueError(f"input must have {_listed((spatial + 1, spatial + 2))} dimensions, got shape {x.shape}")
        running = buffers.get("running_mean"), buffers.get("running_var")
        own = train or running[0] is None
        out, mean, var = F.instance_norm_update(
            x if x.ndim == spatial + 2 else x[None], *running, **params, use_input_stats=own,
            momentum=momentum or 0.0, eps=eps,
        )  # fmt: skip
        after = buffers | {"running_mean": mean, "running_var": var} if train and buffers else buffers
        return out if x.ndim == spatial + 2 else out.squeeze(0), after

    channels = partial(_channels, num_features, (spatial + 1, spatial + 2), -1 - spatial)
    return Layer(_initialiser(channels, affine, track_running_stats, dtype, bias), apply)


def _initialiser(
    channels: Callable[[Any], int], affine: bool, track_running_stats: bool, dtype: DTypeLike | None, bias: bool
) -> Any:
    def init(key: jax.Array, input: Any = None) -> tuple[Tree, Tree]:
        shape = (channels(input),)
        buffers = {
            "running_mean": initial.constant(shape, 0, dtype=dtype),
            "running_var": initial.constant(shape, 1, dtype=dtype),
            "num_batches_tracked": jnp.zeros((), jax.dtypes.canonicalize_dtype(jnp.int64)),
        }
        return _scale_and_shift(shape, affine, bias, dtype), buffers if track_running_stats else {}

    return init


def _channels(known: int | None, ranks: tuple[int, ...] | None, axis: int, input: Any) -> int:
    """How many there are: as told, or else as an example has."""
    if known is not None:
        return known
    if input is None:
        raise ValueError(
            "a lazy layer takes its number of channels from an example: call init(key, input), or use the plain layer, "
            "which is told num_features"
        )
    if ranks is not None and len(input.shape) not in ranks:
        raise ValueError(f"input must have {_listed(ranks)} dimensions, got shape {tuple(input.shape)}")
    return int(input.shape[axis])


def _scale_and_shift(shape: tuple[int, ...], affine: bool, bias: bool, dtype: DTypeLike | None) -> Tree:
    shift = {"bias": initial.constant(shape, 0, dtype=dtype)} if bias else {}
    return {"weight": initial.constant(shape, 1, dtype=dtype), **shift} if affine else {}


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)


def _listed(ranks: tuple[int, ...] | None) -> str:
    return "at least 2" if ranks is None else " or ".join(map(str, ranks))
