"""torchax, which runs a torch module by JAX, beside fnlearn: `python -m benchmarks.torchax [NAME ...] [--rounds N]`.

It is measured apart from the others, since torch.compile does not work in a process that has imported it, and has to be
installed by hand: `python -m pip install --no-deps torchax==0.0.13`. That release names overloads of ATen's that torch
2.13 has dropped, and so can't be imported with it as it is.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import torch
import tyro
from rich.console import Console

from benchmarks import port, steps_page, train
from benchmarks.harness import Case, Prepare, Run
from benchmarks.port import torch_side as port_torch
from benchmarks.port.models import ROWS as PORTS
from benchmarks.port.models import Row as PortRow
from benchmarks.run import RESULTS, prepare, run
from benchmarks.train import torch_side as train_torch
from benchmarks.train.models import LR, MAKE, MOMENTUM, batch, weights
from benchmarks.train.models import ROWS as STEPS
from benchmarks.train.models import Row as TrainRow
from fnlearn.bench.torch_side import KIT
from fnlearn.tree import as_numpy

INSTALLED = importlib.util.find_spec("torchax") is not None
TARGET = 1.5  # times as fast as torchax
Names = Annotated[tuple[str, ...], tyro.conf.Positional]


def main(names: Names = (), /, rounds: int = 7, quick: bool = False, out: Path | None = None) -> int:
    """Measure the same training steps by both.

    Args:
        names: Models (port_gpt, train_mlp), else all.
        rounds: How often each is timed.
        quick: A hundredth of the work, to see that it runs; without --out nothing is written.
        out: Where the results go, benchmarks/results when left out.
    """
    log = Console(stderr=True)
    cases = [case for case in CASES if not names or case.name.removeprefix("torchax_") in names]
    if not cases or not INSTALLED:
        log.print("benchmarks: " + ("torchax is not installed" if cases else f"there is no model {', '.join(names)}"))
        return 2
    prepare()
    results, status = run(cases, rounds, quick, out or (None if quick else RESULTS), log)
    Console(width=160).print(steps_page.tables(results), markup=False, soft_wrap=True)
    return status or int(not all(result["ok"] for result in results))


def of_port(row: PortRow) -> Case:
    """A ported model, and torch's own module run by torchax."""

    def translated() -> Run:
        module, inputs, targets = row.make()
        return sgd(WithLoss(module.train(), lambda out, given: row.loss(out, *given)), inputs, targets, port_torch.LR)

    return _beside(port.case(row), translated)


def of_step(row: TrainRow) -> Case:
    """A step of `fnlearn.train`, and the same model in torch run by torchax."""

    def translated() -> Run:
        module = MAKE[row.kind](KIT, **row.size)
        module.load_state_dict({name: torch.from_numpy(x) for name, x in weights(row).items()})
        x, target = map(torch.from_numpy, batch(row))
        return sgd(WithLoss(module, train_torch.loss_of_output), (x,), target.long(), LR, MOMENTUM)

    return _beside(train.case(row), translated)


def _beside(case: Case, translated: Prepare) -> Case:
    """The same case, with torchax in the place of all sides but ours."""
    ours = next(side for side in case.sides if side.name == "fnlearn")
    sides = ours._replace(name="torchax", forms={"jit": translated}), ours
    return case._replace(name=f"torchax_{case.name}", target=TARGET, sides=sides, file="torchax")


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


CASES = (*map(of_port, PORTS), *map(of_step, STEPS))

if __name__ == "__main__":
    sys.exit(tyro.cli(main, prog="python -m benchmarks.torchax"))
