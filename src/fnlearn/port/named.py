"""A model and its inputs as a command line gives them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fnlearn import tree
from fnlearn.equivalence import Inputs, named

__all__ = ["dimensions", "module_and_inputs", "tensor"]

TENSOR = re.compile(r"(\w+)\[([\d,\s]*)\](?:<(\d+))?")


def module_and_inputs(text: str, args: Sequence[str], weights: Path | None) -> tuple[torch.nn.Module, Inputs]:
    """The module that `path.py:name` names, with the weights of a file, and what it is to be called with."""
    if args:
        module = named.module(text)
        inputs = Inputs(tuple(tensor(arg) for arg in args), {})
    else:
        module, given = named.module_and_inputs(text)
        call: Any = given[0] if isinstance(given, list) else given
        inputs = call if isinstance(call, Inputs) else Inputs((), call) if isinstance(call, dict) else Inputs(call, {})
    if weights is not None:
        state = {name: torch.tensor(array) for name, array in tree.flatten(tree.load(weights)).items()}
        try:
            module.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(f"{weights}: {error}") from error
    return module, inputs


def tensor(text: str) -> torch.Tensor:
    """Numbers of a dtype and shape: `float32[2,3]` normal ones, `int64[2,3]<10` below 10, 2 when no bound is given."""
    found = TENSOR.fullmatch(text)
    dtype = getattr(torch, found[1], None) if found else None
    if found is None or not isinstance(dtype, torch.dtype):
        raise ValueError(
            f'an argument is a dtype and a shape, such as "float32[1,3,32,32]" or "int64[2,16]<100", got {text!r}'
        )
    shape = tuple(int(size) for size in found[2].split(",") if size.strip())
    generator = torch.Generator().manual_seed(0)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(0, int(found[3] or 2), shape, generator=generator).to(dtype)


def dimensions(texts: Sequence[str]) -> dict[int, str]:
    """`0:batch` as {0: "batch"}."""
    found = {}
    for text in texts:
        number, colon, name = text.partition(":")
        if not number.isdecimal() or not colon or not name.isidentifier():
            raise ValueError(f"a dimension is given as its number and a name, such as 0:batch, got {text!r}")
        found[int(number)] = name
    return found
