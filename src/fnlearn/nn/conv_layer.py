"""What the convolution layers share: their options, their parameters, their padding."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnlearn import functional as F
from fnlearn import random
from fnlearn.functional import check
from fnlearn.functional.typing import DTypeLike
from fnlearn.nn import init as initial
from fnlearn.nn.layer import Layer, Tree

Ints = int | Sequence[int]
MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # torch's word: JAX's


class Options(NamedTuple):
    """The options that all the constructors have."""

    kernel_size: Ints
    stride: Ints
    padding: Ints | str
    dilation: Ints
    groups: int
    bias: bool
    padding_mode: str
    dtype: DTypeLike | None


def convolution(rank: int, in_channels: int | None, out_channels: int, options: Options) -> Layer:
    """The layer of `conv1d`, `conv2d` or `conv3d`; without in_channels, `init` needs an example input."""
    check.option("padding_mode", options.padding_mode, ("zeros", *MODES))
    kernel = _each(options.kernel_size, rank)
    function = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    named: dict[str, Any] = {"stride": options.stride, "dilation": options.dilation, "groups": options.groups}
    zeros = options.padding_mode == "zeros"
    named["padding"] = options.padding if zeros else 0
    ends = _ends(options, kernel)

    def apply(
        params: Tree, buffers: Tree, input: Any, *, train: bool = False, key: jax.Array | None = None
    ) -> tuple[Any, Tree]:
        x = input if zeros else _surround(input, ends, options.padding_mode)
        return function(x, **params, **named), buffers

    shape = lambda inputs: (out_channels, inputs // options.groups, *kernel)  # noqa: E731
    return Layer(_init(rank, in_channels, out_channels, shape, options), apply)


def transposed_convolution(
    rank: int, in_channels: int | None, out_channels: int, options: Options, output_padding: Ints
) -> Layer:
    """The layer of `conv_transpose1d`, `conv_transpose2d` or `conv_transpose3d`."""
    if options.padding_mode != "zeros":
        raise ValueError(f"padding_mode must be 'zeros' for a transposed convolution, got {options.padding_mode!r}")
    kernel = _each(options.kernel_size, rank)
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    named: dict[str, Any] = {"stride": options.stride, "dilation": options.dilation, "groups": options.groups}
    named["padding"] = options.padding

    def apply(
        params: Tree,
        buffers: Tree,
        input: Any,
        output_size: Sequence[int] | None = None,
        *,
        train: bool = False,
        key: jax.Array | None = None,
    ) -> tuple[Any, Tree]:
        extra = output_padding if output_size is None else _missing(jnp.shape(input), output_size, kernel, options)
        return function(input, **params, **named, output_padding=extra), buffers

    shape = lambda inputs: (inputs, out_channels // options.groups, *kernel)  # noqa: E731
    return Layer(_init(rank, in_channels, out_channels, shape, options), apply)


def _init(
    rank: int,
    in_channels: int | None,
    out_channels: int,
    shape: Callable[[int], tuple[int, ...]],
    options: Options,
) -> Callable[..., tuple[Tree, Tree]]:
    def divisible(**channels: int) -> None:
        for name, count in channels.items():
            if options.groups < 1 or count % options.groups:
                raise ValueError(f"{name} must be divisible by groups, a positive number: {count}, {options.groups}")

    divisible(out_channels=out_channels, **({} if in_channels is None else {"in_channels": in_channels}))

    def init(key: jax.Array, input: Any = None) -> tuple[Tree, Tree]:
        inputs = _channels(rank, input) if in_channels is None else in_channels
        divisible(in_channels=inputs)
        weight = shape(inputs)
        params = {
            "weight": initial.kaiming_uniform(random.named(key, "weight"), weight, math.sqrt(5), dtype=options.dtype)
        }
        if options.bias:
            inputs = math.prod(weight[1:])  # that flow into one output, as torch counts them
            bound = 1 / math.sqrt(inputs) if inputs else 0.0
            params["bias"] = initial.uniform(
                random.named(key, "bias"), (out_channels,), -bound, bound, dtype=options.dtype
            )
        return params, {}

    return init


def _channels(rank: int, input: Any) -> int:
    if input is None:
        raise ValueError(
            "a lazy layer takes its number of input channels from an example: call init(key, input), or use the plain "
            "layer, which is told in_channels"
        )
    shape = tuple(input.shape)
    if len(shape) not in (rank + 1, rank + 2):
        raise ValueError(f"input must have {rank + 1} or {rank + 2} dimensions, got shape {shape}")
    return int(shape[-rank - 1])


def _ends(options: Options, kernel: tuple[int, ...]) -> list[tuple[int, int]]:
    """How much is padded before and after each dimension; a string is checked by what it means for zeros."""
    rank = len(kernel)
    if not isinstance(options.padding, str):
        return [(p, p) for p in _each(options.padding, rank)]
    check.option("padding", options.padding, ("valid", "same"))
    if options.padding == "valid":
        return [(0, 0)] * rank
    if any(s != 1 for s in _each(options.stride, rank)):
        raise ValueError(f"padding='same' needs stride 1, got {options.stride}")
    reaches = [d * (k - 1) for d, k in zip(_each(options.dilation, rank), kernel, strict=True)]
    return [(reach // 2, reach - reach // 2) for reach in reaches]


def _surround(input: Any, ends: list[tuple[int, int]], mode: str) -> jax.Array:
    """The input padded with its own elements."""
    x = check.number("input", input)
    for size, end in zip(x.shape[-len(ends) :], ends, strict=True):
        if max(end) > size - (mode == "reflect"):
            raise ValueError(f"padding {end} is too large for padding_mode={mode!r} and input {x.shape}")
    return jnp.pad(x, [(0, 0)] * (x.ndim - len(ends)) + ends, mode=MODES[mode])


def _missing(
    shape: tuple[int, ...], output_size: Sequence[int], kernel: tuple[int, ...], options: Options
) -> tuple[int, ...]:
    """The output_padding that gives the output this size."""
    rank = len(kernel)
    wanted = tuple(output_size)[-rank:]
    if len(output_size) not in (rank, len(shape)):
        raise ValueError(f"output_size must have {rank} or {len(shape)} numbers for input {shape}, got {output_size}")
    assert not isinstance(options.padding, str)
    strides, pads = _each(options.stride, rank), _each(options.padding, rank)
    rows = zip(shape[-rank:], kernel, strides, pads, _each(options.dilation, rank), strict=True)
    least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in rows]
    extra = tuple(size - low for size, low in zip(wanted, least, strict=True))
    if any(not 0 <= e < s for e, s in zip(extra, strides, strict=True)):
        most = [low + s - 1 for low, s in zip(least, strides, strict=True)]
        raise ValueError(f"output_size must be between {least} and {most} for input {shape}, got {wanted}")
    return extra


def _each(value: Ints, rank: int) -> tuple[int, ...]:
    numbers = (value,) if isinstance(value, int) else tuple(value)
    if len(numbers) not in (1, rank):
        raise ValueError(f"an option must be one number or {rank}, got {value}")
    return numbers * (rank // len(numbers))
