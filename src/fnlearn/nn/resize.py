"""Layers that resize images."""

from fnlearn import functional as F
from fnlearn.functional.resize import Factors, Sizes
from fnlearn.nn.layer import Layer, stateless


def Upsample(
    size: Sizes | None = None,
    scale_factor: Factors | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Layer:
    """Resize the spatial dimensions, to a size or by a factor.

    Torch: `torch.nn.Upsample`.
    Shape: (N, C, *) → (N, C, *size).
    Args: as for `fnlearn.functional.interpolate`.
    Raises: as `fnlearn.functional.interpolate`, when applied.
    Differs: as `fnlearn.functional.interpolate`.
    Source: `fnlearn.functional.interpolate`.
    """
    return stateless(
        F.interpolate,
        size=size,
        scale_factor=scale_factor,
        mode=mode,
        align_corners=align_corners,
        recompute_scale_factor=recompute_scale_factor,
    )


def UpsamplingNearest2d(size: Sizes | None = None, scale_factor: Factors | None = None) -> Layer:
    """Resize an image, each pixel the nearest of the input.

    Torch: `torch.nn.UpsamplingNearest2d`.
    Shape: (N, C, H, W) → (N, C, *size).
    Args: as for `fnlearn.functional.interpolate`.
    Raises: as `fnlearn.functional.interpolate`, when applied.
    Differs: nothing.
    Source: `fnlearn.functional.interpolate`.
    """
    return Upsample(size, scale_factor)


def UpsamplingBilinear2d(size: Sizes | None = None, scale_factor: Factors | None = None) -> Layer:
    """Resize an image, bilinearly and with aligned corners.

    Torch: `torch.nn.UpsamplingBilinear2d`.
    Shape: (N, C, H, W) → (N, C, *size).
    Args: as for `fnlearn.functional.interpolate`.
    Raises: as `fnlearn.functional.interpolate`, when applied.
    Differs: as `fnlearn.functional.interpolate`.
    Source: `fnlearn.functional.interpolate`.
    """
    return Upsample(size, scale_factor, "bilinear", True)
