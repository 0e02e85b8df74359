"""Values that leave a module's call by the module itself: `self.mean = x.mean()`, and another call uses it."""

from typing import Any

from fnlearn.port.graph import Inst, Op, Val, values

__all__ = ["returned"]

Calls = tuple[Inst, ...]


class _And(tuple[Any, ...]):
    """What a call gives back, and after it what else leaves it."""


def returned(root: Inst) -> None:
    """What a call makes and others use is among what it gives back, up to the call that holds both."""
    made: dict[int, Calls] = {}
    _visit(root, (root,), made)


def _visit(inst: Inst, inside: Calls, made: dict[int, Calls]) -> None:
    for call in inst.body:
        if isinstance(call, Op):
            for val in values((call.args, call.kwargs)):
                _read(val, inside, made)
            made.update((id(val), inside) for val in values(call.outs))
        else:
            for val in values(call.args):
                _read(val, inside, made)
            _visit(call, (*inside, call), made)
    for val in values(inst.outs):
        _read(val, inside, made)


def _read(val: Any, inside: Calls, made: dict[int, Calls]) -> None:
    """A value is used: the calls it was made in, but for those that it's used in too, give it back."""
    if not isinstance(val, Val) or val.path or id(val) not in made:
        return
    for call in made[id(val)]:
        if not any(call is other for other in inside) and all(val is not out for out in values(call.outs)):
            call.outs = _And((*(call.outs if isinstance(call.outs, _And) else (call.outs,)), val))
