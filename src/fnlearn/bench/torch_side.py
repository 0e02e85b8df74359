"""The same step in PyTorch, eager, on the same kind of device; imported only where PyTorch is measured."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from fnlearn.bench.case import LR, Case, Result, Step, batch, model_of, start
from fnlearn.bench.models import Kit

ALL = torch.get_num_threads()


class Composed(torch.nn.Module):
    """A module of children and a forward function that gets it as its first argument: `fnlearn.nn.compose` in torch."""

    def __init__(self, forward: Callable[..., Any], /, **children: Any):
        super().__init__()
        self.function = forward
        for name, child in children.items():
            setattr(self, name, torch.nn.ModuleList(child) if isinstance(child, list) else child)

    def forward(self, *inputs: Any) -> Any:
        """What the function returns."""
        return self.function(self, *inputs)


KIT = Kit(
    nn=torch.nn,
    F=torch.nn.functional,
    compose=Composed,
    parameter=lambda shape: torch.nn.Parameter(torch.zeros(shape)),
    join=torch.cat,
)


def threads() -> tuple[int, ...]:
    """The numbers of threads to try: small steps are faster with one."""
    return (ALL,) if _device() == "cuda" or ALL == 1 else (ALL, 1)


def prepare(case: Case, threads: int = 1) -> tuple[Step, Result]:
    """The step, and what is known of it before it runs.

    Args: case: what to compute. threads: with how many, on a CPU.
    Returns: the step; and parameters, threads.
    Raises: torch.OutOfMemoryError.
    """
    torch.set_float32_matmul_precision("high")  # tensorfloat32 on a GPU that has it, as JAX does unless told otherwise
    torch.set_num_threads(threads)
    where = _device()
    model, size = model_of(case)
    module = model.make(KIT, **size)
    drawn = {name: torch.from_numpy(start(name, tuple(p.shape))) for name, p in module.named_parameters()}
    module.load_state_dict(drawn, strict=False)  # buffers are there
    module = module.to(where).train()
    optimizer = torch.optim.AdamW(module.parameters(), LR)
    x, target = (torch.from_numpy(array).to(where) for array in batch(case))
    target = target.long() if target.dtype == torch.int32 else target
    narrow = None if case.dtype == "float32" else getattr(torch, case.dtype)
    scaler = torch.amp.GradScaler(where, enabled=narrow is torch.float16)
    if where == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def run() -> Any:
        optimizer.zero_grad()
        with nullcontext() if narrow is None else torch.autocast(where, narrow):
            out = module(x)
        loss = model.loss(KIT, out.float(), target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    return run, {"parameters": sum(p.numel() for p in module.parameters()), "threads": threads}


def wait(loss: Any) -> float:
    """The loss when it is there."""
    return float(loss.detach())


def describe() -> Result:
    """The machine, as far as PyTorch sees it."""
    where = _device()
    name = torch.cuda.get_device_name() if where == "cuda" else "cpu"
    return {"platform": "gpu" if where == "cuda" else "cpu", "device": name, "torch": torch.__version__,
            "threads": ALL}  # fmt: skip


def afterwards(case: Case, found: Result) -> Result:
    """The most memory of the device that was in use since the step was prepared, where PyTorch counts it."""
    return {"memory_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else None}


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
