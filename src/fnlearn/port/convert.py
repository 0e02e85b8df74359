"""From a torch module to JAX source, and the source as a module that runs."""

import linecache
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import torch

from fnlearn import tree
from fnlearn.port.capture import Trace, trace
from fnlearn.port.merge import merge
from fnlearn.port.program import program

__all__ = ["Port", "convert"]


@dataclass(frozen=True)
class Port:
    """A model as JAX source, with its weights.

    source: the text. params, buffers: nested dicts of arrays whose joined keys are the state_dict's. module: the text,
    imported. apply: its function (params, buffers, *inputs, train=False, key=None) → (outputs, buffers).
    """

    source: str
    params: dict[str, Any]
    buffers: dict[str, Any]
    module: ModuleType

    @property
    def apply(self) -> Any:
        """The whole model, as the text has it."""
        return self.module.apply


def convert(
    module: torch.nn.Module,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: bool = True,
) -> Port:
    """JAX source for a torch module, written from what it does with example inputs.

    Args: module: the model, on the CPU; it stays as it is. args, kwargs: inputs for `forward`, tensors and plain values.
        dynamic_shapes: whether the sizes of the inputs may be others later; without it they are constants.
    Returns: the source, the weights, and the function, see `Port`.
    Raises: PortError that names the place and what to change, for what can't be ported.
    """
    given = args if isinstance(args, tuple) else (args,)
    train, evaluation = (trace(module, given, kwargs or {}, mode, dynamic_shapes) for mode in (True, False))
    root = merge(train.root, evaluation.root)
    source = program(root, evaluation, evaluation.sizes | train.sizes)
    return Port(source, *_weights(evaluation), imported(source))


def imported(source: str, name: str = "fnlearn_port") -> ModuleType:
    """The text as a module; its lines show in tracebacks."""
    file = f"<{name} {id(source)}>"
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    module = ModuleType(name)
    exec(compile(source, file, "exec"), module.__dict__)
    return module


def _weights(traced: Trace) -> tuple[dict[str, Any], dict[str, Any]]:
    params, buffers = {}, {}
    for path, (kind, tensor) in traced.held.items():
        array = jnp.asarray(tree.as_numpy(tensor))
        (params if kind == "param" else buffers)[path] = array
    return tree.unflatten(params), tree.unflatten(buffers)
