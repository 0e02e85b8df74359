"""The training step of a port: the loss as source, torch's optimizer and scheduler with their state, and the loop."""

import ast
import copy
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import torch

from fnlearn import optim, tree
from fnlearn.optim.grouping import named_leaves
from fnlearn.port.errors import PortError
from fnlearn.port.names import snake_case
from fnlearn.port.program import formatted, imported

__all__ = ["Loss", "Training", "goes_on", "saved_state", "training"]

SAME = {"foreach", "fused", "capturable", "differentiable"}  # how torch works it out, not what comes out
IMPLIED = {"AdamW": {"decoupled_weight_decay": True}}
SCHEDULED = {"initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum"}  # what schedulers leave in groups

HEAD = '''\
"""Training from where PyTorch left off: the loss, the optimizer with its state, a step, and the loop."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

import fnlearn.functional as F
import model
from fnlearn import optim, tree

HERE = Path(__file__).parent
BUFFERS = {buffers}


'''
TAIL = '''

def start():
    """Parameters, buffers and the optimizer's state, as they were in PyTorch."""
    state = jax.tree.map(jnp.asarray, tree.load(HERE / "weights.safetensors"))
    buffers, params = tree.partition(state, lambda name, _: name in BUFFERS)
    kept = tree.flatten(tree.load(HERE / "optimizer.safetensors"))
    name = partial(jax.tree_util.keystr, simple=True, separator=".")
    empty = optimizer.init(params)
    opt_state = jax.tree_util.tree_map_with_path(lambda path, x: jnp.asarray(kept[name(path)], x.dtype), empty)
    return params, buffers, opt_state


@partial(jax.jit, donate_argnames=("params", "buffers", "opt_state"))
def step(params, buffers, opt_state, inputs, targets, key=None{rate}):
    """One update: parameters, buffers and the optimizer's state after it, and the loss before it."""

    def loss_of(params):
        out, after = model.apply(params, buffers, *inputs, train=True, key=key)
        return loss(out, *targets), after

    (value, buffers), grads = jax.value_and_grad(loss_of, has_aux=True)(params)
    updates, opt_state = optimizer.update(grads, opt_state, params{given})
    return optax.apply_updates(params, updates), buffers, opt_state, value


def train(batches, params, buffers, opt_state, key=None{rate_now}):
    """A step for each of (inputs, targets), two tuples; a key is needed where the model draws numbers."""
    losses = []
    for number, (inputs, targets) in enumerate(batches):
        own = None if key is None else jax.random.fold_in(key, number)
        params, buffers, opt_state, value = step(params, buffers, opt_state, inputs, targets, own{given})
        losses.append(value)
    return params, buffers, opt_state, losses
'''
FIXED = {"rate": "", "given": "", "rate_now": ""}
ON_PLATEAU = {"rate": ", *, lr", "given": ", lr=lr", "rate_now": ", *, lr=plateau_state.lr"}


class Loss(torch.nn.Module):
    """A loss as a model of its own, whose `forward` is the function."""

    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self.forward = function.forward if isinstance(function, torch.nn.Module) else function


@dataclass(frozen=True)
class Training:
    """The training of a port.

    Args: source: the text of train.py. module: it, imported. opt_state: torch's optimizer's state, for `module.step`.
        loss, targets, optimizer, scheduler: of torch's side, the scheduler if it is stepped with the updates. every:
            updates for each step of the scheduler.
    Raises: nothing.
    """

    source: str
    module: ModuleType
    opt_state: Any
    loss: Callable[..., Any]
    targets: tuple[Any, ...]
    optimizer: torch.optim.Optimizer
    scheduler: Any
    every: int


