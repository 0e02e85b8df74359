"""Lesson C in PyTorch: the twin's layer and loss in a loop that records the loss of each epoch."""

from collections.abc import Callable

import torch

from benchmarks import machine
from benchmarks.harness import Run
from fnlearn.lessons.c_linear.torch_side import X, Y, loss, start

LR = 0.01


def eager(dtype: torch.dtype = torch.float32) -> Run:
    return _by_optimizer(loss, dtype)


def compiled_loss() -> Run:
    """Forward and loss compiled, as most scripts do; backward's graph comes with it, the optimizer stays eager."""
    return _by_optimizer(torch.compile(loss, dynamic=False), torch.float32)


def compiled_step() -> Run:
    """Loss, gradient and update as one compiled function of the parameters, which takes a rewrite with torch.func."""
    layer, x, y = _start(torch.float32)

    def value_of(params: dict[str, torch.Tensor]) -> torch.Tensor:
        return loss(lambda x: torch.func.functional_call(layer, params, (x,)), x, y)

    @torch.compile(dynamic=False)
    def step(params: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        gradients, value = torch.func.grad_and_value(value_of)(params)
        return {name: p - LR * gradients[name] for name, p in params.items()}, value

    def run(epochs: int) -> torch.Tensor:
        params, losses = {name: p.detach().clone() for name, p in layer.named_parameters()}, []
        for _ in range(epochs):
            params, value = step(params)
            losses.append(value)
        return torch.stack(losses)

    return run


def _by_optimizer(loss: Callable[..., torch.Tensor], dtype: torch.dtype) -> Run:
    layer, x, y = _start(dtype)
    drawn = {name: p.clone() for name, p in layer.state_dict().items()}

    def run(epochs: int) -> torch.Tensor:
        layer.load_state_dict(drawn)
        optimizer, losses = torch.optim.SGD(layer.parameters(), lr=LR), []
        for _ in range(epochs):
            optimizer.zero_grad()
            value = loss(layer, x, y)
            value.backward()
            optimizer.step()
            losses.append(value.detach())
        return torch.stack(losses)

    return run


def _start(dtype: torch.dtype) -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    device = machine.torch_device()
    layer = start(dtype=str(dtype).removeprefix("torch.")).to(device)
    return layer, *(torch.tensor(values, dtype=dtype, device=device) for values in (X, Y))
