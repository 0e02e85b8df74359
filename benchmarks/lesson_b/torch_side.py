"""Lesson B in PyTorch: the twin's loss in a loop that records the loss of each epoch and nothing else."""

from collections.abc import Callable

import torch

from benchmarks import machine
from benchmarks.harness import Run
from fnlearn.lessons.b_by_hand.torch_side import X, Y, loss

START, LR = 1.0, 0.01


def eager(dtype: torch.dtype = torch.float32) -> Run:
    return _by_backward(loss, dtype)


def compiled_loss() -> Run:
    """Forward and loss compiled, as most scripts do; the update stays eager."""
    return _by_backward(torch.compile(loss, dynamic=False), torch.float32)


def compiled_step() -> Run:
    """Loss, gradient and update of one sample as one compiled function."""
    compiled = torch.compile(_step, dynamic=False)

    def epoch(w: torch.Tensor, samples: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        for sample in samples:
            w, value = compiled(w, sample)
        return w, value

    return _by_function(epoch)


def compiled_epoch() -> Run:
    """All three steps of an epoch as one compiled function, which no general training loop could do."""
    return _by_function(torch.compile(_epoch, dynamic=False))


def _step(w: torch.Tensor, sample: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    gradient, value = torch.func.grad_and_value(loss)(w, sample[0], sample[1])
    return w - LR * gradient, value


def _epoch(w: torch.Tensor, samples: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    for sample in samples:
        w, value = _step(w, sample)
    return w, value


def _by_backward(loss: Callable[..., torch.Tensor], dtype: torch.dtype) -> Run:
    device = machine.torch_device()
    samples = list(zip(*torch.tensor([X, Y], dtype=dtype, device=device), strict=True))

    def run(epochs: int) -> torch.Tensor:
        w = torch.tensor(START, dtype=dtype, device=device, requires_grad=True)
        losses = []
        for _ in range(epochs):
            for x, y in samples:
                w.grad = None
                value = loss(w, x, y)
                value.backward()
                with torch.no_grad():
                    w -= LR * w.grad  # type: ignore[operator]
            losses.append(value.detach())
        return torch.stack(losses)

    return run


def _by_function(epoch: Callable[..., tuple[torch.Tensor, torch.Tensor]]) -> Run:
    device = machine.torch_device()
    samples = list(torch.tensor([X, Y], device=device).T)

    def run(epochs: int) -> torch.Tensor:
        w, losses = torch.tensor(START, device=device), []
        for _ in range(epochs):
            w, value = epoch(w, samples)
            losses.append(value)
        return torch.stack(losses)

    return run