def training(
    loss_source: str,
    port: Any,
    loss: Callable[..., Any],
    targets: tuple[Any, ...],
    optimizer: torch.optim.Optimizer,
    scheduler: Any,
) -> Training:
    """The training of a port, whose loss was ported to `loss_source`."""
    module = port.original
    names = {id(p): name for name, p in module.named_parameters()}
    order = [names.get(id(p), "") for group in optimizer.param_groups for p in group["params"]]
    if "" in order:
        raise PortError(f"{order.count('')} of the optimizer's {len(order)} parameters are not the model's")
    plateau = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
    outside = _plateau(scheduler, optimizer.param_groups) if plateau else []
    scheduler = None if plateau else scheduler  # one that is stepped with the updates
    every, count = _pace(optimizer, scheduler)
    lines = "\n".join([*outside, *_chain(module, names, optimizer, scheduler, every)])
    buffers = sorted(tree.flatten(port.buffers))
    tail = TAIL.format(**(ON_PLATEAU if plateau else FIXED))
    source = formatted(f"{HEAD.format(buffers=buffers)}{_loss(loss_source)}\n\n{lines}{tail}")
    if "F." not in source:
        source = source.replace("import fnlearn.functional as F\n", "")
    made = imported(source, "train", model=port.module)
    state = optim.from_torch(optimizer.state_dict(), made.optimizer.init(port.params), port.params, order, count=count)
    return Training(source, made, state, loss, targets, optimizer, scheduler, every)


def _chain(
    module: torch.nn.Module, names: dict[int, str], optimizer: torch.optim.Optimizer, scheduler: Any, every: int
) -> list[str]:
    """The lines that make the optimizer: torch's groups, each with its options and its schedule."""
    lines, groups = [], []
    for i, group in enumerate(optimizer.param_groups):
        own = sorted(names[id(p)] for p in group["params"] if p.requires_grad)
        if not own:
            continue
        rate = repr(_plain(group["lr"]))
        if scheduler is not None:
            schedule = f"schedule_{i}" if len(optimizer.param_groups) > 1 else "schedule"
            lines.append(f"{schedule} = {_schedule(scheduler, i)}")
            rate = f"lambda count: {schedule}(count // {every})" if every > 1 else schedule
        groups.append((own, _optimizer(optimizer, scheduler, i, rate)))
    trained = {name for own, _ in groups for name in own}
    if len(groups) == 1 and trained == set(names.values()):
        return [*lines, f"optimizer = {groups[0][1]}"]
    members = [f"(lambda name, _: name in {own!r}, {call})" for own, call in groups]
    if trained != set(names.values()):
        members.append('("", None)')  # what is not trained
    return [*lines, f"optimizer = optim.groups([{', '.join(members)}])"]


def _loss(source: str) -> str:
    """The functions of the loss alone, the last of which takes what the model returns as it is."""
    tree_of = ast.parse(source)
    *functions, apply = [n for n in tree_of.body if not isinstance(n, ast.Import | ast.ImportFrom)]
    assert isinstance(apply, ast.FunctionDef)
    returned = apply.body[-1]
    assert isinstance(returned, ast.Return)
    assert isinstance(returned.value, ast.Tuple)
    call, given = returned.value.elts[0], apply.args
    assert isinstance(call, ast.Call)
    read = {n.id for n in ast.walk(call) if isinstance(n, ast.Name)}
    if read & {"params", "buffers"}:
        raise PortError("a loss with parameters or buffers of its own is not ported; make them part of the model")
    names = [a.arg for a in given.args[2 : len(given.args) - len(given.defaults)]]
    lines = source.split("\n")
    first = min(n.lineno for n in functions)
    body = "\n".join(lines[first - 1 : apply.lineno - 1]).rstrip() + "\n"
    body = re.sub(r"(def loss\(.*\):)  # .*", r"\1", body)
    refused = [n for n in apply.body if isinstance(n, ast.If) and _about(n.test, names)]
    if ast.unparse(call) == f"loss({', '.join(names)})" and not refused:
        return body
    parts = ast.unparse(call).removeprefix("loss")
    body = re.sub(r"\bdef loss\(", "def loss_of_parts(", body)
    refusals = "".join(textwrap.indent(ast.unparse(n), "    ") + "\n" for n in refused)
    return f"{body}\n\ndef loss({', '.join(names)}):\n{refusals}    return loss_of_parts{parts}\n"


