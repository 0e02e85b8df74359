"""The graph of a computation: its values as nodes, its local derivatives on the edges.

    graph(fn, *args) -> Graph

`Graph` is plain frozen data. `fnlearn.explain.jaxpr` reads it from the function's jaxpr, `paths` multiplies along it,
`draw` and `picture` write it down.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from fnlearn.explain import jaxpr, notation


@dataclass(frozen=True, eq=False)
class Node:
    """One value of the computation.

    Args:
        name: the input's name, or the next unused letter.
        operation: the JAX primitive such as `add`; `input` or `constant` where nothing is computed.
        inputs: the names of the nodes it is computed from, in the operation's order.
        expression: the operation with its operands as a person writes it, such as `b + 1`.
        value: the array it holds.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    expression: str
    value: jax.Array


@dataclass(frozen=True, eq=False)
class Edge:
    """One use of a node by an operation, with the local derivative of the one with respect to the other.

    Args:
        source: the node that is used.
        target: the node that is computed from it.
        position: which operand of the operation it is; `b * b` has two edges.
        target_shape: the target's shape, and so the first part of the local Jacobian's.
        source_shape: the source's shape, and so the rest of the local Jacobian's.
        derivative: the local derivative between real scalars, otherwise None.
        pullback: takes a cotangent of the target to the cotangent of the source; None where `cut`.
        cut: whether nothing can flow back, as through integers and `stop_gradient`.
    """

    source: str
    target: str
    position: int
    target_shape: tuple[int, ...]
    source_shape: tuple[int, ...]
    derivative: float | None
    pullback: Callable[[Any], Any] | None
    cut: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the local Jacobian, `()` between scalars."""
        return self.target_shape + self.source_shape


@dataclass(frozen=True, eq=False)
class Graph:
    """A computation at one point.

    Args:
        nodes: in the order of computation, so that every node follows what it is computed from.
        edges: in the order of their targets, and of the operands of each.
        inputs: the names of the arguments' arrays.
        output: the name of the node that the function returns.
        function: the function of the inputs' arrays alone, for comparing with what JAX differentiates.
        arguments: the arrays it was called with, in the order of `inputs`.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    inputs: tuple[str, ...]
    output: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise ValueError(f"the graph has no node {name!r}; it has {', '.join(node.name for node in self.nodes)}")

    def edges_into(self, name: str) -> tuple[Edge, ...]:
        """The edges that end in a node, in the order of its operands.

        Args:
            name: the node's name.

        Returns:
            One edge for every operand that is not a constant.
        """
        return tuple(edge for edge in self.edges if edge.target == name)


def graph(fn: Callable[..., Any], *args: Any, output: int | None = None) -> Graph:
    """The graph of `fn(*args)`: every value, and on every edge the local derivative that JAX gives for that operation.

    `jit`, `checkpoint` and other plain calls are opened; `custom_jvp`, `custom_vjp`, `scan`, `while_loop` and `cond`
    stay one node. What does not depend on the arguments is a constant operand; what changes nothing is left out.

    Args:
        fn: any JAX function.
        args: its positional arguments: arrays, numbers, or pytrees of them, at least one of them floating-point.
        output: which of the function's arrays to explain, counted over the leaves; needed where there are several.

    Returns:
        The graph, its inputs named by the function's signature (`params['w']` is `params.w`), everything else by the
        next unused letters.

    Raises:
        TypeError: if an argument is not an array, a number or a pytree of them.
        ValueError: if no argument is floating-point, or if `output` does not choose one of the arrays returned.

    Source: the notes on automatic differentiation, where `e = (a + b) * (b + 1)` is drawn like this.
    """
    leaves, tree = jax.tree.flatten(args)
    names = input_names(fn, args)
    for name, leaf in zip(names, leaves, strict=True):
        _refuse_other_than_arrays(name, leaf)
    values = [jnp.asarray(leaf) for leaf in leaves]
    _refuse_no_floats(names, values)
    closed = jax.make_jaxpr(fn)(*args)
    chosen = _chosen(output, len(closed.jaxpr.outvars))

    def function(*arrays: Any) -> Any:
        return jax.tree.leaves(fn(*jax.tree.unflatten(tree, arrays)))[chosen]

    inputs = [jaxpr.Quantity(value, "input") for value in values]
    result = jaxpr.walk(closed, inputs)[chosen]
    nodes, edges, last = _named(names, inputs, result)
    return Graph(nodes, edges, tuple(names), last, function, tuple(leaves))


