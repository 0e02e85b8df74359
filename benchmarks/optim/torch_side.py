"""An update of all parameters by `torch.optim`, in each of the forms that it has on this machine."""

import inspect
from typing import Any

import torch

from benchmarks import machine
from benchmarks.harness import Run
from benchmarks.optim import table
from benchmarks.optim.table import Row


def forms(row: Row) -> list[str]:
    """Which torch has: a loop, many tensors at a time, and one kernel for all."""
    taken = inspect.signature(getattr(torch.optim, row.cls).__init__).parameters
    return ["loop", *(form for form in ("foreach", "fused") if form in taken)]


def update(row: Row, form: str = "loop", dtype: torch.dtype = torch.float32) -> Run:
    params, optimizer = _fresh(row, form, dtype)

    def run(count: int) -> list[torch.Tensor]:
        if count == table.COMPARED:  # from the start, for the eye; timed are updates that go on
            own, anew = _fresh(row, form, dtype)
            return _updated(own, anew, count)
        return _updated(params, optimizer, count)

    return run


def _fresh(row: Row, form: str, dtype: torch.dtype) -> tuple[list[torch.nn.Parameter], Any]:
    device = machine.torch_device()
    params = [torch.nn.Parameter(torch.tensor(x, dtype=dtype, device=device)) for x in table.start(row)]
    for p, g in zip(params, table.gradients(row), strict=True):
        p.grad = torch.tensor(g, dtype=dtype, device=device)
    chosen = {form: True} if form != "loop" else {"foreach": False} if "foreach" in forms(row) else {}
    return params, getattr(torch.optim, row.cls)(params, **row.options, **chosen)


def _updated(params: list[torch.nn.Parameter], optimizer: Any, count: int) -> list[torch.Tensor]:
    for _ in range(count):
        optimizer.step()
    return [p.detach() for p in params]
