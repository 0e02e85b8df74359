"""How a line of the table of layers is written: a constructor's arguments, and inputs."""

from typing import Any, NamedTuple

from tests.cases.table import told


class LayerCase(NamedTuple):
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: tuple[Any, ...]
    random: bool

    def __str__(self) -> str:
        options = [told(value) for value in self.args] + [
            f"{name}={told(value)}" for name, value in self.kwargs.items()
        ]
        return f"{self.name}({','.join(options)})({','.join(map(told, self.inputs))})".replace(" ", "")


def layer(name: str, *args: Any, inputs: tuple[Any, ...], random: bool = False, **kwargs: Any) -> LayerCase:
    """A layer of `fnlearn.nn`; `random` says that it draws in training, which is then tested elsewhere."""
    return LayerCase(name, args, kwargs, inputs, random)
