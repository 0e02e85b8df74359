"""Lesson D in PyTorch: the twin's network and loss in a loop that records the loss of each step."""

from collections.abc import Callable

import torch

from benchmarks import machine
from benchmarks.harness import Run
from fnlearn.lessons.d_hidden import pima
from fnlearn.lessons.d_hidden.torch_side import Net, loss, start

LR = 0.1
Batch = tuple[torch.Tensor, torch.Tensor]


def eager(batch_size: int | None, dtype: torch.dtype = torch.float32) -> Run:
    return _by_optimizer(loss, batch_size, dtype)


def compiled_loss(batch_size: int | None) -> Run:
    """Forward and loss compiled, as most scripts do; backward's graph comes with it, the optimizer stays eager."""
    return _by_optimizer(torch.compile(loss, dynamic=False), batch_size, torch.float32)


def compiled_step(batch_size: int | None) -> Run:
    """Loss, gradient and update as one compiled function of the parameters, which takes a rewrite with torch.func."""
    net, batches = _start(batch_size, torch.float32)

    def value_of(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return loss(lambda x: torch.func.functional_call(net, params, (x,)), x, y)

    # dynamic=False: two specialised graphs, one for the last, shorter batch
    @torch.compile(dynamic=False)
    def step(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> tuple[dict, torch.Tensor]:
        gradients, value = torch.func.grad_and_value(value_of)(params, x, y)
        return {name: p - LR * gradients[name] for name, p in params.items()}, value

    def run(epochs: int) -> torch.Tensor:
        params, losses = {name: p.detach().clone() for name, p in net.named_parameters()}, []
        for _ in range(epochs):
            for batch in batches:
                params, value = step(params, *batch)
                losses.append(value)
        return torch.stack(losses)

    return run


def _by_optimizer(loss: Callable[..., torch.Tensor], batch_size: int | None, dtype: torch.dtype) -> Run:
    net, batches = _start(batch_size, dtype)
    drawn = {name: p.clone() for name, p in net.state_dict().items()}

    def run(epochs: int) -> torch.Tensor:
        net.load_state_dict(drawn)
        optimizer, losses = torch.optim.SGD(net.parameters(), lr=LR), []
        for _ in range(epochs):
            for batch in batches:
                optimizer.zero_grad()
                value = loss(net, *batch)
                value.backward()
                optimizer.step()
                losses.append(value.detach())
        return torch.stack(losses)

    return run


def _start(batch_size: int | None, dtype: torch.dtype) -> tuple[Net, list[Batch]]:
    """The network as the seed draws it, as it is on fnlearn's side, and the batches on the device."""
    device = machine.torch_device()
    net = start(str(dtype).removeprefix("torch.")).to(device)
    x, y = (torch.tensor(part, dtype=dtype, device=device) for part in pima.load()[:2])
    size = batch_size or len(x)
    return net, list(zip(x.split(size), y.split(size), strict=True))
