"""A recorded call of a model."""

from dataclasses import dataclass
from typing import Any

import torch

from fnlearn.port.graph import Inst, Val
from fnlearn.port.sizes import Condition

__all__ = ["Trace"]


@dataclass(frozen=True)
class Trace:
    """A recorded call of a model: the root's `Inst`, and how the source calls sizes.

    sizes: names of symbolic sizes by (module call, expression). expressions: sizes as sympy has them, by their text.
    defined: what sizes are that have a symbol of their own, by its name, each by earlier ones.
    held: every tensor the model holds, by path. inputs: the tensors it was given. constants: which of the inputs' sizes
    have to be the example's. conditions: what else has to hold of them. like_the_example: whether it holds there, but
    for those that a size is more than one.
    """

    root: Inst
    sizes: dict[tuple[int, str], str]
    expressions: dict[str, Any]
    defined: dict[str, Any]
    held: dict[str, tuple[str, torch.Tensor]]
    inputs: list[Val]
    constants: list[Condition]
    conditions: list[Condition]
    like_the_example: bool