def input_names(fn: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """A name for every array among the arguments, from the function's signature and the path inside the argument.

    Args:
        fn: the function; where it has no signature its arguments are `a`, `b`, `c`.
        args: its positional arguments.

    Returns:
        Names such as `x`, `params.linear1.weight` and, for `*xs`, `xs.0`, in the order of the leaves.
    """
    prefixes = _argument_names(fn, args)
    names: list[str] = []
    for prefix, argument in zip(prefixes, args, strict=True):
        for path, _ in jax.tree_util.tree_leaves_with_path(argument):
            inside = jax.tree_util.keystr(path, simple=True, separator=".")
            names.append(_one_of_its_kind(f"{prefix}.{inside}" if inside else prefix, names))
    return names


def letters(used: Sequence[str]) -> Iterator[str]:
    """The letters `a` to `z`, then `aa`, `ab` and so on, without those in use.

    Args:
        used: the names to leave out.

    Returns:
        An endless iterator.
    """
    for number in range(1, 10**9):
        name, rest = "", number
        while rest:
            rest, letter = divmod(rest - 1, 26)
            name = chr(ord("a") + letter) + name
        if name not in used:
            yield name


def integers_refused(name: str, value: Any) -> str:
    """The one line that says why there is no derivative with respect to an integer, and what to do.

    Args:
        name: the array's name.
        value: the array.

    Returns:
        The line.
    """
    return (
        f"only floating-point arrays can be differentiated, and {name} is {notation.type_text(value)}; "
        f"make one with jnp.asarray({name}, dtype=jnp.float32), or write 2.0 instead of 2"
    )


def _argument_names(fn: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    fallback = letters(())
    unnamed = [next(fallback) for _ in args]
    try:
        bound = inspect.signature(fn).bind(*args)
    except (TypeError, ValueError):  # no signature to read, or a wrong call: JAX's own error says it better
        return unnamed
    names = []
    for parameter, given in bound.arguments.items():
        if bound.signature.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL:
            names += [f"{parameter}.{index}" for index in range(len(given))]
        else:
            names.append(parameter)
    return names


def _one_of_its_kind(name: str, taken: Sequence[str]) -> str:
    """The name on one line; keys with dots in them may give the same name twice, which then gets a prime."""
    name = "".join(character if character.isprintable() else " " for character in name)
    while name in taken:
        name += "'"
    return name


def _refuse_other_than_arrays(name: str, leaf: Any) -> None:
    if isinstance(leaf, jax.core.Tracer):
        raise TypeError(f"{name} is traced: call graph outside jit, grad and vmap, where values are known")
    if not isinstance(leaf, bool | int | float | complex) and not hasattr(leaf, "dtype"):
        raise TypeError(f"{name} is a {type(leaf).__name__}, not an array; fix it first with functools.partial")


def _refuse_no_floats(names: Sequence[str], values: Sequence[Any]) -> None:
    if any(notation.is_differentiable(value) for value in values):
        return
    if not values:
        raise ValueError("the function has no array among its arguments, so there is nothing to differentiate")
    raise ValueError(integers_refused(names[0], values[0]))


def _chosen(output: int | None, count: int) -> int:
    if count == 0:
        raise ValueError("the function returns no array")
    if output is None and count > 1:
        raise ValueError(f"the function returns {count} arrays; choose one with output=0 to output={count - 1}")
    chosen = output or 0
    if not 0 <= chosen < count:
        raise ValueError(f"output={output}, but the function returns {count} array{'s' if count > 1 else ''}")
    return chosen


def _named(
    names: Sequence[str], inputs: Sequence[jaxpr.Quantity], result: jaxpr.Quantity
) -> tuple[tuple[Node, ...], tuple[Edge, ...], str]:
    """Nodes and edges of what the result needs, and the result's name."""
    name_of = dict(zip(inputs, names, strict=True))
    order = [*inputs, *jaxpr.needed(result, inputs)]
    fresh = letters(names)
    for quantity in order[len(inputs) :]:
        name_of[quantity] = next(fresh)
    nodes = tuple(_node(quantity, name_of) for quantity in order)
    edges = tuple(edge for quantity in order for edge in _edges(quantity, name_of))
    return nodes, edges, name_of[result]


def _node(quantity: jaxpr.Quantity, name_of: dict[jaxpr.Quantity, str]) -> Node:
    operands = [name_of.get(operand) or notation.constant_text(operand.value) for operand in quantity.operands]
    inputs = tuple(name_of[operand] for operand in quantity.operands if operand in name_of)
    if quantity.operation in ("input", "constant"):
        expression = quantity.operation
    else:
        expression = notation.operation_text(quantity.operation, operands, quantity.params)
    if quantity.parts > 1:
        expression += f"[{quantity.part}]"
    return Node(name_of[quantity], quantity.operation, inputs, expression, quantity.value)


def _edges(quantity: jaxpr.Quantity, name_of: dict[jaxpr.Quantity, str]) -> Iterator[Edge]:
    for position, operand in enumerate(quantity.operands):
        if operand in name_of:
            pullback = jaxpr.pullback(quantity, position)
            yield Edge(
                source=name_of[operand],
                target=name_of[quantity],
                position=position,
                target_shape=quantity.value.shape,
                source_shape=operand.value.shape,
                derivative=jaxpr.scalar_derivative(quantity, operand, pullback),
                pullback=pullback,
                cut=pullback is None,
            )
