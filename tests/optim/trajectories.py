"""One run on both sides: the same start, the same gradients, and the parameters after every step."""

import inspect
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from torch.testing._internal import common_optimizers

from fnlearn import optim

STEPS = 100
SHAPES = {"weight": (3, 4), "bias": (3,), "scale": ()}
INFOS: list[Any] = common_optimizers.optim_db
CLASSES: dict[str, Any] = {info.optim_cls.__name__.lower(): info.optim_cls for info in INFOS}
MATRICES = ("muon",)  # alone
REAL = ("adafactor", "muon", "sparseadam")  # alone
ROWS = ("sparseadam",)  # torch's gradients are sparse

Arrays = dict[str, np.ndarray]


def shapes(name: str) -> dict[str, tuple[int, ...]]:
    kept = {key: shape for key, shape in SHAPES.items() if len(shape) == 2 or name not in MATRICES}
    return {key: shape for key, shape in kept.items() if shape or name not in ROWS}


def start(name: str, imaginary: bool = False) -> Arrays:
    rng = np.random.default_rng(1)
    drawn = {key: rng.uniform(-0.5, 0.5, (2, *shape)) for key, shape in shapes(name).items()}
    return {key: x[0] + 1j * x[1] if imaginary else x[0] for key, x in drawn.items()}


def gradients(name: str, imaginary: bool = False, steps: int = STEPS) -> Arrays:
    """(steps, *) each: one row of the weight has zeros alone, another at every second step, the bias at first."""
    rng = np.random.default_rng(2)
    drawn = {key: rng.standard_normal((2, steps, *shape)) + 0.2 for key, shape in shapes(name).items()}
    found = {key: x[0] + 1j * x[1] if imaginary else x[0] for key, x in drawn.items()}
    found["weight"][:, 1] = 0
    found["weight"][::2, 2] = 0
    if "bias" in found:
        found["bias"][:3] = 0
    return found


def torch_optimizer(name: str, params: list[torch.nn.Parameter], options: dict[str, Any]) -> torch.optim.Optimizer:
    """The plain loop over parameters, which is the reference for all of torch's own forms."""
    cls = CLASSES[name]
    single = {"foreach": False} if "foreach" in inspect.signature(cls.__init__).parameters else {}
    given = {key: value.clone() if torch.is_tensor(value) else value for key, value in options.items()}
    return cls(params, **{**single, **given})


def torch_params(values: Arrays, dtype: str) -> dict[str, torch.nn.Parameter]:
    return {key: torch.nn.Parameter(torch.tensor(x).to(getattr(torch, dtype))) for key, x in values.items()}


def torch_steps(
    name: str, optimizer: Any, params: dict[str, torch.nn.Parameter], gradients: Arrays, missing: str = "", **_: Any
) -> dict[str, np.ndarray]:
    """A gradient is missing for one parameter at every third step."""
    seen: dict[str, list[torch.Tensor]] = {key: [] for key in params}
    for step in range(len(gradients["weight"])):
        for key, p in params.items():
            g = torch.tensor(gradients[key][step], dtype=p.dtype)
            p.grad = None if key == missing and step % 3 == 0 else g.to_sparse(1) if name in ROWS else g
        optimizer.step()
        for key, p in params.items():
            seen[key].append(p.detach().clone())
    return {key: torch.stack(values).numpy() for key, values in seen.items()}


def torch_run(name: str, options: dict[str, Any], dtype: str, **more: Any) -> dict[str, np.ndarray]:
    imaginary = dtype.startswith("complex")
    params = torch_params(start(name, imaginary), dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = torch_optimizer(name, list(params.values()), options)
        return torch_steps(name, optimizer, params, gradients(name, imaginary), **more)


def jax_steps(optimizer: Any, params: Any, state: Any, gradients: Any, **extra: Any) -> tuple[Any, Any, Any]:
    """The parameters and the state in the end, and the parameters after every step."""
    optimizer = optax.with_extra_args_support(optimizer)

    def step(carry: Any, gradients: Any) -> Any:
        params, state = carry
        updates, state = optimizer.update(gradients, state, params, **extra)
        params = optax.apply_updates(params, updates)
        return (params, state), params

    (params, state), seen = jax.lax.scan(step, (params, state), gradients)
    return params, state, seen


def jax_run(name: str, options: dict[str, Any], dtype: str, missing: str = "", **extra: Any) -> Any:
    imaginary = dtype.startswith("complex")
    optimizer = getattr(optim, name)(**options)
    params = jax.tree.map(lambda x: jnp.asarray(x, dtype), start(name, imaginary))
    given = jax.tree.map(lambda x: jnp.asarray(x, dtype), gradients(name, imaginary))
    state = optimizer.init(params)
    if missing:
        return _jax_run_with_gaps(optimizer, params, state, given, missing)
    return jax_steps(optimizer, params, state, given, **extra)[2]


def _jax_run_with_gaps(optimizer: Any, params: Any, state: Any, gradients: Any, missing: str) -> Any:
    update, seen = jax.jit(optimizer.update), []
    for step in range(len(gradients["weight"])):
        given = {key: g[step] for key, g in gradients.items()}
        updates, state = update(given | ({missing: None} if step % 3 == 0 else {}), state, params)
        params = optax.apply_updates(params, updates)
        seen.append(params)
    return jax.tree.map(lambda *x: jnp.stack(x), *seen)


def apart(expected: dict[str, np.ndarray], found: Any, begin: Arrays) -> float:
    """The greatest distance of both, at any step, in terms of the farthest that any parameter went."""
    went = max(np.abs(expected[key] - begin[key]).max() for key in expected)
    return float(max(np.abs(np.asarray(found[key]) - expected[key]).max() for key in expected) / went)
