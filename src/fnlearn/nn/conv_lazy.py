"""Convolution layers that take their number of input channels from an example."""

from fnlearn.functional.typing import DTypeLike
from fnlearn.nn.conv_layer import Ints, Options, convolution, transposed_convolution
from fnlearn.nn.layer import Layer


def LazyConv1d(
    out_channels: int,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Convolution of sequences whose number of input channels comes with the first input.

    Torch: `torch.nn.LazyConv1d`.
    Shape: as `Conv1d`.
    Args: as for `Conv1d`, less in_channels: `init(key, input)` takes it from an example input (or its shape struct).
    Raises: as `Conv1d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call.
    Source: `torch.nn.LazyConv1d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return convolution(1, None, out_channels, window)


def LazyConv2d(
    out_channels: int,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Convolution of images whose number of input channels comes with the first input.

    Torch: `torch.nn.LazyConv2d`.
    Shape: as `Conv2d`.
    Args: as for `Conv2d`, less in_channels: `init(key, input)` takes it from an example input (or its shape struct).
    Raises: as `Conv2d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call.
    Source: `torch.nn.LazyConv2d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return convolution(2, None, out_channels, window)


def LazyConv3d(
    out_channels: int,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
    bias: bool = True,
    padding_mode: str = "zeros",
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Convolution of volumes whose number of input channels comes with the first input.

    Torch: `torch.nn.LazyConv3d`.
    Shape: as `Conv3d`.
    Args: as for `Conv3d`, less in_channels: `init(key, input)` takes it from an example input (or its shape struct).
    Raises: as `Conv3d`; ValueError when `init` gets no example.
    Differs: parameters are made by `init` from an example, not at the first call.
    Source: `torch.nn.LazyConv3d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return convolution(3, None, out_channels, window)


def LazyConvTranspose1d(
    out_channels: int,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    bias: bool = True,
    dilation: Ints = 1,
    padding_mode: str = "zeros",
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Transposed convolution of sequences whose number of input channels comes with the first input.

    Torch: `torch.nn.LazyConvTranspose1d`.
    Shape: as `ConvTranspose1d`.
    Args: as for `ConvTranspose1d`, less in_channels: `init(key, input)` takes it from an example input.
    Raises: as `ConvTranspose1d`; ValueError when `init` gets no example.
    Differs: as `LazyConv1d`.
    Source: `torch.nn.LazyConvTranspose1d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return transposed_convolution(1, None, out_channels, window, output_padding)


def LazyConvTranspose2d(
    out_channels: int,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    bias: bool = True,
    dilation: Ints = 1,
    padding_mode: str = "zeros",
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Transposed convolution of images whose number of input channels comes with the first input.

    Torch: `torch.nn.LazyConvTranspose2d`.
    Shape: as `ConvTranspose2d`.
    Args: as for `ConvTranspose2d`, less in_channels: `init(key, input)` takes it from an example input.
    Raises: as `ConvTranspose2d`; ValueError when `init` gets no example.
    Differs: as `LazyConv2d`.
    Source: `torch.nn.LazyConvTranspose2d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return transposed_convolution(2, None, out_channels, window, output_padding)


def LazyConvTranspose3d(
    out_channels: int,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    bias: bool = True,
    dilation: Ints = 1,
    padding_mode: str = "zeros",
    device: None = None,
    dtype: DTypeLike | None = None,
) -> Layer:
    """Transposed convolution of volumes whose number of input channels comes with the first input.

    Torch: `torch.nn.LazyConvTranspose3d`.
    Shape: as `ConvTranspose3d`.
    Args: as for `ConvTranspose3d`, less in_channels: `init(key, input)` takes it from an example input.
    Raises: as `ConvTranspose3d`; ValueError when `init` gets no example.
    Differs: as `LazyConv3d`.
    Source: `torch.nn.LazyConvTranspose3d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return transposed_convolution(3, None, out_channels, window, output_padding)
