"""Layers made of layers.

A model of one's own is a forward function and the layers that it calls by name:

    def forward(net, x):
        x = F.sigmoid(net.linear1(x))
        return F.sigmoid(net.linear2(x))

    model = nn.compose(forward, linear1=nn.Linear(8, 6), linear2=nn.Linear(6, 1))

`net.linear1` is the child with its own parameters already in place; train mode, keys and buffers reach the children and
come back by themselves. What is called `self.linear1` in torch is called `net.linear1` here, and has the same key. A
forward function that draws itself, or differs in training, asks for both by name: `def forward(net, x, *, train, key)`.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax

from fnlearn import random
from fnlearn.nn.layer import Layer, Tree
from fnlearn.random import draw

KEYWORD_ONLY = inspect.Parameter.KEYWORD_ONLY


class Parameter(NamedTuple):
    """A parameter of a composed layer's own.

    Torch: `torch.nn.Parameter`.
    Shape: init's own.
    Args: init: a key → an array, such as `lambda key: nn.init.ones((3,))`.
    Raises: nothing.
    Differs: it says how the array starts and holds none.
    Source: `torch.nn.Parameter`.
    """

    init: Callable[[jax.Array], jax.Array]


class Buffer(NamedTuple):
    """An array of a composed layer's own that is saved and not learnt, such as a mask.

    Torch: `torch.nn.Buffer`.
    Shape: init's own.
    Args: init: a key → an array.
    Raises: nothing.
    Differs: it says how the array starts and holds none; a forward function reads it, and what changes with every call
        is a `Layer` by hand.
    Source: `torch.nn.Module.register_buffer`.
    """

    init: Callable[[jax.Array], jax.Array]


Children = Layer | Parameter | Buffer | Mapping[str, Any] | list[Any] | tuple[Any, ...]


def compose(forward: Callable[..., Any], /, **layers: Children) -> Layer:
    """One layer of named layers and a forward function that calls them.

    Torch: a subclass of `torch.nn.Module`; dicts and lists are its `ModuleDict`, `ModuleList`, `ParameterDict` and
        `ParameterList`.
    Shape: forward's own.
    Args: forward: called as `forward(net, *inputs)`; `net.NAME(...)` calls the layer of that name, `net.NAME[i]` one of
        a list, `net.NAME["key"]` one of a dict; a parameter or buffer is the array itself. layers: a `Layer`, a
        `Parameter`, a `Buffer`, or dicts and lists of them, by attribute name. Where forward has keyword-only arguments
        `train` and `key`, it is given the mode, and a key of its own: `forward(net, x, *, train, key)`.
    Raises: TypeError when a child is none of these; AttributeError, when applied, for a name that was not given.
    Differs: a child can't be registered twice by mistake: a repeated name is a SyntaxError.
    Source: `torch.nn.Module`.
    """
    children = _named(layers)
    arguments = inspect.signature(forward).parameters
    asked = {name for name in ("train", "key") if name in arguments and arguments[name].kind is KEYWORD_ONLY}

    def init(key: jax.Array) -> tuple[Tree, Tree]:
        return _init(children, key)

    def apply(
        params: Tree, buffers: Tree, *inputs: Any, train: bool = False, key: jax.Array | None = None, **named: Any
    ) -> tuple[Any, Tree]:
        after: Tree = dict(buffers)
        keys = _keys(key)
        own = {"train": train, "key": next(keys) if "key" in asked else None}
        net = _bind(children, params, after, train, keys)
        return forward(SimpleNamespace(**net), *inputs, **named, **{name: own[name] for name in asked}), after

    return Layer(init, apply)


def Sequential(*args: Layer | Mapping[str, Layer]) -> Layer:
    """Layers applied one after the other.

    Torch: `torch.nn.Sequential`.
    Shape: the first layer's input → the last layer's output.
    Args: args: layers, named "0", "1", … as in torch; or one dict of named layers.
    Raises: TypeError when an argument is no layer.
    Differs: nothing.
    Source: `torch.nn.Sequential`.
    """
    single = args[0] if len(args) == 1 else None
    if isinstance(single, Mapping):
        layers = dict(single)
    else:
        layers = _numbered(args)

    def forward(net: SimpleNamespace, *inputs: Any) -> Any:
        if not layers:
            return inputs[0]
        for layer in vars(net).values():
            inputs = (layer(*inputs),)
        return inputs[0]

    return compose(forward, **layers)


def _named(layers: Mapping[str, Any]) -> dict[str, Any]:
    """The children in order, as layers, dicts and lists; a TypeError for anything that is no layer."""
    named: dict[str, Any] = {}
    for name, child in layers.items():
        if isinstance(child, Layer | Parameter | Buffer):
            named[name] = child
        elif isinstance(child, Mapping):
            named[name] = _named(child)
        elif isinstance(child, list | tuple):
            named[name] = list(_named(_numbered(child)).values())
        else:
            what = f"{type(child).__name__}: {child!r}"
            raise TypeError(f"{name} must be a Layer, Parameter or Buffer, or a dict or list of them, got {what}")
    return named


def _numbered(layers: Iterable[Any]) -> dict[str, Any]:
    """Torch's names for the members of a list."""
    return {str(position): layer for position, layer in enumerate(layers)}


def _init(child: Any, key: jax.Array) -> tuple[Tree, Tree]:
    if isinstance(child, Layer):
        return child.init(key)
    params: Tree = {}
    buffers: Tree = {}
    members = _numbered(child) if isinstance(child, list) else child
    for name, item in members.items():  # drawn in the order in which they are given
        if isinstance(item, Parameter):
            params[name] = item.init(random.named(key, name))
        elif isinstance(item, Buffer):
            buffers[name] = item.init(random.named(key, name))
        else:
            own, state = _init(item, random.named(key, name))
            params |= {name: own} if own else {}
            buffers |= {name: state} if state else {}
    return _own_first(params, members), _own_first(buffers, members)


def _own_first(drawn: Tree, members: Mapping[str, Any]) -> Tree:
    """In torch's order of names: a module's own parameters and buffers come before its children's."""
    return dict(sorted(drawn.items(), key=lambda item: not isinstance(members[item[0]], Parameter | Buffer)))


def _bind(children: Mapping[str, Any], params: Tree, after: Tree, train: bool, keys: Iterator[Any]) -> dict[str, Any]:
    """The children as functions of their inputs alone, which write their new buffers into `after`."""

    def leaf(name: str, layer: Layer) -> Callable[..., Any]:
        def call(*inputs: Any, **named: Any) -> Any:
            own, state = params.get(name, {}), after.get(name, {})
            out, state = layer.apply(own, state, *inputs, train=train, key=next(keys), **named)
            after.update({name: state} if state else {})
            return out

        return call

    def branch(name: str, child: Any) -> Any:
        if isinstance(child, Layer):
            return leaf(name, child)
        if isinstance(child, Parameter | Buffer):
            return (params if isinstance(child, Parameter) else after)[name]
        if name in after:
            after[name] = dict(after[name])
        members = _numbered(child) if isinstance(child, list) else child
        bound = _bind(members, params.get(name, {}), after.get(name, {}), train, keys)
        return list(bound.values()) if isinstance(child, list) else bound

    return {name: branch(name, child) for name, child in children.items()}


def _keys(key: jax.Array | None) -> Iterator[jax.Array | None]:
    """A new key for every call of a child, so that a layer called twice never repeats its random numbers."""
    count = 0
    while True:
        yield None if key is None else draw.fold_in(key, count)
        count += 1
