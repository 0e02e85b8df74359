"""Other options, or another optimizer, for some of the parameters, which are chosen by name."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Select = str | Callable[[str, Any], bool]
Member = tuple[Select, optax.GradientTransformation | None]


class GroupsState(NamedTuple):
    """Args: inner: the state of each group's optimizer, which knows its own parameters alone."""

    inner: tuple[optax.OptState, ...]


def groups(members: Sequence[Member]) -> optax.GradientTransformationExtraArgs:
    """One optimizer of several, each for the parameters that are the first to be chosen by its selector.

        optim.groups([(r"bias|norm", optim.adamw(1e-3, weight_decay=0.0)), (r"^embed", None), ("", optim.adamw(1e-3))])

    What is passed to `update` goes to all of them; `lr` may also be a sequence, a rate for each group.

    Torch: `torch.optim.Optimizer.add_param_group`, or the list of dicts that an optimizer takes.
    Shape: any tree of arrays.
    Args: members: pairs of a selector and an optimizer, or None for parameters that are frozen. A selector is a regular
        expression, searched in the name, or a predicate (name, parameter) → bool; a name is the tree's keys joined by
        ".".
    Raises: ValueError by `init` when a parameter is in no group, by `update` without parameters.
    Differs: optimizers may differ too; a frozen parameter's gradient is dropped, where torch has none.
    Source: `torch.optim.Optimizer`.
    """
    optimizers = [optax.with_extra_args_support(optimizer or optax.set_to_zero()) for _, optimizer in members]

    def init(params: optax.Params) -> GroupsState:
        owners = _owners(members, params)
        return GroupsState(tuple(o.init(_part(owners, i, params)) for i, o in enumerate(optimizers)))

    def update(
        updates: optax.Updates, state: GroupsState, params: optax.Params | None = None, *, lr: Any = None, **extra: Any
    ) -> tuple[optax.Updates, GroupsState]:
        if params is None:
            raise ValueError("params are needed: optimizer.update(gradients, state, params)")
        owners = _owners(members, params)
        rates = list(lr) if isinstance(lr, Sequence) else [lr] * len(members)
        if len(rates) != len(members):
            raise ValueError(f"lr must be one rate, or one for each of {len(members)} groups, got {len(rates)}")
        done = []
        for i, (optimizer, inner) in enumerate(zip(optimizers, state.inner, strict=True)):
            rate = {} if rates[i] is None else {"lr": rates[i]}
            done.append(optimizer.update(_part(owners, i, updates), inner, _part(owners, i, params), **rate, **extra))
        chosen = jax.tree.map(lambda owner, p, *parts: _or_zero(parts[owner], p), owners, params, *(u for u, _ in done))
        return chosen, GroupsState(tuple(inner for _, inner in done))

    return optax.GradientTransformationExtraArgs(init, update)


def named_leaves(values: Any) -> list[tuple[str, Any]]:
    """The leaves of any tree with their names, its keys joined by "."."""
    return [(named(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(values)]


def named(path: Any) -> str:
    """The name of a place in a tree."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _owners(members: Sequence[Member], params: Any) -> Any:
    """A tree like the parameters, of the number of the group that each belongs to."""
    found = [
        (name, next((i for i, (select, _) in enumerate(members) if _selects(select, name, leaf)), None))
        for name, leaf in named_leaves(params)
    ]
    if left := [name for name, owner in found if owner is None]:
        raise ValueError(f"every parameter must be in a group, none has {', '.join(left)}; end with ('', optimizer)")
    return jax.tree.unflatten(jax.tree.structure(params), [owner for _, owner in found])


def _selects(select: Select, name: str, leaf: Any) -> bool:
    return bool(re.search(select, name)) if isinstance(select, str) else select(name, leaf)


def _part(owners: Any, group: int, values: Any) -> Any:
    """The tree with nothing where another group owns it."""
    return jax.tree.map(lambda owner, x: x if owner == group else optax.MaskedNode(), owners, values)


def _or_zero(update: Any, p: jax.Array) -> jax.Array:
    return jnp.zeros_like(p) if update is None else update
