"""The graph as text and as a Mermaid flowchart.

    text(graph) -> str        mermaid(graph) -> str

The SVG is drawn by `fnlearn.explain.picture`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fnlearn.explain.graph import Edge, Graph
from fnlearn.explain.notation import is_differentiable, number_text, shape_text, type_text, value_text
from fnlearn.explain.paths import MAX_PATHS, Path, compare, count_paths, floating_inputs, gradients, paths

SHOWN_PATHS = 20
# What would end a quoted Mermaid label, or start an entity, a tag or a Markdown string inside it.
MERMAID_ESCAPES = {character: f"#{ord(character)};" for character in '#"&<>`\\'}


def text(graph: Graph, *, max_shown: int = SHOWN_PATHS) -> str:
    """The graph in one aligned block: values, local derivatives, and the paths of every input with their sum.

    Args:
        graph: the graph.
        max_shown: how many of an input's paths are written out; the sum is that of all of them.

    Returns:
        Lines without a newline at the end. Where there are more than 10,000 paths only their number is given.

    Source: the notes' drawing of `e = (a + b) * (b + 1)`.
    """
    blocks = [_values(graph), _local_derivatives(graph), *_derivatives(graph, max_shown)]
    return "\n\n".join("\n".join(block) for block in blocks if len(block) > 1)


def mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart, for Markdown that draws it.

    Args:
        graph: the graph.

    Returns:
        The lines of a `flowchart`, every label quoted and escaped. A dotted arrow is one that nothing flows back along.
    """
    number = {node.name: f"n{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes:
        label = "<br/>".join(map(_escaped, node_lines(graph, node.name)))
        lines.append(f'    {number[node.name]}["{label}"]')
    for edge in graph.edges:
        arrow = "-.->" if edge.cut else "-->"
        lines.append(f'    {number[edge.source]} {arrow}|"{_escaped(edge_label(edge))}"| {number[edge.target]}')
    return "\n".join(lines)


def node_lines(graph: Graph, name: str) -> list[str]:
    """A node's label: its name and operation, then its value.

    Args:
        graph: the graph.
        name: the node's name.

    Returns:
        Two lines.
    """
    node = graph[name]
    first = node.name if node.operation == "input" else f"{node.name} = {node.expression}"
    return [first, value_text(node.value)]


def edge_label(edge: Edge) -> str:
    """The local derivative between scalars, the shape of the Jacobian between arrays.

    Args:
        edge: the edge.

    Returns:
        A number such as `2`; or `[4]×[3]`, the target's shape and the source's; or `0` where nothing flows back.
    """
    if edge.derivative is not None:
        return number_text(edge.derivative)
    return "0" if edge.cut else f"{shape_text(edge.target_shape)}×{shape_text(edge.source_shape)}"


def _values(graph: Graph) -> list[str]:
    rows = []
    for node in graph.nodes:
        definition = node.name if node.operation == "input" else f"{node.name} = {node.expression}"
        rows.append((definition, node.operation, value_text(node.value)))
    return ["values", *_aligned(rows)]


def _local_derivatives(graph: Graph) -> list[str]:
    rows = [(_quotient(edge.target, edge.source), _edge_text(edge)) for edge in graph.edges]
    return ["local derivatives", *_aligned(rows)]


def _edge_text(edge: Edge) -> str:
    if edge.cut:
        return "0 (nothing flows back)"
    return edge_label(edge)


def _derivatives(graph: Graph, max_shown: int) -> list[list[str]]:
    """One block for each input."""
    output = graph[graph.output].value
    if not is_differentiable(output):
        return [["derivatives", f"  none: the output {graph.output} is {type_text(output)}, not floating-point"]]
    differentiable = floating_inputs(graph)
    counts = {name: count_paths(graph, name) for name in differentiable}
    gradient = gradients(graph)
    blocks = []
    for name in graph.inputs:
        heading = _quotient(graph.output, name)
        if name not in differentiable:
            blocks.append([heading, f"  none: {name} is {type_text(graph[name].value)}, not floating-point"])
        elif counts[name] > MAX_PATHS:
            line = f"  {counts[name]:,} paths, too many to walk; {_judge(graph)} {value_text(gradient[name])}"
            blocks.append([heading, line])
        else:
            blocks.append([heading, *_one_derivative(graph, name, gradient[name], max_shown)])
    return blocks


def _one_derivative(graph: Graph, name: str, gradient: Any, max_shown: int) -> list[str]:
    found = paths(graph, name)
    check = compare(graph, name, found, gradient)
    rows = [(" → ".join(path.nodes), _product_text(path)) for path in found[:max_shown]]
    if len(found) > max_shown:
        rows.append(("…", f"and {len(found) - max_shown:,} paths more"))
    rows.append((f"sum of {len(found)} path{'' if len(found) == 1 else 's'}", "= " + _result_text(check.path_sum)))
    verdict = "the same" if check.same else f"different by {number_text(check.difference)}"
    rows.append((_judge(graph), f"= {_result_text(gradient)}  ({verdict})"))
    return _aligned(rows)


def _judge(graph: Graph) -> str:
    return "jax.grad" if graph[graph.output].value.shape == () else "jax.vjp with ones"


def _product_text(path: Path) -> str:
    """`1 · 2 = 2` where every factor is a number, otherwise the result alone."""
    factors = [edge.derivative for edge in path.edges]
    if len(factors) > 1 and all(factor is not None for factor in factors):
        return " · ".join(map(number_text, factors)) + " = " + _result_text(path.product)
    return "= " + _result_text(path.product)


def _result_text(result: Any) -> str:
    return value_text(result if hasattr(result, "dtype") else np.asarray(result))


def _quotient(target: str, source: str) -> str:
    return f"∂{target}/∂{source}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The rows' columns below each other, two blanks between them and before the first."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _escaped(label: str) -> str:
    one_line = " ".join(label.split())
    return "".join(MERMAID_ESCAPES.get(character, character) for character in one_line)
