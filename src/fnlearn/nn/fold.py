"""Sliding windows of images as columns, and back."""

from collections.abc import Sequence

from fnlearn import functional as F
from fnlearn.nn.layer import Layer, stateless

Ints = int | Sequence[int]


def Fold(output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Layer:
    """The sum of columns as overlapping windows of an image.

    Torch: `torch.nn.Fold`.
    Shape: (N, C · K₁ · K₂, L) or (C · K₁ · K₂, L) → (N, C, H, W) or (C, H, W).
    Args: as for `fnlearn.functional.fold`.
    Raises: as `fnlearn.functional.fold`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.fold`.
    """
    return stateless(
        F.fold, output_size=output_size, kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride
    )


def Unfold(kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Layer:
    """Every window of an image as a column.

    Torch: `torch.nn.Unfold`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C · K₁ · K₂, L) or (C · K₁ · K₂, L).
    Args: as for `fnlearn.functional.unfold`.
    Raises: as `fnlearn.functional.unfold`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.unfold`.
    """
    return stateless(F.unfold, kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride)
