"""How the JAX side tells its layers, without a mark in the model's code.

While a model is watched, what it calls is wrapped where it is looked up: the functions in the globals of its module, a
`Layer`'s `apply`, and the `__call__` of flax's and equinox's modules. That a call is a layer is told by the parameters
that it is given: the arrays themselves are recognised, so that nothing depends on what a model calls its functions.
What can't be told so is told by `tap`.

The model runs one operation at a time, so that what it computes are numbers; inside `jax.vmap` they are met with their
batch.
"""

import contextlib
import functools
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from types import FunctionType, ModuleType
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap

from fnlearn.equivalence import torch_side
from fnlearn.equivalence.asked import plain
from fnlearn.equivalence.compare import widest
from fnlearn.equivalence.pair import Pair
from fnlearn.equivalence.torch_side import ROOT, Event
from fnlearn.nn import Layer
from fnlearn.tree import as_numpy

NOTHING = object()
JITTED = type(jax.jit(lambda: None))


class Told(NamedTuple):
    """A call that was given all parameters of a torch module, and no others.

    Args: path: the module's. group: calls inside one another are of one group. tapped: whether `tap` told it. inputs:
        the arrays among its arguments that are no parameters. out: what it returned, plain.
    """

    path: str
    group: int
    tapped: bool
    inputs: list[Any]
    out: Any


def tap(name: str, x: Any) -> Any:
    """Tell the output of a layer, where a comparison can't see it by itself; otherwise the identity.

    Args: name: the path of the torch module whose output it is, such as "encoder.relu". x: any tree of arrays.
    Returns: x.
    Raises: nothing.
    """
    if (watch := _watching.get()) is not None:
        watch.tell(name, [], x, tapped=True)
    return x


@contextlib.contextmanager
def watched(both: Pair, params: Any, buffers: Any, given: Sequence[Event] | None) -> Iterator[list[Told]]:
    """While a model runs: the list of calls told. `given`: torch's events, to run each layer on torch's own inputs."""
    watch = _Watch(both, params, buffers, given)
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.disable_jit())
        stack.enter_context(mock.patch.object(Layer, "apply", property(lambda self: _wrapped(self[1], False))))
        for names, by in list(_replacements(both.apply)):
            stack.enter_context(_replaced(names, by))
        for intercepting in _flax():
            stack.enter_context(intercepting)
        token = _watching.set(watch)
        try:
            yield watch.told
        finally:
            _watching.reset(token)


class _Watch:
    """What is known while a model is watched."""

    def __init__(self, both: Pair, params: Any, buffers: Any, given: Sequence[Event] | None) -> None:
        self.told: list[Told] = []
        self.open: list[str] = []
        self.groups = 0
        self.modules = {path: frozenset(names) for path, names in torch_side.facts(both.module).modules.items()}
        self.names = dict(zip(map(id, jax.tree.leaves(params)), _torch_names(both, params), strict=True))
        self.state = {id(x) for x in jax.tree.leaves(buffers)}
        self.given: dict[tuple[str, int], Any] | None = None
        if given is not None:
            self.given = {(e.path, e.occurrence): e.tree for e in given if e.what == "in"}

    def call(self, fn: Callable[..., Any], args: Any, kwargs: Any, again: Callable[..., Any] | None = None) -> Any:
        """What a function returns, told if it is a layer; `again` is to be called where it is run a second time."""
        path = self.path_of(args, kwargs)
        if path is None:
            return fn(*args, **kwargs)
        if path not in self.open:
            self.groups += 1
        group, inputs = self.groups, self.data(args, kwargs)
        apart = NOTHING
        if self.given is not None:
            occurrence = len({t.group for t in self.told if t.path == path} - {group})
            apart = self.apart(again or fn, args, kwargs, inputs, self.given.get((path, occurrence)))
        self.open.append(path)
        try:
            out = fn(*args, **kwargs)
        finally:
            self.open.pop()
        if self.given is None or apart is not NOTHING:
            self.tell(path, inputs, out if apart is NOTHING else apart, group=group)
        return out

    def apart(self, fn: Callable[..., Any], args: Any, kwargs: Any, inputs: list[Any], given: Any) -> Any:
        """What a layer returns for torch's own inputs, or NOTHING if it takes others."""
        leaves, shape = jax.tree.flatten((args, kwargs), is_leaf=_is_iterator)
        if given is None or len(given) != len(inputs):
            return NOTHING
        instead = {id(mine): _instead(mine, as_numpy(theirs)) for theirs, mine in zip(given, inputs, strict=True)}
        if any(x is None for x in instead.values()):
            return NOTHING
        args, kwargs = jax.tree.unflatten(shape, [instead.get(id(x), x) for x in leaves])
        token = _watching.set(None)
        try:
            return fn(*args, **kwargs)
        finally:
            _watching.reset(token)

    def data(self, args: Any, kwargs: Any) -> list[Any]:
        """The arrays among arguments that are no parameters, buffers or keys."""
        known = self.names.keys() | self.state
        leaves = jax.tree.leaves((args, kwargs), is_leaf=_is_iterator)
        return [x for x in leaves if _is_array(x) and id(x) not in known and not _is_key(x)]

    def tell(self, path: str, inputs: list[Any], out: Any, tapped: bool = False, group: int | None = None) -> None:
        """Remember a call; what is computed inside `jax.vmap` comes when its batch is known."""
        if group is None:
            self.groups += 1
            group = self.groups
        cells = jax.tree.map(_cell, (inputs, plain(out)))
        self.told.append(Told(path, group, tapped, *cells))

    def path_of(self, args: Any, kwargs: Any) -> str | None:
        """The torch module whose parameters are given, all of them and no others."""
        found: dict[str, int] = {}
        for path, leaf in jax.tree_util.tree_flatten_with_path((args, kwargs), is_leaf=_is_iterator)[0]:
            depth = len(path) - 2  # beneath (args, kwargs) and the argument itself
            if id(leaf) in self.names:
                for name in self.names[id(leaf)]:
                    found[name] = max(found.get(name, 0), max(depth, 1))
        if not found:
            return None
        names = frozenset(found)
        fitting = [path for path, own in self.modules.items() if own == names]
        near = {name.rsplit(".", depth)[0] if name.count(".") >= depth else ROOT for name, depth in found.items()}
        if len(near) == 1 and near <= set(fitting):
            return near.pop()
        return fitting[-1] if fitting else None


