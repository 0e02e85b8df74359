"""The question about a whole run: losses, gradient norms, parameters and buffers, step by step."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fnlearn.equivalence.answer import Answer, Findings, largest
from fnlearn.equivalence.pair import Call, Pair, arguments, array, draws, float64_for, tensor
from fnlearn.tree import as_numpy, flatten

Batch = tuple[Call, Any]
Losses = tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]
Trajectory = dict[str, dict[str, np.ndarray]]
# Of float64. A bias before a normalisation has a gradient of rounding alone, 1e-16; Adam divides it by its eps of 1e-8.
NEAR = 1e-6
CAUSES = {
    "loss": "the forward pass: ask `forward`, and compare the batches",
    "gradients": "the backward pass: ask `backward` with this loss",
    "params": "the optimizer: ask `optimizer`",
    "buffers": "buffers, as running statistics: ask `forward` in training",
}


def training(
    both: Pair,
    make: Callable[[list[Any]], Any],
    transformation: optax.GradientTransformation,
    batches: Sequence[Batch],
    losses: Losses,
    *,
    jax_batches: Sequence[Batch] | None = None,
    dtypes: Sequence[str] = ("float32",),
    key: Any = None,
) -> Answer:
    """Whether two runs are the same, and if not, at which step they part and what to look at.

    Args: both: a `Pair`. make: makes torch's optimizer of a list of parameters. transformation: JAX's. batches: for
        each step (inputs, target), inputs as for `forward`. losses: (torch's, JAX's), each of which makes a number of
        (output, target). jax_batches: what JAX's own loader gives; the same batches when left out. dtypes: those to
        compute in; float64 is always among them. key: for the JAX side.
    Returns: an `Answer`; a leaf is one quantity over all steps: dtype.loss, dtype.gradients.norm, dtype.params.NAME,
        dtype.buffers.NAME. Float64 must agree to 1e-6 of the largest loss or norm, of the way that the parameters
        went, and of the largest buffer. A problem says where the float64 runs part, and why they may.
    Raises: ValueError without batches, or when the sides have not equally many; what either side raises.
    """
    given = list(batches), list(batches if jax_batches is None else jax_batches)
    if not given[0] or len(given[0]) != len(given[1]):
        raise ValueError(f"there must be batches, as many on both sides, got {len(given[0])} and {len(given[1])}")
    found = Findings("training")
    if draws(both.module, given[0][0][0]):
        found.problems.append("the module draws random numbers in training: set its dropout to 0")
        return found.answer()
    start = {name: as_numpy(p) for name, p in both.module.named_parameters()}
    for dtype in dict.fromkeys((*dtypes, "float64")):
        theirs = _torch_run(both, make, given[0], losses[0], dtype, dtype)
        mine = _jax_run(both, transformation, given[1], losses[1], dtype, key)
        wide = None if dtype == "float64" else _torch_run(both, make, given[0], losses[0], "float64", dtype)
        near = {part: NEAR * _size(part, theirs[part], start) for part in theirs}
        for part, atol in near.items():
            found.compare(f"{dtype}.{part}", theirs[part], mine[part], wide and wide[part], atol)
        if dtype == "float64" and not found.problems:
            found.problems += _parting(theirs, mine, near)
    return found.answer()


def _size(part: str, values: dict[str, np.ndarray], start: dict[str, np.ndarray]) -> float:
    """What an error is measured by: how far the parameters went, or how large the numbers are."""
    moved = {name: x - start[name] for name, x in values.items()} if part == "params" else values
    return largest(moved)


def _parting(theirs: Trajectory, mine: Trajectory, atol: dict[str, float]) -> list[str]:
    """The first step at which anything differs; of that step what is computed first."""
    first: dict[str, int] = {}
    for part, values in theirs.items():
        for name, expected in values.items():
            same = np.isclose(mine[part][name], expected, rtol=0, atol=atol[part], equal_nan=True)
            wrong = np.flatnonzero(~same.reshape(len(expected), -1).all(1))
            if wrong.size:
                first[part] = min(first.get(part, len(expected)), int(wrong[0]))
    if not first:
        return []
    step = min(first.values())
    part = next(part for part in CAUSES if first.get(part) == step)
    late = "" if step == 0 else ", or data in another order, or a state that was lost between steps"
    return [f"the runs part at step {step + 1}, in {part}; look at {CAUSES[part]}{late}"]


def _torch_run(
    both: Pair, make: Callable[[list[Any]], Any], batches: list[Batch], loss_fn: Any, dtype: str, seen: str
) -> Trajectory:
    import torch

    module = copy.deepcopy(both.module).train().to(getattr(torch, seen)).to(getattr(torch, dtype))
    params = {name: p for name, p in module.named_parameters() if p.requires_grad}
    optimizer, saved, steps = make(list(params.values())), module.state_dict(), []
    for call, target in batches:
        args, kwargs = jax.tree.map(lambda x: tensor(x, dtype, seen), arguments(call))
        ((goal,), _) = jax.tree.map(lambda x: tensor(x, dtype, seen), arguments((target,)))
        optimizer.zero_grad()
        loss = loss_fn(module(*args, **kwargs), goal)
        loss.backward()
        norm = torch.stack([p.grad.norm() for p in params.values() if p.grad is not None]).norm()
        optimizer.step()
        kept = {name: b for name, b in module.named_buffers() if name in saved}
        steps.append(_step(loss, norm, dict(module.named_parameters()), kept))
    return _stacked(steps)


def _jax_run(
    both: Pair, transformation: optax.GradientTransformation, batches: list[Batch], loss_fn: Any, dtype: str, key: Any
) -> Trajectory:
    update = optax.with_extra_args_support(transformation).update
    frozen = {name for name, p in both.module.named_parameters() if not p.requires_grad}

    def loss_of(params: Any, buffers: Any, inputs: Any, goal: Any) -> tuple[Any, Any]:
        args, kwargs = inputs
        out, after = both.apply(params, buffers, *args, train=True, key=key, **kwargs)
        return loss_fn(out, goal), after

    @jax.jit
    def step(params: Any, buffers: Any, state: Any, inputs: Any, goal: Any) -> Any:
        (loss, buffers), grads = jax.value_and_grad(loss_of, has_aux=True)(params, buffers, inputs, goal)
        norm = jnp.sqrt(sum(jnp.sum(g * g) for name, g in both.names(grads).items() if name not in frozen))
        updates, state = update(grads, state, params)
        return optax.apply_updates(params, updates), buffers, state, loss, norm

    with float64_for(dtype):
        params, buffers = jax.tree.map(lambda x: array(x, dtype), (both.params, both.buffers))
        state, steps = transformation.init(params), []
        for call, target in batches:
            inputs, ((goal,), _) = jax.tree.map(lambda x: array(x, dtype), (arguments(call), arguments((target,))))
            params, buffers, state, loss, norm = step(params, buffers, state, inputs, goal)
            steps.append(_step(loss, norm, both.names(params), flatten(buffers)))
        return _stacked(steps)


def _step(loss: Any, norm: Any, params: Any, buffers: Any) -> Trajectory:
    parts = {"loss": {"": loss}, "gradients": {"norm": norm}, "params": params, "buffers": buffers}
    return {part: {name: as_numpy(x).copy() for name, x in values.items()} for part, values in parts.items()}


def _stacked(steps: list[Trajectory]) -> Trajectory:
    return {
        part: {name: np.stack([step[part][name] for step in steps]) for name in values}
        for part, values in steps[0].items()
    }
