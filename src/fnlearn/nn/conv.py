"""Convolution layers."""

from fnlearn.functional.typing import DTypeLike
from fnlearn.nn.conv_layer import Ints, Options, convolution, transposed_convolution
from fnlearn.nn.layer import Layer


def Conv1d(
    in_channels: int,
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
    """Convolution of sequences.

    Torch: `torch.nn.Conv1d`.
    Shape: (N, in, L) or (in, L) → (N, out, L') or (out, L'); parameters weight
        (out, in / groups, K), bias (out).
    Args: in_channels, out_channels: sizes. kernel_size: of the window. stride, padding, dilation, groups: as for
        `fnlearn.functional.conv1d`. bias: whether one is added. padding_mode: "zeros", "reflect", "replicate" or
        "circular". device: None; JAX places arrays. dtype: of the parameters, float32 when left out.
    Raises: ValueError when an option doesn't fit, and, when applied, when the input doesn't.
    Differs: the initial numbers come from a JAX key; their distribution, U(−1/√fan_in, 1/√fan_in), is torch's.
    Source: `torch.nn.Conv1d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return convolution(1, in_channels, out_channels, window)


def Conv2d(
    in_channels: int,
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
    """Convolution of images.

    Torch: `torch.nn.Conv2d`.
    Shape: (N, in, H, W) or (in, H, W) → (N, out, H', W') or (out, H', W'); parameters weight
        (out, in / groups, K₁, K₂), bias (out).
    Args: as for `Conv1d`; kernel_size, stride, padding and dilation are one number or one a dimension.
    Raises: as `Conv1d`.
    Differs: as `Conv1d`.
    Source: `torch.nn.Conv2d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return convolution(2, in_channels, out_channels, window)


def Conv3d(
    in_channels: int,
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
    """Convolution of volumes.

    Torch: `torch.nn.Conv3d`.
    Shape: (N, in, D, H, W) or (in, D, H, W) → (N, out, D', H', W') or (out, D', H', W'); parameters weight
        (out, in / groups, K₁, K₂, K₃), bias (out).
    Args: as for `Conv1d`; kernel_size, stride, padding and dilation are one number or one a dimension.
    Raises: as `Conv1d`.
    Differs: as `Conv1d`.
    Source: `torch.nn.Conv3d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return convolution(3, in_channels, out_channels, window)


def ConvTranspose1d(
    in_channels: int,
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
    """Transposed convolution of sequences.

    Torch: `torch.nn.ConvTranspose1d`.
    Shape: (N, in, L) or (in, L) → (N, out, L') or (out, L'); parameters weight
        (in, out / groups, K), bias (out).
    Args: in_channels, out_channels, kernel_size, bias, device, dtype: as for `Conv1d`. stride, padding, output_padding,
        groups, dilation: as for `fnlearn.functional.conv_transpose1d`. padding_mode: "zeros". `apply` also takes
        output_size, the sizes wanted, in place of output_padding.
    Raises: ValueError when an option doesn't fit, and, when applied, when the input or output_size doesn't.
    Differs: as `Conv1d`.
    Source: `torch.nn.ConvTranspose1d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return transposed_convolution(1, in_channels, out_channels, window, output_padding)


def ConvTranspose2d(
    in_channels: int,
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
    """Transposed convolution of images.

    Torch: `torch.nn.ConvTranspose2d`.
    Shape: (N, in, H, W) or (in, H, W) → (N, out, H', W') or (out, H', W'); parameters weight
        (in, out / groups, K₁, K₂), bias (out).
    Args: as for `ConvTranspose1d`; kernel_size and the like are one number or one a dimension.
    Raises: as `ConvTranspose1d`.
    Differs: as `Conv1d`.
    Source: `torch.nn.ConvTranspose2d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return transposed_convolution(2, in_channels, out_channels, window, output_padding)


def ConvTranspose3d(
    in_channels: int,
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
    """Transposed convolution of volumes.

    Torch: `torch.nn.ConvTranspose3d`.
    Shape: (N, in, D, H, W) or (in, D, H, W) → (N, out, D', H', W') or (out, D', H', W'); parameters weight
        (in, out / groups, K₁, K₂, K₃), bias (out).
    Args: as for `ConvTranspose1d`; kernel_size and the like are one number or one a dimension.
    Raises: as `ConvTranspose1d`.
    Differs: as `Conv1d`.
    Source: `torch.nn.ConvTranspose3d`.
    """
    window = Options(kernel_size, stride, padding, dilation, groups, bias, padding_mode, dtype)
    return transposed_convolution(3, in_channels, out_channels, window, output_padding)