def _about(test: ast.expr, names: list[str]) -> bool:
    return {n.id for n in ast.walk(test) if isinstance(n, ast.Name)} <= set(names)


# options


def _optimizer(optimizer: torch.optim.Optimizer, scheduler: Any, i: int, rate: str) -> str:
    kind = type(optimizer).__name__
    ours = getattr(optim, kind.lower(), None)
    if type(optimizer).__module__.partition(".")[0] != "torch" or ours is None:
        raise PortError(f"{kind} is not ported; the optimizers of torch.optim are")
    group, told = optimizer.param_groups[i], [rate]
    parameters = inspect.signature(ours).parameters
    for name, value in group.items():
        if name in ("params", "param_names", "lr", *SAME, *SCHEDULED):
            continue
        if name not in parameters:
            if IMPLIED.get(kind, {}).get(name) == value:
                continue
            raise PortError(f"{kind} with {name}={value!r} is not ported")
        value = _plain(value)
        if value != parameters[name].default:
            told.append(f"{name}={value!r}")
    momentum = _momentum(scheduler, i) if scheduler is not None else ""
    if momentum and "momentum" not in group:
        raise PortError(f"{type(scheduler).__name__} changes the first beta of {kind}; pass cycle_momentum=False")
    if momentum:
        told = [option for option in told if not option.startswith("momentum=")] + [f"momentum={momentum}"]
    return f"optim.{kind.lower()}({', '.join(told)})"


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.item()
    return tuple(_plain(part) for part in value) if isinstance(value, list | tuple) else value


def _schedule(scheduler: Any, i: int) -> str:
    """The schedule of a group as an expression."""
    kind = type(scheduler).__name__
    if kind == "SequentialLR":
        parts = ", ".join(_schedule(part, i) for part in scheduler._schedulers)
        return f"optim.schedules.sequential_lr([{parts}], {list(scheduler._milestones)})"
    if kind == "ChainedScheduler":
        return f"optim.schedules.chained_scheduler([{', '.join(_schedule(p, i) for p in scheduler._schedulers)}])"
    if kind == "OneCycleLR":
        return f"optim.schedules.one_cycle_lr({_cycle(scheduler, i)})"
    ours = getattr(optim.schedules, snake_case(kind.replace("LR", "Lr")), None)
    held = {**vars(scheduler), "lr": scheduler.base_lrs[i]}
    parameters = inspect.signature(ours).parameters if ours is not None else {}
    if ours is None or any(name not in held for name in parameters):
        raise PortError(f"{kind} is not ported; write its schedule with fnlearn.optim.schedules")
    if "milestones" in held:
        held["milestones"] = sorted(held["milestones"].elements())
    return _made(ours, held)


def _made(ours: Callable[..., Any], held: dict[str, Any]) -> str:
    """The call that makes a schedule, with the options that are not its defaults."""
    (lr, _), *parameters = inspect.signature(ours).parameters.items()
    told = [f"{name}={held[name]!r}" for name, parameter in parameters if held[name] != parameter.default]
    return f"optim.schedules.{ours.__name__}({', '.join([repr(_plain(held[lr])), *told])})"


def _plateau(scheduler: Any, groups: list[dict[str, Any]]) -> list[str]:
    """The lines of a scheduler that is given a metric: it and where it stands."""
    rates = {(_plain(group["lr"]), least) for group, least in zip(groups, scheduler.min_lrs, strict=True)}
    if len(rates) > 1:
        told = ", ".join(f"lr={lr!r} and min_lr={least!r}" for lr, least in sorted(rates))
        raise PortError(f"ReduceLROnPlateau of groups with different rates is not ported, got {told}")
    ((lr, least),) = rates
    made = optim.schedules.reduce_lr_on_plateau
    state = optim.schedules.from_torch(scheduler.state_dict())._asdict() | {"lr": lr}
    start = made(lr, mode=scheduler.mode).init()._asdict()
    told = ", ".join(f"{name}={_plain(value)!r}" for name, value in state.items() if value != start[name])
    now = f"plateau.init()._replace({told})" if told else "plateau.init()"
    return [
        f"plateau = {_made(made, {**vars(scheduler), 'lr': lr, 'min_lr': least})}",
        "# after each epoch: plateau_state = plateau.update(plateau_state, metric); train(..., lr=plateau_state.lr)",
        f"plateau_state = {now}",
    ]


