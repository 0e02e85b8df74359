"""One graph of two: what a model does in training and what it does in evaluation.

Where the two differ in numbers alone, the number depends on `train`; where they differ in what is done, a module has
two bodies.
"""

from collections.abc import Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fnlearn.port.graph import Call, Inst, Op, Val, mapped, of_torch
from fnlearn.port.ops_make import KEPT

__all__ = ["Fork", "Mode", "merge", "operations"]


@dataclass(frozen=True)
class Mode:
    """A constant with one value in training and another in evaluation."""

    train: Any
    evaluation: Any


@dataclass(eq=False)
class Fork:
    """Two bodies of a module, each with what it returns and writes."""

    train: Inst
    evaluation: Inst


class _DifferentError(Exception):
    """The two graphs do different things."""


def merge(train: Inst, evaluation: Inst) -> Inst:
    """A graph that holds for both modes, made of the one of evaluation."""
    same: dict[int, Val] = {}
    with suppress(_DifferentError):  # whose sizes may be equal in one mode alone
        _linked(train.args, evaluation.args, same)
    return _inst(train, evaluation, same)


def operations(inst: Inst) -> Iterator[Op]:
    """All operations of a call, those inside of the calls in it and of both modes among them."""
    for call in inst.body:
        if isinstance(call, Fork):
            yield from operations(call.train)
            yield from operations(call.evaluation)
        elif isinstance(call, Inst):
            yield from operations(call)
        else:
            yield call


def _inst(train: Inst, evaluation: Inst, same: dict[int, Val]) -> Inst:
    if (train.path, train.kind) != (evaluation.path, evaluation.kind):
        raise _DifferentError
    args = _merged(train.args, evaluation.args, same)
    merged = Inst(evaluation.path, evaluation.kind, evaluation.module, args, evaluation.where)
    inner = dict(same)
    try:
        merged.body = _body(train.body, evaluation.body, inner)
        merged.outs = _merged(train.outs, evaluation.outs, inner)
        if train.writes.keys() != evaluation.writes.keys():
            raise _DifferentError
        merged.writes = {p: _merged(train.writes[p], evaluation.writes[p], inner) for p in train.writes}
    except _DifferentError:
        if of_torch(train.kind) and train.path:
            raise
        merged.body = [Fork(_renamed(train, same), evaluation)]  # type: ignore[list-item]
        known = {id(val) for val in same.values()}
        try:
            merged.outs = _linked(train.outs, evaluation.outs, same, known)
        except _DifferentError:
            if train.path:
                raise
            merged.outs = evaluation.outs  # of the model itself, which may return one thing or the other
        merged.writes = evaluation.writes | {p: Val((), "") for p in train.writes}
    else:
        same |= inner
    _copy_names(merged, train, evaluation)
    return merged


def _body(train: list[Call], evaluation: list[Call], same: dict[int, Val]) -> list[Call]:
    body: list[Call] = []
    rest = list(evaluation)
    for one in train:
        if isinstance(one, Op) and _leaves_no_trace(one, rest) and id(one.args[0]) in same:
            same[id(one.outs)] = same[id(one.args[0])]
            continue
        if not rest:
            raise _DifferentError
        other = rest.pop(0)
        if isinstance(one, Inst) and isinstance(other, Inst):
            body.append(_inst(one, other, same))
        elif isinstance(one, Op) and isinstance(other, Op) and (one.name, one.stopped) == (other.name, other.stopped):
            args, kwargs = _merged((one.args, one.kwargs), (other.args, other.kwargs), same)
            outs = _linked(one.outs, other.outs, same)
            body.append(Op(other.name, args, kwargs, outs, other.where, other.module, other.stopped))
        else:
            raise _DifferentError
    if rest:
        raise _DifferentError
    return body


def _leaves_no_trace(one: Op, rest: list[Call]) -> bool:
    """Whether training alone does this, and it changes no number: `if self.training: x = x.contiguous()`."""
    alone = not rest or not isinstance(rest[0], Op) or rest[0].name != one.name
    return alone and one.name in KEPT and isinstance(one.outs, Val)


