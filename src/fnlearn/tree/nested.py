"""Nested dicts and their joined keys.

JAX sorts the keys of a dict when it rebuilds a tree, while torch optimizers count parameters by position; where the
order matters, take `names(params)` before the first transformation and carry it along.
"""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["flatten", "merge", "names", "partition", "unflatten"]

Nested = Mapping[str, Any]


def flatten(nested: Nested) -> dict[str, Any]:
    """The leaves of a nested dict by their joined keys, in the order in which they stand.

    Args: nested: dicts in dicts; an empty dict leaves no trace.
    Returns: a flat dict, `{"a.b": leaf}`.
    Raises: TypeError when a key is not a string, ValueError when one is empty or contains a dot.
    Source: `torch.nn.Module.state_dict`.
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        _check_key(key)
        if isinstance(value, Mapping):
            flat |= {f"{key}.{rest}": leaf for rest, leaf in flatten(value).items()}
        else:
            flat[key] = value
    return flat


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dict that `flatten` came from.

    Args: flat: leaves by their joined keys, such as a `state_dict`.
    Returns: dicts in dicts, each in the order of first appearance.
    Raises: ValueError when one name is both a leaf and a branch (`a` beside `a.b`).
    Source: `torch.nn.Module.load_state_dict`.
    """
    nested: dict[str, Any] = {}
    for name, leaf in flat.items():
        *path, last = name.split(".")
        branch = nested
        for key in path:
            branch = branch.setdefault(key, {})
            if not isinstance(branch, dict):
                raise ValueError(f"{name!r} needs a branch at {key!r}, which is already a leaf")
        if last in branch:
            raise ValueError(f"{name!r} is given as a leaf, and as a branch or leaf before")
        branch[last] = leaf
    return nested


def names(nested: Nested) -> tuple[str, ...]:
    """The joined keys in the order in which they stand: torch's order of parameters for a freshly initialised layer.

    Args: nested: dicts in dicts.
    Returns: the names, as `torch.nn.Module.named_parameters` lists them.
    Raises: as `flatten`.
    Source: `torch.nn.Module.named_parameters`.
    """
    return tuple(flatten(nested))


def partition(nested: Nested, selects: Callable[[str, Any], bool]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two nested dicts: the leaves that a predicate selects, and the others.

    Args: nested: dicts in dicts. selects: called with each leaf's joined key and the leaf.
    Returns: (selected, others); `merge` puts them together again.
    Raises: as `flatten`.
    Source: `equinox.partition` is the idea's best-known form.
    """
    chosen: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, leaf in flatten(nested).items():
        (chosen if selects(name, leaf) else others)[name] = leaf
    return unflatten(chosen), unflatten(others)


def merge(*parts: Nested) -> dict[str, Any]:
    """One nested dict of the leaves of all parts; a later part's leaf replaces an earlier one's.

    Args: parts: nested dicts, such as `partition` returns.
    Returns: a new nested dict; the parts stay as they are.
    Raises: ValueError when a name is a leaf in one part and a branch in another.
    """
    flat: dict[str, Any] = {}
    for part in parts:
        flat |= flatten(part)
    return unflatten(flat)


def _check_key(key: Any) -> None:
    if not isinstance(key, str):
        raise TypeError(f"keys of a parameter tree must be strings, got {key!r} ({type(key).__name__})")
    if not key or "." in key:
        raise ValueError(f"a key must not be empty or contain a dot, got {key!r}; nest dicts instead")
