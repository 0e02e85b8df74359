"""The notes' picture of backpropagation, for any JAX function.

e = (a + b) * (b + 1)

graph(fn, *args)       the values, and on every edge the local derivative
paths(graph, "b")      every path from b to e with the product of what stands on its edges
path_sum(graph, "b")   their sum, which is the derivative; check(graph) holds it against JAX's own
text, mermaid, svg     the same written down
parse, bind            the same for an expression given as text
"""

from fnlearn.explain.draw import mermaid, text
from fnlearn.explain.expression import bind, binding, parse
from fnlearn.explain.graph import Edge, Graph, Node, graph
from fnlearn.explain.paths import Check, Path, check, count_paths, gradients, path_sum, paths
from fnlearn.explain.picture import svg

__all__ = [
    "Check",
    "Edge",
    "Graph",
    "Node",
    "Path",
    "bind",
    "binding",
    "check",
    "count_paths",
    "gradients",
    "graph",
    "mermaid",
    "parse",
    "path_sum",
    "paths",
    "svg",
    "text",
]
