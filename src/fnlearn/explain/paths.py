"""The chain rule as the notes draw it: multiply along every path from an input to the output, add the paths up.

    paths(graph, source) -> list[Path]      path_sum(graph, source) -> the derivative      check(graph) -> is it JAX's?

Between arrays a product is what a cotangent of the output becomes when it is pulled back along the path, and the sum is
the vector–Jacobian product.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnlearn.explain import notation
from fnlearn.explain.graph import Edge, Graph, integers_refused

MAX_PATHS = 10_000
# Each operation rounds, and the path sum and JAX round in different orders: so many units in the last place of the
# largest number added up are allowed, in the coarsest floating-point type on the way.
ROUNDINGS = 128


@dataclass(frozen=True, eq=False)
class Path:
    """One way from an input to the output.

    Args:
        nodes: the names on the way, the input first and the output last.
        edges: the edges between them.
        product: the product of the local derivatives, a number for a scalar input; otherwise the cotangent of the input
            that arrives along this path.
    """

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    product: Any


@dataclass(frozen=True, eq=False)
class Check:
    """How one input's path sum compares with what JAX's own differentiation gives.

    Args:
        name: the input.
        path_sum: the sum of its paths' products.
        gradient: `jax.grad`'s value, or for an array output the vector–Jacobian product of `jax.vjp`.
        difference: the largest absolute difference between the two.
        tolerance: the difference that rounding may explain.
        same: whether the difference is within the tolerance.
    """

    name: str
    path_sum: Any
    gradient: Any
    difference: float
    tolerance: float
    same: bool


def count_paths(graph: Graph, source: str) -> int:
    """The number of paths from a node to the output, without walking them.

    Args:
        graph: the graph.
        source: the node's name.

    Returns:
        The number, found in one pass over the edges, however large it is.

    Raises:
        ValueError: if there is no such node.
    """
    counts = dict.fromkeys((node.name for node in graph.nodes), 0)
    counts[graph[source].name] = 1
    for edge in graph.edges:  # in the order of their targets: every source's count is complete
        counts[edge.target] += counts[edge.source]
    return counts[graph.output]


def paths(graph: Graph, source: str, cotangent: Any = None, *, max_paths: int = MAX_PATHS) -> list[Path]:
    """Every path from a node to the output, with the product of the local derivatives along it.

    Args:
        graph: the graph.
        source: the name of an input, or of any other node.
        cotangent: what is pulled back from the output, of the output's shape; ones if it is not given.
        max_paths: how many paths there may be; their number can double with every operation.

    Returns:
        The paths, in the order of the operands they arrive by. A path through integers, or through `stop_gradient`, has
        a product of zero.

    Raises:
        ValueError: if there is no such node, if it or the output is not floating-point, if there are more than
            `max_paths` paths, or if the cotangent's shape is not the output's.

    Source: the notes' rule, "multiply along a path, add over the paths"; Bauer, "Computational graphs and rounding
        error", SIAM J. Numer. Anal. 11 (1974).
    """
    _refuse_integers(graph, source)
    _refuse_integers(graph, graph.output)
    count = count_paths(graph, source)
    if count > max_paths:
        raise ValueError(f"{source} has {count:,} paths to {graph.output}, more than max_paths={max_paths:,}")
    value = graph[source].value
    return [
        Path((*(edge.source for edge in edges), graph.output), edges, _finished(arrived, value))
        for edges, arrived in _walk(graph, source, _cotangent(graph, cotangent))
    ]


def path_sum(graph: Graph, source: str, cotangent: Any = None, *, max_paths: int = MAX_PATHS) -> Any:
    """The derivative of the output with respect to a node: the sum of the products of all paths.

    Args:
        graph: the graph.
        source: the name of an input, or of any other node.
        cotangent: what is pulled back from the output, of the output's shape; ones if it is not given.
        max_paths: how many paths there may be.

    Returns:
        A number for a scalar node, otherwise an array of the node's shape; zero where no path leads to the output.

    Raises:
        ValueError: as `paths` does.
    """
    return _total(graph, source, paths(graph, source, cotangent, max_paths=max_paths))


def gradients(graph: Graph, cotangent: Any = None) -> dict[str, Any]:
    """What JAX's own differentiation of the whole function gives for every floating-point input.

    Args:
        graph: the graph, which remembers the function and its arguments.
        cotangent: what is pulled back from the output; ones if it is not given, as in `jax.grad`.

    Returns:
        The derivative by input name: `jax.vjp`'s, which is `jax.grad`'s where the output is a scalar.

    Raises:
        ValueError: if the output is not floating-point, or if the cotangent's shape is not the output's.
    """
    names = floating_inputs(graph)
    _refuse_integers(graph, graph.output)
    values = [graph[name].value for name in names]

    def of_floats(*floats: Any) -> Any:
        given = dict(zip(names, floats, strict=True))
        pairs = zip(graph.inputs, graph.arguments, strict=True)
        return jnp.asarray(graph.function(*(given.get(name, argument) for name, argument in pairs)))

    return dict(zip(names, _pulled_back(of_floats, values, _cotangent(graph, cotangent)), strict=True))


def check(graph: Graph, cotangent: Any = None, *, max_paths: int = MAX_PATHS) -> tuple[Check, ...]:
    """Compares each floating-point input's path sum with what JAX's own differentiation gives.

    Args:
        graph: the graph, which remembers the function and its arguments.
        cotangent: what is pulled back from the output; ones if it is not given.
        max_paths: how many paths one input may have.

    Returns:
        One record for each floating-point input, in order.

    Raises:
        ValueError: as `paths` does.
    """
    expected = gradients(graph, cotangent)
    return tuple(
        compare(graph, name, paths(graph, name, cotangent, max_paths=max_paths), expected[name]) for name in expected
    )


def compare(graph: Graph, name: str, found: list[Path], gradient: Any) -> Check:
    """Compares the sum of the paths that were found with a gradient.

    Args:
        graph: the graph.
        name: the input.
        found: all its paths.
        gradient: what their products should add up to.

    Returns:
        The record.
    """
    total = _total(graph, name, found)
    ours, theirs = np.asarray(total), np.asarray(gradient)
    wide = np.complex128 if np.iscomplexobj(theirs) else np.float64
    ours, theirs = ours.astype(wide), theirs.astype(wide)
    agree = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))  # infinities and NaN agree with themselves
    with np.errstate(invalid="ignore"):
        difference = float(np.max(np.where(agree, 0.0, np.abs(ours - theirs)), initial=0.0))
    added = (np.asarray(path.product).astype(wide) for path in found)
    scale = _largest_finite(theirs) + sum(map(_largest_finite, added))
    tolerance = ROUNDINGS * _coarsest_rounding(graph) * scale
    return Check(name, total, gradient, difference, tolerance, bool(agree.all() or difference <= tolerance))


def floating_inputs(graph: Graph) -> list[str]:
    """The inputs that can be differentiated.

    Args:
        graph: the graph.

    Returns:
        Their names, in order.
    """
    return [name for name in graph.inputs if notation.is_differentiable(graph[name].value)]


def _refuse_integers(graph: Graph, name: str) -> None:
    if not notation.is_differentiable(graph[name].value):
        raise ValueError(integers_refused(name, graph[name].value))


def _cotangent(graph: Graph, cotangent: Any) -> jax.Array:
    value = graph[graph.output].value
    if cotangent is None:
        return jnp.ones_like(value)
    if jnp.shape(cotangent) != value.shape:
        came, expected = notation.shape_text(jnp.shape(cotangent)), notation.shape_text(value.shape)
        raise ValueError(f"the cotangent has shape {came}, but the output {graph.output} has shape {expected}")
    return jnp.asarray(cotangent, value.dtype)


def _walk(graph: Graph, source: str, cotangent: jax.Array) -> Iterator[tuple[tuple[Edge, ...], Any]]:
    """Depth first from the output back to the source, so that paths share what was already pulled back.

    Yields the edges from the source on, and the cotangent that arrives, None for a zero.
    """
    useful = _nodes_from(graph, source)
    into = {node.name: graph.edges_into(node.name) for node in graph.nodes}
    dtypes = {node.name: node.value.dtype for node in graph.nodes}
    stack: list[tuple[str, tuple[Edge, ...], Any]] = [(graph.output, (), cotangent)]
    while stack:
        name, edges, arrived = stack.pop()
        if name == source:
            yield edges, arrived
            continue
        for edge in reversed(into[name]):
            if edge.source in useful:
                stack.append((edge.source, (edge, *edges), _pull(edge, arrived, dtypes[edge.source])))


def _nodes_from(graph: Graph, source: str) -> set[str]:
    """The nodes that depend on the source, itself included."""
    useful = {source}
    for edge in graph.edges:
        if edge.source in useful:
            useful.add(edge.target)
    return useful


def _pull(edge: Edge, cotangent: Any, dtype: Any) -> Any:
    if cotangent is None or edge.pullback is None:
        return None  # a zero that not even an infinite derivative further on turns into NaN, as in JAX
    if edge.derivative is None:
        return edge.pullback(jnp.asarray(cotangent))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return np.asarray(float(cotangent) * edge.derivative).astype(dtype)


def _finished(arrived: Any, value: Any) -> Any:
    product = jnp.zeros_like(value) if arrived is None else arrived
    return float(product) if notation.is_real_scalar(value) else product


def _total(graph: Graph, name: str, found: list[Path]) -> Any:
    value = graph[name].value
    if notation.is_real_scalar(value):
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.asarray(sum(path.product for path in found)).astype(value.dtype))
    return sum((path.product for path in found), start=jnp.zeros_like(value))


def _pulled_back(function: Any, values: list[Any], cotangent: jax.Array) -> tuple[Any, ...]:
    try:
        return tuple(jax.vjp(function, *values)[1](cotangent))
    except ValueError:  # there is no reverse mode for while_loop
        jacobians = jax.jacfwd(function, argnums=tuple(range(len(values))))(*values)
        return tuple(jnp.tensordot(cotangent, jacobian, axes=cotangent.ndim) for jacobian in jacobians)


def _coarsest_rounding(graph: Graph) -> float:
    dtypes = {node.value.dtype for node in graph.nodes if notation.is_differentiable(node.value)}
    return max(float(jnp.finfo(dtype).eps) for dtype in dtypes)


def _largest_finite(array: Any) -> float:
    return float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0))
