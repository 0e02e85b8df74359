"""Functions that torch has in narrow dtypes alone, in float64 too, so that models that call them can be asked there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["completed"]


@contextmanager
def completed() -> Iterator[None]:
    """Torch multiplies groups of rows in float64, group by group."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Mode(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            mine = func is torch._grouped_mm and args[0].dtype == torch.float64
            return (_grouped_mm if mine else func)(*args, **(kwargs or {}))

    with Mode():
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
