"""Torch modules that compute parts in float32 in any dtype, with these parts in float64 too.

A norm that calls `x.float()`, say, rounds to float32 even where all else is float64. By how much that changes an answer
is the yardstick of its float64.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fnlearn.equivalence.completed import weighted

__all__ = ["widened"]


@contextmanager
def widened() -> Iterator[None]:
    """Torch's functions make float64 where they are told to make a narrower float."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._pytree import tree_map

    narrow = {torch.float32, torch.float16, torch.bfloat16}
    casts = {torch.Tensor.float, torch.Tensor.half, torch.Tensor.bfloat16}

    class Mode(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            wide = lambda x: torch.float64 if isinstance(x, torch.dtype) and x in narrow else x  # noqa: E731
            args, kwargs = tree_map(wide, (args, kwargs or {}))
            return (torch.Tensor.double if func in casts else func)(*args, **kwargs)

    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with weighted(), Mode():
            yield
    finally:
        torch.set_default_dtype(default)
