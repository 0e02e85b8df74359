"""A training run of torch's continued, and handed back: `optimizer.state_dict()` and optax states of `fnlearn.optim`.

torch counts parameters by position, so the names in torch's order belong to it: those of `model.named_parameters()`, or
of the groups one after the other. Where torch's optimizer was given named parameters, its state_dict has them.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn import tree
from fnlearn.optim.grouping import named, named_leaves
from fnlearn.optim.lbfgs import LBFGSState
from fnlearn.optim.parameterwise import Place, State

StateDict = Mapping[str, Any]
Names = Sequence[str]
Table = dict[str, dict[str, Any]]  # what torch keeps, by the parameter's name and torch's

UNCOUNTED = {"step", "momentum_buffer"}  # what SGD and Muon keep at most: in torch they don't count


def from_torch(
    state_dict: StateDict, state: Any, params: Any, names: Names | None = None, *, count: int | None = None
) -> Any:
    """An optimizer's state with the numbers of torch's.

        state = optim.from_torch(torch_optimizer.state_dict(), optimizer.init(params), params, names)

    Torch: `torch.optim.Optimizer.load_state_dict`.
    Shape: any optax state in which states of `fnlearn.optim` stand.
    Args: state_dict: torch's, with tensors or arrays. state: of the optimizer with torch's options, as `init` makes it.
        params: the parameters. names: of all parameters in torch's order, needed where state_dict has none. count:
        updates that were made, at which schedules are read: a torch scheduler's last_epoch. Without it, the most
        gradients that a parameter had, which SGD and Muon don't tell.
    Raises: ValueError that lists all that doesn't fit.
    Differs: hyper-parameters are the optimizer's own; those in state_dict are not looked at.
    Source: `torch.optim.Optimizer.state_dict`.
    """
    order = _order(state_dict, params, names)
    table = {order[int(i)]: dict(kept) for i, kept in state_dict["state"].items()}
    faults: list[str] = []

    def fill(node: Any) -> Any:
        if isinstance(node, State):
            return _filled(node, table, count, faults)
        if isinstance(node, LBFGSState):
            return _filled_lbfgs(node, table.get(order[0], {}), params, order, count)
        return node

    filled = jax.tree.map(fill, state, is_leaf=_is_ours)
    if faults:
        raise ValueError("the state_dict does not fit this optimizer:\n  " + "\n  ".join(faults))
    return filled


def to_torch(
    state: Any,
    state_dict: StateDict,
    params: Any,
    names: Names | None = None,
    *,
    lr: float | Sequence[float] | None = None,
) -> dict[str, Any]:
    """A state_dict for torch's optimizer, with the numbers of a state.

        torch_optimizer.load_state_dict(optim.to_torch(state, torch_optimizer.state_dict(), params, names))

    Torch: `torch.optim.Optimizer.state_dict`.
    Shape: any optax state in which states of `fnlearn.optim` stand.
    Args: state: of the optimizer. state_dict: one of torch's optimizer, for its groups. params, names: as for
        `from_torch`. lr: the rate, or one for each group, where they are not those of the groups, as after a schedule.
    Raises: ValueError when names don't fit, or torch is missing.
    Differs: nothing.
    Source: `torch.optim.Optimizer.state_dict`.
    """
    order = _order(state_dict, params, names)
    groups = [dict(group) for group in state_dict["param_groups"]]
    rates = list(lr) if isinstance(lr, Sequence) else [lr] * len(groups)
    for group, rate in zip(groups, rates, strict=True):
        group |= {} if rate is None else {"lr": float(rate)}
    table: Table = {}
    for node in jax.tree.leaves(state, is_leaf=_is_ours):
        if isinstance(node, State):
            table |= _told(node, counts_by_integer=_is_sparse_adam(groups[0]))
        elif isinstance(node, LBFGSState):
            table[order[0]] = _told_lbfgs(node, params, order)
    return {"state": {i: table[name] for i, name in enumerate(order) if name in table}, "param_groups": groups}


def _is_ours(node: Any) -> bool:
    return isinstance(node, State | LBFGSState)


def _order(state_dict: StateDict, params: Any, names: Names | None) -> list[str]:
    """The names in the order in which torch counts them."""
    told = [name for group in state_dict["param_groups"] for name in group.get("param_names", ())]
    order = list(names) if names is not None else told
    count = sum(len(group["params"]) for group in state_dict["param_groups"])
    known = {name for name, _ in named_leaves(params)}
    if not order:
        raise ValueError("names are needed: torch counts parameters by position and this state_dict names none")
    if len(order) != count or len(set(order)) != count or not set(order) <= known:
        strange = ", ".join(sorted(set(order) - known)) or "none"
        raise ValueError(f"names must be {count}, each once and of params; got {len(order)}, not of params: {strange}")
    return order


def _filled(state: State, table: Table, count: int | None, faults: list[str]) -> State:
    """The state with what torch keeps of each parameter; one that had no gradient yet is not in the table."""
    counts = [int(state.count)]

    def fill(slot: str, name: str, old: jax.Array) -> jax.Array:
        kept = {key: value for key, value in table.get(name, {}).items() if value is not None}
        if not kept or (slot not in kept and not old.size):
            return old
        if slot not in kept:
            if slot != "step":
                faults.append(f"missing: {slot} of {name}")
            return jnp.ones_like(old) if slot == "step" else old  # SGD and Muon have begun, and don't say when
        new = tree.as_numpy(kept[slot])
        if new.shape != old.shape:
            faults.append(f"wrong shape: {slot} of {name} is {new.shape}, expected {old.shape}")
            return old
        if slot == "step":
            counts.append(int(new))
        return jnp.asarray(new.astype(old.dtype))

    filled = {
        slot: jax.tree.unflatten(jax.tree.structure(kept), [fill(slot, name, x) for name, x in named_leaves(kept)])
        for slot, kept in state.kept.items()
    }
    own = _own_names(state)
    numbers = {
        slot: jnp.stack([fill(slot, name, x[i]) for i, name in enumerate(own)]) if own else x
        for slot, x in state.numbers.items()
    }
    faults += [
        f"unexpected: {slot} of {name}"
        for name in table.keys() & set(own)
        for slot, value in table[name].items()
        if slot not in state.kept | state.numbers and value is not None
    ]
    return State(jnp.asarray(max(counts) if count is None else count, jnp.int32), filled, numbers, state.places)


def _told(state: State, counts_by_integer: bool) -> Table:
    """What a state keeps, as torch keeps it."""
    own = _own_names(state)
    steps = dict(zip(own, map(int, state.numbers["step"]), strict=True))
    counted = not {*state.numbers, *state.kept} <= UNCOUNTED
    told = {slot: list(zip(own, x.astype(jnp.float32), strict=True)) for slot, x in state.numbers.items()}
    told |= {slot: named_leaves(kept) for slot, kept in state.kept.items()}
    table: Table = {}
    for slot, pairs in told.items():
        for name, x in pairs:
            if steps[name] and x.size and (counted or slot != "step"):
                value = steps[name] if slot == "step" and counts_by_integer else tensor(x)
                table.setdefault(name, {})[slot] = value
    return table


def _own_names(state: State) -> list[str]:
    """The parameters' names in the order in which they have their numbers."""
    pairs = jax.tree_util.tree_leaves_with_path(state.places, is_leaf=lambda x: isinstance(x, Place))
    return [named(path) for path, _ in pairs]


