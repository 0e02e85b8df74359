"""torch's own draws on the CPU."""

from typing import Any

import torch

from benchmarks.harness import Run


def draw(row: Any, size: int) -> Run:
    generator = torch.Generator().manual_seed(0)
    dtype: dict[str, Any] = {name: getattr(torch, value) for name, value in row.options.items()}

    def once(generator: torch.Generator) -> torch.Tensor:
        if row.torch == "trunc_normal_":
            return getattr(torch.nn.init, row.torch)(torch.empty(size), *row.torch_args, generator=generator)
        if row.torch.endswith("_"):
            return getattr(torch.empty(size, **dtype), row.torch)(*row.torch_args, generator=generator)
        return getattr(torch, row.torch)(*row.torch_args, **dtype, generator=generator)

    def run(count: int) -> torch.Tensor:
        if count == 1:  # timed: the next numbers
            return once(generator)
        return once(torch.Generator().manual_seed(0))  # for the eye: the first

    return run
