"""Training in PyTorch: eager, and with forward and loss compiled."""

import torch
from torch.nn import functional as F

from benchmarks import machine
from benchmarks.harness import Run
from benchmarks.torch_sgd import sgd
from benchmarks.train.models import LR, MAKE, MOMENTUM, Row, batch, numbers, table, weights
from fnlearn.bench.models import notes
from fnlearn.bench.torch_side import KIT


def eager(row: Row, dtype: torch.dtype = torch.float32) -> Run:
    return _steps(row, dtype, compiled=False)


def compiled(row: Row) -> Run:
    return _steps(row, torch.float32, compiled=True)


def _steps(row: Row, dtype: torch.dtype, compiled: bool) -> Run:
    device = machine.torch_device()
    module = MAKE[row.kind](KIT, **row.size).to(device, dtype)
    first = {name: torch.from_numpy(x).to(device, dtype) for name, x in weights(row).items()}
    x, target = (torch.from_numpy(array).to(device) for array in batch(row))
    x, target = x.to(dtype) if x.is_floating_point() else x, target.long()

    def loss(x: torch.Tensor) -> torch.Tensor:
        return loss_of_output(module(x), target)

    loss_of = torch.compile(loss, dynamic=False) if compiled else loss
    return sgd(module, first, loss_of, [(x,)], LR, MOMENTUM)


def loss_of_output(out: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of classes, or of the next words."""
    return F.cross_entropy(out.reshape(-1, out.shape[-1]), target)


def epochs(dtype: torch.dtype = torch.float32) -> Run:
    device = machine.torch_device()
    module = notes(KIT).to(device, dtype)
    first = {name: torch.from_numpy(x) for name, x in numbers(notes).items()}
    x, y = (torch.from_numpy(array).to(device, dtype) for array in table())

    def loss(rows: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy(module(rows), target)

    return sgd(module, first, loss, [*zip(x.split(32), y.split(32), strict=True)], LR, MOMENTUM)