def _is_sparse_adam(group: Mapping[str, Any]) -> bool:
    """It counts with integers, where others have tensors; and it alone of those with betas has no foreach."""
    return "betas" in group and "foreach" not in group


def _filled_lbfgs(state: LBFGSState, kept: dict[str, Any], params: Any, order: Names, count: int | None) -> LBFGSState:
    """Vectors put into the tree's order, and what is remembered into rows of its own."""
    place = np.argsort(_places(params, order))
    vector = lambda x: jnp.asarray(tree.as_numpy(x)[place], state.d.dtype)  # noqa: E731
    number = lambda x: jnp.asarray(tree.as_numpy(x), state.t.dtype)  # noqa: E731
    begun = {name: jnp.asarray(int(kept.get(name, 0)), jnp.int32) for name in ("func_evals", "n_iter")}
    state = state._replace(count=jnp.asarray(count or 0, jnp.int32), **begun)
    if kept.get("d") is None:
        return state
    rows = len(kept["old_dirs"])
    if rows > state.ro.size:
        raise ValueError(f"history_size must be at least the {rows} steps that torch remembers, got {state.ro.size}")
    for i in range(rows):
        state = state._replace(
            old_dirs=state.old_dirs.at[i].set(vector(kept["old_dirs"][i])),
            old_stps=state.old_stps.at[i].set(vector(kept["old_stps"][i])),
            ro=state.ro.at[i].set(number(kept["ro"][i])),
        )
    numbers = {name: number(kept[name]) for name in ("t", "H_diag", "prev_loss")}
    vectors = {name: vector(kept[name]) for name in ("d", "prev_flat_grad")}
    return state._replace(stored=jnp.asarray(rows, jnp.int32), oldest=jnp.zeros((), jnp.int32), **numbers, **vectors)


def _told_lbfgs(state: LBFGSState, params: Any, order: Names) -> dict[str, Any]:
    kept: dict[str, Any] = {"func_evals": int(state.func_evals), "n_iter": int(state.n_iter)}
    if not kept["n_iter"]:
        return kept
    place = _places(params, order)
    rows = [(int(state.oldest) + i) % state.ro.size for i in range(int(state.stored))]
    kept |= {"d": tensor(state.d[place]), "t": float(state.t), "H_diag": tensor(state.H_diag)}
    kept |= {name: [tensor(getattr(state, name)[row][place]) for row in rows] for name in ("old_dirs", "old_stps")}
    kept |= {"ro": [tensor(state.ro[row]) for row in rows], "prev_loss": float(state.prev_loss)}
    return kept | {"prev_flat_grad": tensor(state.prev_flat_grad[place])}


def _places(params: Any, order: Names) -> np.ndarray:
    """For each number of torch's vector its place in ours, which runs over the tree's leaves."""
    places, start = {}, 0
    for name, leaf in named_leaves(params):
        size = leaf.size * (2 if jnp.iscomplexobj(leaf) else 1)
        places[name] = np.arange(start, start + size)
        start += size
    return np.concatenate([places[name] for name in order])


def tensor(x: jax.Array | np.ndarray) -> Any:
    """A tensor of its own memory; numpy's bfloat16 is unknown to torch and goes by way of float32."""
    try:
        torch = importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise ValueError("torch is needed for a state_dict of its tensors: pip install torch==2.13.0") from error
    if x.dtype == jnp.bfloat16:
        return torch.tensor(np.asarray(x.astype(jnp.float32))).bfloat16()
    return torch.tensor(np.asarray(x))
