"""What torch lacks: float64 in functions of narrow dtypes alone, and an argument that it forgets to pass on."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

__all__ = ["completed", "weighted"]


@contextmanager
def completed() -> Iterator[None]:
    """Torch multiplies groups of rows in float64 too, group by group."""
    import torch

    narrow = torch._grouped_mm

    def either(a: Any, *args: Any, **kwargs: Any) -> Any:
        return (_grouped_mm if a.dtype == torch.float64 else narrow)(a, *args, **kwargs)

    with mock.patch.object(torch, "_grouped_mm", either):
        yield


@contextmanager
def weighted() -> Iterator[None]:
    """`l1_loss` has its weight for a `TorchFunctionMode` too, to which torch passes all of its arguments but this."""
    import torch
    from torch.overrides import handle_torch_function

    functional = torch.nn.functional
    original = functional.l1_loss

    def l1_loss(
        input: Any,
        target: Any,
        size_average: Any = None,
        reduce: Any = None,
        reduction: str = "mean",
        weight: Any = None,
    ) -> Any:
        if weight is None:
            return original(input, target, size_average, reduce, reduction)
        return handle_torch_function(  # type: ignore[call-arg]
            original, (input, target, weight), input, target, size_average, reduce, reduction, weight=weight
        )

    with mock.patch.object(functional, "l1_loss", l1_loss):
        yield


def _grouped_mm(a: Any, b: Any, offs: Any = None, **_: Any) -> Any:
    import torch

    if offs is None:
        return a @ b
    ends = offs.tolist()
    groups = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    if a.ndim == b.ndim == 2:
        return torch.stack([a[:, group] @ b[group] for group in groups])
    if a.ndim == 2:
        rest = torch.zeros_like(a[ends[-1] :, :1] * b[0, :1])
        return torch.cat([*(a[group] @ b[i] for i, group in enumerate(groups)), rest])
    rest = torch.zeros_like(a[0, :, :1] * b[:1, ends[-1] :])
    return torch.cat([*(a[i] @ b[:, group] for i, group in enumerate(groups)), rest], 1)
