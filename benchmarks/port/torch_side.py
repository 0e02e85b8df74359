"""A training step in PyTorch: eager, and with forward and loss compiled."""

from typing import Any

import torch

from benchmarks import machine
from benchmarks.harness import Run
from benchmarks.port.models import Row
from benchmarks.torch_sgd import sgd

LR = 0.01


def eager(row: Row, dtype: torch.dtype = torch.float32) -> Run:
    return _run(row, dtype, compiled=False)


def compiled(row: Row) -> Run:
    return _run(row, torch.float32, compiled=True)


def _run(row: Row, dtype: torch.dtype, compiled: bool) -> Run:
    device = machine.torch_device()
    module, inputs, targets = row.make()
    module = module.to(device, dtype).train()
    drawn = {name: x.clone() for name, x in module.state_dict().items()}
    cast = lambda x: x.to(device, dtype if x.is_floating_point() else None)  # noqa: E731
    inputs, targets = torch.utils._pytree.tree_map(cast, (inputs, targets))

    def forward(*given: Any) -> torch.Tensor:
        return row.loss(module(*given), *targets)

    loss_of = torch.compile(forward, dynamic=False) if compiled else forward
    return sgd(module, drawn, loss_of, [inputs], LR)