_watching: ContextVar[_Watch | None] = ContextVar("fnlearn_watching", default=None)


def laid_like(x: np.ndarray, like: np.ndarray, channels: tuple[int, int]) -> np.ndarray | None:
    """An array of one side in the shape of the other's: as it is, or with its channels moved; None if neither fits.

    Where both fit, as in a cube, it is the one whose numbers are nearer.
    """
    moved = np.moveaxis(x, *channels) if x.ndim > 2 else x
    fitting = [each for each in (x, moved) if each.shape == like.shape]
    return min(fitting, key=lambda each: distance(each, like), default=None)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """How far apart two arrays are, infinite where one is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(widest(np.asarray(a)) - widest(np.asarray(b)))
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0))


def _instead(mine: Any, theirs: np.ndarray) -> Any:
    """Torch's input in the place of JAX's, inside `jax.vmap` its rows; None if it has another shape."""
    if not isinstance(mine, jax.core.Tracer):
        laid = laid_like(theirs, as_numpy(mine), (1, -1))
        return None if laid is None else jnp.asarray(laid, mine.dtype)
    fits = False

    @custom_vmap
    def given(x: Any) -> Any:
        return x

    @given.def_vmap
    def rows(size: int, axes: Any, x: Any) -> Any:
        nonlocal fits
        instead = _instead(x, theirs) if axes[0] else None
        fits = instead is not None
        return (x, axes[0]) if instead is None else (instead, True)

    found = given(mine)
    return found if fits else None


def _torch_names(both: Pair, params: Any) -> list[frozenset[str]]:
    """Of which of torch's parameters each array is: arrays filled with their own numbers are sent through `names`."""
    leaves, shape = jax.tree.flatten(params)
    filled = jax.tree.unflatten(shape, [np.full(np.shape(x), i, "float32") for i, x in enumerate(leaves)])
    of: list[set[str]] = [set() for _ in leaves]
    for name, x in both.names(filled).items():
        for i in np.unique(as_numpy(x)).astype(int):
            of[i].add(name)
    return [frozenset(names) for names in of]


class Cell:
    """An array that is known, or will be when its batch is."""

    def __init__(self) -> None:
        self.value: Any = None


def _cell(x: Any) -> Cell:
    cell = Cell()
    _fill(cell, x)
    return cell


def _fill(cell: Cell, x: Any) -> None:
    if isinstance(x, jax.core.Tracer):

        @custom_vmap
        def seen(x: Any) -> Any:
            return x

        @seen.def_vmap
        def batched(size: int, axes: Any, x: Any) -> Any:
            _fill(cell, x)
            return x, axes[0]

        seen(x)
    elif _is_array(x) and not _is_key(x):
        cell.value = np.array(x)


