"""A run of torch's SGD, as the benchmarks of whole training steps measure it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from benchmarks.harness import Run


def sgd(
    module: torch.nn.Module,
    first: Mapping[str, torch.Tensor],
    loss: Callable[..., torch.Tensor],
    batches: Sequence[tuple[Any, ...]],
    lr: float,
    momentum: float = 0.0,
) -> Run:
    """A function that goes through the batches so many times, from the first weights on, and returns every loss."""

    def run(times: int) -> torch.Tensor:
        module.load_state_dict(first)
        optimizer, losses = torch.optim.SGD(module.parameters(), lr, momentum), []
        for _ in range(times):
            for given in batches:
                optimizer.zero_grad()
                value = loss(*given)
                value.backward()
                optimizer.step()
                losses.append(value.detach())
        return torch.stack(losses)

    return run