def _cycle(scheduler: Any, i: int) -> str:
    group, phases = scheduler.optimizer.param_groups[i], scheduler._schedule_phases
    options = {
        "total_steps": scheduler.total_steps,
        "pct_start": (phases[0]["end_step"] + 1) / scheduler.total_steps,
        "anneal_strategy": scheduler._anneal_func_type,
        "div_factor": group["max_lr"] / group["initial_lr"],
        "final_div_factor": group["initial_lr"] / group["min_lr"],
        "three_phase": len(phases) == 3,
    }
    if scheduler.cycle_momentum:
        options |= {name: group[name] for name in ("base_momentum", "max_momentum")}
    told = ", ".join(f"{name}={value!r}" for name, value in options.items())
    return f"{group['initial_lr']!r}, {group['max_lr']!r}, {told}"


def _momentum(scheduler: Any, i: int) -> str:
    if type(scheduler).__name__ == "OneCycleLR" and scheduler.cycle_momentum:
        return f"optim.schedules.one_cycle_momentum({_cycle(scheduler, i)})"
    return ""


def _pace(optimizer: torch.optim.Optimizer, scheduler: Any) -> tuple[int, int | None]:
    """How many updates there are for each step of the scheduler, and how many there were, where that is told."""
    counts = [int(kept["step"]) for kept in optimizer.state.values() if "step" in kept]
    count = max(counts, default=None)
    if scheduler is None:
        return 1, count
    steps = optim.schedules.from_torch(scheduler.state_dict())
    if count is None or not steps:
        return 1, steps
    if count % steps:
        raise PortError(f"{count} updates and {steps} steps of the scheduler: they must go together in a fixed ratio")
    return count // steps, count


# torch's side


def goes_on(training: Training, module: torch.nn.Module) -> Callable[[list[Any]], Any]:
    """What makes an optimizer for a copy of the model's trained parameters, with the state that torch's has now."""
    trained = [p for p in module.parameters() if p.requires_grad]
    place = {id(p): i for i, p in enumerate(trained)}

    class Stepping:
        """An optimizer and its scheduler, which go on together."""

        def __init__(self, parameters: list[Any]):
            self.optimizer, self.scheduler = copy.deepcopy((training.optimizer, training.scheduler))
            self.done, kept = 0, {}
            for group, old in zip(self.optimizer.param_groups, training.optimizer.param_groups, strict=True):
                mine = [(parameters[place[id(p)]], p) for p in old["params"] if p.requires_grad]
                group["params"] = [p for p, _ in mine]
                for p, original in mine:
                    if original in training.optimizer.state:
                        kept[p] = {
                            name: _cast(name, value, p)
                            for name, value in copy.deepcopy(training.optimizer.state[original]).items()
                        }
            self.optimizer.state.clear()
            self.optimizer.state.update(kept)

        def zero_grad(self) -> None:
            self.optimizer.zero_grad()

        def step(self) -> None:
            self.optimizer.step()
            self.done += 1
            if self.scheduler is not None and self.done % training.every == 0:
                self.scheduler.step()

    return Stepping


def _cast(name: str, value: Any, like: torch.Tensor) -> Any:
    floats = isinstance(value, torch.Tensor) and value.is_floating_point() and name != "step"
    return value.to(like.dtype) if floats else value


def saved_state(opt_state: Any) -> dict[str, Any]:
    """A state's arrays by their places, as `tree.save` takes them."""
    named = {name: jnp.asarray(leaf) for name, leaf in named_leaves(opt_state)}
    return tree.unflatten(named)