def _is_iterator(x: Any) -> bool:
    return isinstance(x, Iterator)


def _is_array(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray)


def _is_key(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _wrapped(fn: Callable[..., Any], library: bool) -> Callable[..., Any]:
    """A function that is told; a library's is compiled, for there is nothing to see inside."""

    @functools.wraps(fn)
    def told(*args: Any, **kwargs: Any) -> Any:
        def whole(*args: Any, **kwargs: Any) -> Any:
            with jax.disable_jit(not library):
                return fn(*args, **kwargs)

        watch = _watching.get()
        return whole(*args, **kwargs) if watch is None else watch.call(whole, args, kwargs)

    return told


class _Namespace:
    """A module whose functions are told."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        return _wrapped(value, True) if isinstance(value, FunctionType) else value


def _replacements(fn: Callable[..., Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(the globals of a module, what is replaced in them while a model is watched)."""
    layers = [vars(module) for name, module in sys.modules.items() if name.startswith("fnlearn.nn.")]
    waiting, seen = [getattr(inspect.unwrap(fn), "__globals__", {}), *layers], set[int]()
    while waiting:
        names = waiting.pop()
        if id(names) in seen:
            continue
        seen.add(id(names))
        replaced: dict[str, Any] = {}
        for name, value in names.items():
            if isinstance(value, ModuleType) and (_is_ours(value.__name__) or _is_own(vars(value))):
                replaced[name] = _Namespace(value)
            elif isinstance(value, FunctionType | JITTED):
                function = inspect.unwrap(value)
                home = function.__globals__
                library = _is_ours(function.__module__) and home is not names
                if library or home is names or _is_own(home):
                    replaced[name] = _wrapped(value, library)
                if not library and _is_own(home):
                    waiting.append(home)
        yield names, replaced


@contextlib.contextmanager
def _replaced(names: dict[str, Any], by: dict[str, Any]) -> Iterator[None]:
    before = {name: names[name] for name in by}
    names.update(by)
    try:
        yield
    finally:
        names.update(before)


def _is_ours(name: str | None) -> bool:
    return (name or "").partition(".")[0] == "fnlearn"


def _is_own(names: dict[str, Any]) -> bool:
    """Whether a module is the user's: neither Python's own nor installed."""
    file = names.get("__file__") or ""
    return bool(file) and "site-packages" not in file and not file.startswith(sysconfig.get_path("stdlib"))


def _flax() -> Iterator[contextlib.AbstractContextManager[Any]]:
    """The `__call__` of every class of modules of flax's nnx and equinox; linen has an interception of its own."""
    for package, base in (("flax.nnx", "Module"), ("equinox", "Module")):
        if package in sys.modules:
            for kind in _subclasses(getattr(sys.modules[package], base)):
                if isinstance(vars(kind).get("__call__"), FunctionType):
                    yield mock.patch.object(kind, "__call__", _method(vars(kind)["__call__"], package))
    if "flax.linen" in sys.modules:
        yield sys.modules["flax.linen"].intercept_methods(_linen)


def _subclasses(kind: type) -> set[type]:
    return {kind}.union(*map(_subclasses, kind.__subclasses__()))


def _method(fn: Callable[..., Any], package: str) -> Callable[..., Any]:
    @functools.wraps(fn)
    def told(self: Any, *args: Any, **kwargs: Any) -> Any:
        watch = _watching.get()
        if watch is None:
            return fn(self, *args, **kwargs)
        own = self
        if package == "flax.nnx":
            nnx = sys.modules[package]
            own = nnx.to_pure_dict(nnx.state(self))
        return watch.call(lambda _, *args, **kwargs: fn(self, *args, **kwargs), (own, *args), kwargs)

    return told


def _linen(call_next: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
    watch = _watching.get()
    if watch is None or context.method_name != "__call__":
        return call_next(*args, **kwargs)
    variables = context.module.variables

    def again(_: Any, *args: Any, **kwargs: Any) -> Any:  # a bound module makes its parts but once
        unbound = context.module.clone(parent=None, name=None)
        return unbound.apply(variables, *args, mutable=list(variables), **kwargs)[0]

    own = variables.get("params", {})
    return watch.call(lambda _, *args, **kwargs: call_next(*args, **kwargs), (own, *args), kwargs, again)