def _merged(train: Any, evaluation: Any, same: dict[int, Val]) -> Any:
    """The structure of evaluation; constants that differ become a Mode."""
    if isinstance(train, Val) and isinstance(evaluation, Val):
        found = _counterpart(train, same, evaluation)
        if found is None or evaluation not in (found, found.instead):
            raise _DifferentError
        return found
    if isinstance(train, Val) or isinstance(evaluation, Val) or type(train) is not type(evaluation):
        if _constant(train) and _constant(evaluation):
            return Mode(train, evaluation)
        raise _DifferentError
    if isinstance(train, dict):
        if list(train) != list(evaluation):
            raise _DifferentError
        return {key: _merged(train[key], evaluation[key], same) for key in train}
    if isinstance(train, list | tuple):
        if len(train) != len(evaluation):
            raise _DifferentError
        return type(train)(_merged(a, b, same) for a, b in zip(train, evaluation, strict=True))
    if isinstance(train, slice):
        parts = [(train.start, evaluation.start), (train.stop, evaluation.stop), (train.step, evaluation.step)]
        return slice(*(_merged(a, b, same) for a, b in parts))
    if _equal(train, evaluation):
        return evaluation
    if _constant(train):
        return Mode(train, evaluation)
    raise _DifferentError


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other) or (one != one and other != other)


def _constant(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _counterpart(val: Val, same: dict[int, Val], hint: Val) -> Val | None:
    """The value of evaluation that stands for one of training: what the model holds and is given is met first."""
    alike = (val.kind, val.path, val.shape) == (hint.kind, hint.path, hint.shape)
    if id(val) not in same and alike and (val.kind != "value" or not any(v is hint for v in same.values())):
        same[id(val)] = hint
    return same.get(id(val))


def _linked(train: Any, evaluation: Any, same: dict[int, Val], known: Set[int] = frozenset()) -> Any:
    """Outputs of the two sides, paired; what they are in a merged graph. known: what was there before, by its id."""
    if isinstance(train, Val) and isinstance(evaluation, Val) and len(train.shape) == len(evaluation.shape):
        if id(evaluation) in known:  # given back as it came in, by evaluation alone
            same[id(train)] = Val(evaluation.shape, evaluation.dtype, names=dict(train.names), instead=evaluation)
            return same[id(train)]
        same[id(train)] = evaluation
        for scope, name in train.names.items():
            evaluation.names.setdefault(scope, name)
        return evaluation
    if isinstance(train, dict) and isinstance(evaluation, dict) and list(train) == list(evaluation):
        return {key: _linked(train[key], evaluation[key], same, known) for key in train}
    if isinstance(train, list | tuple) and isinstance(evaluation, list | tuple) and len(train) == len(evaluation):
        return type(evaluation)(_linked(a, b, same, known) for a, b in zip(train, evaluation, strict=True))
    if isinstance(train, Val) or isinstance(evaluation, Val):
        raise _DifferentError
    return evaluation


def _renamed(inst: Inst, same: dict[int, Val]) -> Inst:
    """The graph of training with the values that come from outside called as in evaluation."""

    def other(value: Any) -> Any:
        return same.get(id(value), value) if isinstance(value, Val) else value

    def call(part: Call) -> Call:
        if isinstance(part, Op):
            return Op(part.name, mapped(other, part.args), mapped(other, part.kwargs), part.outs, part.where,
                      part.module, part.stopped)  # fmt: skip
        args, outs = mapped(other, part.args), mapped(other, part.outs)
        renamed = Inst(part.path, part.kind, part.module, args, part.where, [call(p) for p in part.body], outs)
        renamed.writes = dict(part.writes)
        _copy_names(renamed, part)
        return renamed

    changed = call(inst)
    assert isinstance(changed, Inst)
    return changed


def _copy_names(merged: Inst, *sources: Inst) -> None:
    """Names that values have in the code of a module hold for the merged module too."""
    merged.scopes = tuple(scope for source in sources for scope in (source.scopes or (id(source),)))
