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
from fnlearn.port.errors import PortError
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
    train, evaluation, reason = _traced(module, given, kwargs or {}, (99, 1, 0) if dynamic_shapes else (0,))
    root = merge(train.root, evaluation.root) if train is not evaluation else evaluation.root
    source = program(root, evaluation, evaluation.sizes | train.sizes, reason)
    return Port(source, *_weights(evaluation), imported(source))


def _traced(module: torch.nn.Module, args: Any, kwargs: Any, dynamic: tuple[int, ...]) -> tuple[Trace, Trace, str]:
    """The two modes, with as many symbolic sizes as torch's own functions stand; and why there is no training."""
    for dims in dynamic:
        try:
            evaluation = trace(module, args, kwargs, False, dims)
        except PortError:
            raise
        except Exception:  # torch says by many kinds of error that a function of its own needs a number
            if dims == dynamic[-1]:
                raise
            continue
        try:
            return trace(module, args, kwargs, True, dims), evaluation, ""
        except PortError as error:
            return evaluation, evaluation, str(error)
        except Exception:
            if dims == dynamic[-1]:
                raise
    raise AssertionError("dynamic is not empty")


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
