"""torchax, where it is installed: a torch module run by JAX, which some benchmarks measure beside.

Its release 0.0.13 names overloads of ATen's that torch 2.13 has dropped, and so can't be imported with it as it is.
"""

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import torch

from benchmarks.harness import Run
from fnlearn.tree import as_numpy

INSTALLED = importlib.util.find_spec("torchax") is not None


class WithLoss(torch.nn.Module):
    """A model, and the loss of what it returns, which is what torchax runs: (output, targets) → number."""

    def __init__(self, module: torch.nn.Module, loss: Callable[[Any, Any], torch.Tensor]):
        super().__init__()
        self.module, self.loss = module, loss

    def forward(self, inputs: Any, targets: Any) -> torch.Tensor:
        """The loss."""
        return self.loss(self.module(*inputs), targets)


def sgd(model: WithLoss, inputs: Any, targets: Any, lr: float, momentum: float = 0.0) -> Run:
    """A jitted step of torch's SGD, whose state's memory is taken over, and which JAX differentiates."""
    states, loss = load().extract_jax(model)
    trained = {name for name, _ in model.named_parameters()}
    given = jax.tree.map(lambda x: jnp.asarray(as_numpy(x)), (inputs, targets))
    fixed = {name: jnp.asarray(x) for name, x in states.items() if name not in trained}

    def step(params: Any, moving: Any) -> tuple[Any, Any, jax.Array]:
        value, grads = jax.value_and_grad(lambda p: loss({**p, **fixed}, given))(params)
        moving = jax.tree.map(lambda m, g: momentum * m + g, moving, grads) if momentum else grads
        return jax.tree.map(lambda p, m: p - lr * m, params, moving), moving if momentum else {}, value

    jitted = jax.jit(step, donate_argnums=(0, 1))

    def run(steps: int) -> jax.Array:
        params = {name: jnp.array(x) for name, x in states.items() if name in trained}
        moving, losses = jax.tree.map(jnp.zeros_like, params) if momentum else {}, []
        for _ in range(steps):
            params, moving, value = jitted(params, moving)
            losses.append(value)
        return jnp.stack(losses)

    return run


def load() -> Any:
    """The library; overloads that are gone are others of the same operation's, which nothing calls."""
    with _with_dropped_overloads():
        library = importlib.import_module("torchax")
        library.default_env()  # which reads more of its tables
    return library


@contextmanager
def _with_dropped_overloads() -> Iterator[None]:
    packet: Any = torch._ops.OpOverloadPacket
    original = packet.__getattr__

    def found(self: Any, name: str) -> Any:
        try:
            return original(self, name)
        except AttributeError:
            if "name" not in name.lower():
                raise
            return f"{self}.{name}"

    packet.__getattr__ = found
    try:
        yield
    finally:
        packet.__getattr__ = original
