"""Convolutions and their transposes, in torch's layout: input (N, C, *), weight (out, in / groups, *)."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.conv_lowering import convolve, transposed
from fnlearn.functional.conv_window import Window
from fnlearn.functional.typing import ArrayLike

Ints = int | Sequence[int]


def conv1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> jax.Array:
    """Convolution along one dimension: each output is a weighted sum over channels and a window of the input.

    Torch: `torch.nn.functional.conv1d`.
    Shape: input (N, in, L) or (in, L), weight (out, in / groups, K), bias (out) → (N, out, L') or (out, L'), where
        L' = ⌊(L + 2 · padding − dilation · (K − 1) − 1) / stride⌋ + 1.
    Args: input, weight, bias: numbers of one dtype. stride: steps between windows. padding: zeros at both ends; "valid"
        for none, "same" for as many as keep the length, an odd one at the end. dilation: steps between the elements of
        a window. groups: into how many independent convolutions the channels are split.
    Raises: ValueError when shapes or options don't fit, among them padding="same" with a stride; TypeError when dtypes
        differ.
    Differs: nothing.
    Source: ATen `Convolution.cpp`.
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> jax.Array:
    """Convolution of images.

    Torch: `torch.nn.functional.conv2d`.
    Shape: input (N, in, H, W) or (in, H, W), weight (out, in / groups, K₁, K₂), bias (out) → (N, out, H', W') or
        (out, H', W'), each size as for `conv1d`.
    Args: input, weight, bias, stride, padding, dilation, groups: as for `conv1d`, one number or one a dimension.
    Raises: as `conv1d`.
    Differs: nothing.
    Source: ATen `Convolution.cpp`.
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> jax.Array:
    """Convolution of volumes.

    Torch: `torch.nn.functional.conv3d`.
    Shape: input (N, in, D, H, W) or (in, D, H, W), weight (out, in / groups, K₁, K₂, K₃), bias (out) →
        (N, out, D', H', W') or (out, D', H', W'), each size as for `conv1d`.
    Args: input, weight, bias, stride, padding, dilation, groups: as for `conv1d`, one number or one a dimension.
    Raises: as `conv1d`.
    Differs: nothing.
    Source: ATen `Convolution.cpp`.
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> jax.Array:
    """Transposed convolution along one dimension: the gradient of `conv1d` with respect to its input.

    Torch: `torch.nn.functional.conv_transpose1d`.
    Shape: input (N, in, L) or (in, L), weight (in, out / groups, K), bias (out) → (N, out, L') or (out, L'), where
        L' = (L − 1) · stride − 2 · padding + dilation · (K − 1) + output_padding + 1.
    Args: input, weight, bias: numbers of one dtype. stride: steps between the outputs of two inputs. padding: how many
        outputs are cut off at both ends. output_padding: how many are added at the end, below stride or dilation.
        groups: into how many independent convolutions the channels are split. dilation: steps between the outputs of
        one input.
    Raises: ValueError when shapes or options don't fit; TypeError when dtypes differ.
    Differs: nothing.
    Source: ATen `Convolution.cpp`.
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> jax.Array:
    """Transposed convolution of images: the gradient of `conv2d` with respect to its input.

    Torch: `torch.nn.functional.conv_transpose2d`.
    Shape: input (N, in, H, W) or (in, H, W), weight (in, out / groups, K₁, K₂), bias (out) → (N, out, H', W') or
        (out, H', W'), each size as for `conv_transpose1d`.
    Args: input, weight, bias, stride, padding, output_padding, groups, dilation: as for `conv_transpose1d`, one number
        or one a dimension.
    Raises: as `conv_transpose1d`.
    Differs: nothing.
    Source: ATen `Convolution.cpp`.
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> jax.Array:
    """Transposed convolution of volumes: the gradient of `conv3d` with respect to its input.

    Torch: `torch.nn.functional.conv_transpose3d`.
    Shape: input (N, in, D, H, W) or (in, D, H, W), weight (in, out / groups, K₁, K₂, K₃), bias (out) →
        (N, out, D', H', W') or (out, D', H', W'), each size as for `conv_transpose1d`.
    Args: input, weight, bias, stride, padding, output_padding, groups, dilation: as for `conv_transpose1d`, one number
        or one a dimension.
    Raises: as `conv_transpose1d`.
    Differs: nothing.
    Source: ATen `Convolution.cpp`.
    """
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_tbc(input: ArrayLike, weight: ArrayLike, bias: ArrayLike, pad: int = 0) -> jax.Array:
    """Convolution along time, of sequences laid out as (time, batch, channels).

    Torch: `torch.nn.functional.conv_tbc`.
    Shape: input (T, N, in), weight (K, in, out), bias (out) → (T + 2 · pad − K + 1, N, out).
    Args: input, weight, bias: numbers of one dtype. pad: zeros at both ends.
    Raises: ValueError when shapes don't fit; TypeError when dtypes differ.
    Differs: nothing.
    Source: ATen `ConvolutionTBC.cpp`.
    """
    x, w, b = check.number("input", input), check.number("weight", weight), check.number("bias", bias)
    if x.ndim != 3 or w.ndim != 3 or x.shape[2] != w.shape[1]:
        raise ValueError(f"input {x.shape} (T, N, in) and weight {w.shape} (K, in, out) don't fit")
    return conv1d(x.transpose(1, 2, 0), w.transpose(2, 1, 0), b, padding=pad).transpose(2, 0, 1)


