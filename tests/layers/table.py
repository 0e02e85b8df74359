"""How a line of the table of layers is written: a constructor's arguments, and inputs."""

from typing import Any, NamedTuple

import numpy as np


class LayerCase(NamedTuple):
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Any, ...]
    random: bool

    def __str__(self) -> str:
        options = [str(value) for value in self.args] + [f"{name}={value}" for name, value in self.kwargs.items()]
        shapes = ["×".join(map(str, x.shape)) if isinstance(x, np.ndarray) else str(x) for x in self.inputs]
        return f"{self.name}({','.join(options)})({','.join(shapes)})".replace(" ", "")


def layer(name: str, *args: Any, inputs: tuple[Any, ...], random: bool = False, **kwargs: Any) -> LayerCase:
    """A layer of `fnlearn.nn`; `random` says that it draws in training, which is then tested elsewhere."""
    return LayerCase(name, args, kwargs, inputs, random)
