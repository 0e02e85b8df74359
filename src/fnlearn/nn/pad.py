"""Padding layers: `fnlearn.functional.pad` with a mode and its amounts fixed."""

from fnlearn import functional as F
from fnlearn.functional.pool_window import Ints, sized
from fnlearn.nn.layer import Layer, stateless


def ReflectionPad1d(padding: Ints) -> Layer:
    """Lengthen both ends of a sequence by their reflection, without repeating the edge.

    Torch: `torch.nn.ReflectionPad1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ).
    Args: padding: one amount for all sides, or (left, right); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 2), mode="reflect")


def ReflectionPad2d(padding: Ints) -> Layer:
    """Lengthen the sides of an image by their reflection, without repeating the edge.

    Torch: `torch.nn.ReflectionPad2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: padding: one amount for all sides, or (left, right, top, bottom); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 4), mode="reflect")


def ReflectionPad3d(padding: Ints) -> Layer:
    """Lengthen the sides of a volume by their reflection, without repeating the edge.

    Torch: `torch.nn.ReflectionPad3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: padding: one amount for all sides, or (left, right, top, bottom, front, back); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 6), mode="reflect")


def ReplicationPad1d(padding: Ints) -> Layer:
    """Lengthen both ends of a sequence by repeating the edge.

    Torch: `torch.nn.ReplicationPad1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ).
    Args: padding: one amount for all sides, or (left, right); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 2), mode="replicate")


def ReplicationPad2d(padding: Ints) -> Layer:
    """Lengthen the sides of an image by repeating the edge.

    Torch: `torch.nn.ReplicationPad2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: padding: one amount for all sides, or (left, right, top, bottom); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 4), mode="replicate")


def ReplicationPad3d(padding: Ints) -> Layer:
    """Lengthen the sides of a volume by repeating the edge.

    Torch: `torch.nn.ReplicationPad3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: padding: one amount for all sides, or (left, right, top, bottom, front, back); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 6), mode="replicate")


def CircularPad1d(padding: Ints) -> Layer:
    """Lengthen both ends of a sequence by what lies at the opposite side.

    Torch: `torch.nn.CircularPad1d`.
    Shape: (N, C, L) or (C, L) → (N, C, Lₒ) or (C, Lₒ).
    Args: padding: one amount for all sides, or (left, right); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 2), mode="circular")


def CircularPad2d(padding: Ints) -> Layer:
    """Lengthen the sides of an image by what lies at the opposite side.

    Torch: `torch.nn.CircularPad2d`.
    Shape: (N, C, H, W) or (C, H, W) → (N, C, Hₒ, Wₒ) or (C, Hₒ, Wₒ).
    Args: padding: one amount for all sides, or (left, right, top, bottom); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 4), mode="circular")


def CircularPad3d(padding: Ints) -> Layer:
    """Lengthen the sides of a volume by what lies at the opposite side.

    Torch: `torch.nn.CircularPad3d`.
    Shape: (N, C, D, H, W) or (C, D, H, W) → the same with Dₒ, Hₒ, Wₒ.
    Args: padding: one amount for all sides, or (left, right, top, bottom, front, back); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 6), mode="circular")


def ZeroPad1d(padding: Ints) -> Layer:
    """Lengthen both ends of a sequence by zeros.

    Torch: `torch.nn.ZeroPad1d`.
    Shape: (*) → (*).
    Args: padding: one amount for all sides, or (left, right); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 2), mode="constant")


def ZeroPad2d(padding: Ints) -> Layer:
    """Lengthen the sides of an image by zeros.

    Torch: `torch.nn.ZeroPad2d`.
    Shape: (*) → (*).
    Args: padding: one amount for all sides, or (left, right, top, bottom); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 4), mode="constant")


def ZeroPad3d(padding: Ints) -> Layer:
    """Lengthen the sides of a volume by zeros.

    Torch: `torch.nn.ZeroPad3d`.
    Shape: (*) → (*).
    Args: padding: one amount for all sides, or (left, right, top, bottom, front, back); negative amounts
        shorten.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 6), mode="constant")


def ConstantPad1d(padding: Ints, value: float) -> Layer:
    """Lengthen both ends of a sequence by a constant.

    Torch: `torch.nn.ConstantPad1d`.
    Shape: (*) → (*).
    Args: padding: one amount for all sides, or (left, right); negative amounts
        shorten. value: the constant.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 2), mode="constant", value=value)


def ConstantPad2d(padding: Ints, value: float) -> Layer:
    """Lengthen the sides of an image by a constant.

    Torch: `torch.nn.ConstantPad2d`.
    Shape: (*) → (*).
    Args: padding: one amount for all sides, or (left, right, top, bottom); negative amounts
        shorten. value: the constant.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 4), mode="constant", value=value)


def ConstantPad3d(padding: Ints, value: float) -> Layer:
    """Lengthen the sides of a volume by a constant.

    Torch: `torch.nn.ConstantPad3d`.
    Shape: (*) → (*).
    Args: padding: one amount for all sides, or (left, right, top, bottom, front, back); negative amounts
        shorten. value: the constant.
    Raises: ValueError for another number of amounts; as `fnlearn.functional.pad` when applied.
    Differs: nothing.
    Source: `fnlearn.functional.pad`.
    """
    return stateless(F.pad, pad=sized("padding", padding, 6), mode="constant", value=value)
