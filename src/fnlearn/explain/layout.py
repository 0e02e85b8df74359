"""Where the graph's boxes stand: in layers by their longest path, with long edges led around the boxes between.

    layout(graph) -> Layout

The layered drawing of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures",
IEEE Trans. SMC 11 (1981), in its simplest form: every layer is sorted by the mean place of its neighbours.
"""

from dataclasses import dataclass
from itertools import pairwise

from fnlearn.explain.graph import Graph

SWEEPS = 8
Place = tuple[str, ...]  # a node (name,), or the place (source, target, layer) where an edge passes a layer


@dataclass(frozen=True)
class Layout:
    """Places in units of layers (from the inputs on) and of rows (from the middle of the layer).

    Args:
        nodes: each node's layer and row.
        routes: for each pair of nodes joined by edges the places it passes, both ends included.
    """

    nodes: dict[str, tuple[float, float]]
    routes: dict[tuple[str, str], list[tuple[float, float]]]


def layout(graph: Graph) -> Layout:
    """Places for the graph's nodes and edges.

    Args:
        graph: the graph.

    Returns:
        The same places for the same graph, always.
    """
    layer_of = _layers(graph)
    pairs = list(dict.fromkeys((edge.source, edge.target) for edge in graph.edges))
    chains = {pair: _chain(pair, layer_of) for pair in pairs}
    layers: list[list[Place]] = [[] for _ in range(max(layer_of.values()) + 1)]
    for node in graph.nodes:
        layers[layer_of[node.name]].append((node.name,))
    for pair, chain in chains.items():
        for step, place in enumerate(chain[1:-1], start=layer_of[pair[0]] + 1):
            layers[step].append(place)
    layers = _sorted_layers(layers, chains)
    at = {
        place: (float(number), row - (len(layer) - 1) / 2)
        for number, layer in enumerate(layers)
        for row, place in enumerate(layer)
    }
    nodes = {node.name: at[(node.name,)] for node in graph.nodes}
    return Layout(nodes, {pair: [at[place] for place in chain] for pair, chain in chains.items()})


def _layers(graph: Graph) -> dict[str, int]:
    """The length of the longest path to each node; an input stands just before its first use."""
    layer_of = {node.name: 0 for node in graph.nodes}
    for edge in graph.edges:
        layer_of[edge.target] = max(layer_of[edge.target], layer_of[edge.source] + 1)
    for name in graph.inputs:
        uses = [layer_of[edge.target] for edge in graph.edges if edge.source == name]
        layer_of[name] = min(uses, default=1) - 1
    return layer_of


def _chain(pair: tuple[str, str], layer_of: dict[str, int]) -> list[Place]:
    source, target = pair
    between = range(layer_of[source] + 1, layer_of[target])
    return [(source,), *((source, target, str(layer)) for layer in between), (target,)]


def _sorted_layers(layers: list[list[Place]], chains: dict[tuple[str, str], list[Place]]) -> list[list[Place]]:
    """The order with the fewest crossings among those that sweeping forwards and backwards comes by."""
    links = [link for chain in chains.values() for link in pairwise(chain)]
    best, fewest = layers, _crossings(layers, links)
    for sweep in range(SWEEPS):
        layers = _swept(layers, links, backwards=bool(sweep % 2))
        crossings = _crossings(layers, links)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _swept(layers: list[list[Place]], links: list[tuple[Place, Place]], *, backwards: bool) -> list[list[Place]]:
    ordered = list(reversed(layers)) if backwards else list(layers)
    neighbours: dict[Place, list[Place]] = {}
    for source, target in links:
        here, there = (source, target) if backwards else (target, source)
        neighbours.setdefault(here, []).append(there)
    for number in range(1, len(ordered)):
        before, layer = ordered[number - 1], ordered[number]
        row = {place: index - len(before) / 2 for index, place in enumerate(before)}
        keep = {place: index - len(layer) / 2 for index, place in enumerate(layer)}

        def mean(place: Place, row: dict[Place, float] = row, keep: dict[Place, float] = keep) -> float:
            rows = [row[other] for other in neighbours.get(place, []) if other in row]
            return sum(rows) / len(rows) if rows else keep[place]

        ordered[number] = sorted(layer, key=mean)
    return list(reversed(ordered)) if backwards else ordered


def _crossings(layers: list[list[Place]], links: list[tuple[Place, Place]]) -> int:
    row = {place: index for layer in layers for index, place in enumerate(layer)}
    level = {place: number for number, layer in enumerate(layers) for place in layer}
    by_level: dict[int, list[tuple[int, int]]] = {}
    for source, target in links:
        by_level.setdefault(level[source], []).append((row[source], row[target]))
    return sum(
        (first[0] - second[0]) * (first[1] - second[1]) < 0
        for group in by_level.values()
        for index, first in enumerate(group)
        for second in group[:index]
    )
