"""What a change of a view is to the tensor that it is a view of."""

from typing import Any

from fnlearn.port.graph import Sym, Val
from fnlearn.port.table import ROWS, along

__all__ = ["put_back", "written_back"]

SAME_ORDER = {"view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"}
DIAGONAL = {"offset": 0, "dim1": 0, "dim2": 1}
OWN_INVERSE = {"transpose", "swapaxes", "swapdims", "t", "mT", "T", "adjoint", "mH", "H"}


def written_back(
    kind: str, base: Val, new: Val, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[str, tuple[Any, ...]] | None:
    """The operation, and its arguments, that makes the base's new value of the view's; None where there is none.

    args and kwargs are those, after the base, with which `kind` made the view.
    """
    if kind == "alias":
        return "alias", (new,)
    if kind == "data" and base.path:  # a buffer's, where no gradient passes
        return "detach", (new,)
    if kind == "diagonal":
        given = _bound(kind, base, args, kwargs)
        return "diagonal_scatter", (base, new, *(given.get(name, at) for name, at in DIAGONAL.items()))
    if kind == "__getitem__":
        return "__setitem__", (base, *args, new)
    if kind in SAME_ORDER:
        return "reshape", (new, base.shape)
    if kind in OWN_INVERSE and not kwargs:
        return kind, (new, *args)
    if kind == "permute":
        given = _bound(kind, base, args, kwargs)["dims"]
        dims = [d % len(base.shape) for d in (given[0] if isinstance(given[0], tuple | list) else given)]
        return "permute", (new, tuple(map(dims.index, range(len(dims)))))
    if kind == "select":
        given = _bound(kind, base, args, kwargs)
        return "__setitem__", (base, along(base, given["dim"], given["index"]), new)
    if kind == "narrow":
        given = _bound(kind, base, args, kwargs)
        begin, length = given["start"], given["length"]
        if isinstance(begin, Sym | Val) or isinstance(length, Sym):
            return None
        return "__setitem__", (base, along(base, given["dim"], slice(begin, begin + length)), new)
    return None


def put_back(view: tuple[Any, ...] | None, base: Any, index: Any) -> bool:
    """Whether `base[index] = …` gives a tensor what lies there already: the end of `base[:, 0] += 1`.

    view: what the new numbers are a view of, how it was made, and its arguments.
    """
    return view is not None and view[0] is base and view[1:3] == ("__getitem__", (index,))


def _bound(kind: str, base: Val, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    return ROWS[kind].signature.bind(base, *args, **kwargs).arguments
