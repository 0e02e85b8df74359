"""An operation by PyTorch eager: its value, and its value with the gradients of all positional arguments of floats."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch

from benchmarks import machine
from benchmarks.harness import Run
from benchmarks.ops import argument
from benchmarks.ops.table import Op


def forward(op: Op, dtype: torch.dtype = torch.float32) -> Run:
    call, _ = _call(op, dtype)

    @torch.no_grad()
    def run(count: int) -> list[torch.Tensor]:
        for _ in range(count):
            outs = call()
        return list(outs)

    return run


def gradient(op: Op, dtype: torch.dtype = torch.float32) -> Run:
    call, leaves = _call(op, dtype)
    for leaf in leaves:
        leaf.requires_grad_()
    seeds = argument.cotangents([tuple(out.shape) for out in call()])
    pulled = [_tensor(seed, dtype) for seed in seeds]

    def run(count: int) -> list[torch.Tensor]:
        for _ in range(count):
            outs = call()
            gradients = torch.autograd.grad(outs, leaves, pulled)
        return [out.detach() for out in outs] + list(gradients)

    return run


def _call(op: Op, dtype: torch.dtype) -> tuple[Callable[[], tuple[torch.Tensor, ...]], list[torch.Tensor]]:
    """The operation on its arguments, always with a tuple of outputs, and those arguments that are differentiated."""
    function = getattr(torch.nn.functional, op.function, None) or getattr(torch, op.function)
    drawn = argument.draw((op.args, op.options))
    args, options = jax.tree.map(lambda x: _tensor(x, dtype) if isinstance(x, np.ndarray) else x, drawn)
    leaves = [x for x in jax.tree.leaves(args) if torch.is_tensor(x) and x.is_floating_point()]

    def call() -> tuple[torch.Tensor, ...]:
        outs: Any = function(*args, **options)
        return (outs,) if torch.is_tensor(outs) else outs

    return call, leaves


def _tensor(x: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(x, dtype=dtype if argument.is_float(x) else torch.int64, device=machine.torch_device())