def _conv(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> jax.Array:
    x, w, b = _arrays(rank, input, weight, bias)
    channels = x.shape[-rank - 1]
    if groups < 1 or w.shape[0] % groups or w.shape[0] < groups:
        raise ValueError(f"groups must be positive and divide the {w.shape[0]} outputs of weight {w.shape}: {groups}")
    if channels != w.shape[1] * groups:
        raise ValueError(
            f"input {x.shape} must have {w.shape[1] * groups} channels for weight {w.shape} in {groups} group(s), "
            f"got {channels}"
        )
    _check_bias(b, w.shape[0])
    steps, holes = _each("stride", stride, rank, 1), _each("dilation", dilation, rank, 1)
    kernel = w.shape[2:]
    pads = _pads(padding, kernel, steps, holes)
    for size, (low, high), k, d in zip(x.shape[-rank:], pads, kernel, holes, strict=True):
        if size + low + high < d * (k - 1) + 1:
            raise ValueError(
                f"the window must not exceed the padded input: it spans {d * (k - 1) + 1}, input {x.shape} with "
                f"padding {padding} has {size + low + high}"
            )
    window = Window(steps, pads, (1,) * rank, holes, groups)
    return _run(rank, x, b, lambda x: convolve(x, w, window))


def _conv_transpose(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> jax.Array:
    x, w, b = _arrays(rank, input, weight, bias)
    if groups < 1 or w.shape[0] % groups or x.shape[-rank - 1] != w.shape[0]:
        raise ValueError(
            f"input {x.shape} must have the {w.shape[0]} channels of weight {w.shape}, divisible by groups: {groups}"
        )
    _check_bias(b, w.shape[1] * groups)
    steps, holes = _each("stride", stride, rank, 1), _each("dilation", dilation, rank, 1)
    cut, extra = _each("padding", padding, rank, 0), _each("output_padding", output_padding, rank, 0)
    sizes = []
    for size, s, d, p, o, k in zip(x.shape[-rank:], steps, holes, cut, extra, w.shape[2:], strict=True):
        if o >= max(s, d):
            raise ValueError(f"output_padding must be below stride or dilation, got {o} with {s} and {d}")
        sizes.append((size - 1) * s - 2 * p + d * (k - 1) + o + 1)
    if min(sizes) < 1:
        raise ValueError(f"padding {padding} leaves no output of input {x.shape} with weight {w.shape}")
    ends = tuple((p, p - o) for p, o in zip(cut, extra, strict=True))
    window = Window(steps, ends, (1,) * rank, holes, groups)
    return _run(rank, x, b, lambda x: transposed(x, w, tuple(sizes), window))


def _run(rank: int, x: jax.Array, b: jax.Array | None, fn: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """With a batch of one where there is none, the bias, and the dtype that came."""
    y = fn(x if x.ndim == rank + 2 else x[None])
    if b is not None:
        y = y + jnp.broadcast_to(b.astype(y.dtype).reshape(1, -1, *(1,) * rank), y.shape)  # its gradient sums wide
    y = y.astype(x.dtype)
    return y if x.ndim == rank + 2 else y[0]


def _arrays(
    rank: int, input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    x, w = check.number("input", input), check.number("weight", weight)
    b = None if bias is None else check.number("bias", bias)
    check.same_dtype(input=x, weight=w, bias=b)
    if w.ndim != rank + 2:
        raise ValueError(f"weight must have {rank + 2} dimensions, got shape {w.shape}")
    if x.ndim not in (rank + 1, rank + 2):
        raise ValueError(f"input must have {rank + 1} or {rank + 2} dimensions, got shape {x.shape}")
    if not math.prod(w.shape[2:]):
        raise ValueError(f"the kernel must not be empty, got weight {w.shape}")
    return x, w, b


def _check_bias(b: jax.Array | None, outputs: int) -> None:
    if b is not None and b.shape != (outputs,):
        raise ValueError(f"bias must have shape ({outputs},), got {b.shape}")


def _pads(
    padding: Ints | str, kernel: tuple[int, ...], steps: tuple[int, ...], holes: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    if not isinstance(padding, str):
        return tuple((p, p) for p in _each("padding", padding, len(kernel), 0))
    check.option("padding", padding, ("valid", "same"))
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if any(s != 1 for s in steps):
        raise ValueError(f"padding='same' needs stride 1, got {steps}")
    reaches = [d * (k - 1) for d, k in zip(holes, kernel, strict=True)]
    return tuple((reach // 2, reach - reach // 2) for reach in reaches)


def _each(name: str, value: Ints, rank: int, least: int) -> tuple[int, ...]:
    """An option as one number a dimension."""
    numbers = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(numbers) == 1:
        numbers *= rank
    if len(numbers) != rank or any(n < least for n in numbers):
        raise ValueError(f"{name} must be at least {least}, one number or {rank}, got {value}")
    return numbers
