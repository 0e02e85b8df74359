"""The graph as an SVG: boxes with name, operation and value, arrows with the local derivatives.

    svg(graph, path)

Drawn on a `Figure` of its own, so that the caller's pyplot, backend and settings stay as they are.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from fnlearn import files
from fnlearn.explain.draw import edge_label, node_lines
from fnlearn.explain.graph import Graph
from fnlearn.explain.layout import layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]

# All lengths are in points. The font is monospaced, so that a text's width is known without drawing it.
FONT_SIZE = 10.0
LETTER_WIDTH = 0.602 * FONT_SIZE  # DejaVu Sans Mono
LINE_HEIGHT = 1.35 * FONT_SIZE
LABEL_SIZE = 9.0
PADDING = 8.0
ROW_GAP = 40.0
LAYER_GAP = 48.0
MARGIN = 14.0
COLOURS = {"input": "#dbeafe", "output": "#dcfce7", "other": "#f8fafc"}
INK, FAINT = "#0f172a", "#64748b"
# Where along an arrow its label may stand, the best place first.
LABEL_PLACES = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8)


@dataclass(frozen=True)
class Box:
    """A rectangle around its middle."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two have a point in common."""
        near_x = abs(self.x - other.x) < (self.width + other.width) / 2
        return near_x and abs(self.y - other.y) < (self.height + other.height) / 2


@dataclass
class Plan:
    """What is drawn where: y grows upwards."""

    boxes: dict[str, Box]
    routes: dict[tuple[str, str], list[Point]]
    labels: list[tuple[str, Box]] = field(default_factory=list)


def svg(graph: Graph, path: str | os.PathLike[str]) -> Path:
    """Draws the graph into an SVG file, the inputs on the left and the output on the right.

    The same graph gives the same bytes. The file is written under a temporary name and renamed, so that it is never
    half there. Texts stay texts, which can be searched and selected.

    Args:
        graph: the graph.
        path: where to write it; its folder must exist.

    Returns:
        The path.

    Raises:
        OSError: if the file cannot be written.

    Source: the notes' drawing of `e = (a + b) * (b + 1)`.
    """
    from matplotlib import style

    # matplotlib's own settings, whatever the caller's are, or the bytes would depend on those
    settings = style.context(["default", {"svg.fonttype": "none", "svg.hashsalt": "fnlearn"}])
    with files.replacing(path) as temporary, settings:
        figure(graph).savefig(temporary, format="svg", metadata={"Date": None})
    return Path(path)


def figure(graph: Graph) -> "Figure":
    """The drawing as a matplotlib figure that no window and no pyplot knows of.

    Args:
        graph: the graph.

    Returns:
        The figure, in its natural size.
    """
    from matplotlib.figure import Figure

    drawn = plan(graph)
    extent = [*drawn.boxes.values(), *(box for _, box in drawn.labels)]
    left = min(box.x - box.width / 2 for box in extent) - MARGIN
    right = max(box.x + box.width / 2 for box in extent) + MARGIN
    heights = [y for route in drawn.routes.values() for _, y in route]
    bottom = min([box.y - box.height / 2 for box in extent] + heights) - MARGIN
    top = max([box.y + box.height / 2 for box in extent] + heights) + MARGIN
    result = Figure(figsize=((right - left) / 72, (top - bottom) / 72))
    axes = result.add_axes((0, 0, 1, 1), xlim=(left, right), ylim=(bottom, top))
    axes.set_axis_off()
    for (source, target), route in drawn.routes.items():
        cut = all(edge.cut for edge in graph.edges_into(target) if edge.source == source)
        _draw_arrow(axes, route, dashed=cut)
    for name, box in drawn.boxes.items():
        _draw_box(axes, graph, name, box)
    for label, box in drawn.labels:
        _draw_label(axes, label, box)
    return result


def plan(graph: Graph) -> Plan:
    """Where everything goes, no label upon another or upon a box.

    Args:
        graph: the graph.

    Returns:
        Boxes, routes and labels in points.
    """
    places = layout(graph)
    size = {node.name: _box_size(node_lines(graph, node.name)) for node in graph.nodes}
    count = 1 + max(int(layer) for layer, _ in places.nodes.values())
    widths = [0.0] * count
    for name, (layer, _) in places.nodes.items():
        widths[int(layer)] = max(widths[int(layer)], size[name][0])
    labels = {pair: _label(graph, pair) for pair in places.routes}
    gap = LAYER_GAP + max((len(label) * LETTER_WIDTH for label in labels.values()), default=0.0)
    middles = [sum(widths[:layer]) + widths[layer] / 2 + layer * gap for layer in range(count)]
    row_height = 2 * LINE_HEIGHT + 2 * PADDING + ROW_GAP
    boxes = {
        name: Box(middles[int(layer)], -row * row_height, *size[name]) for name, (layer, row) in places.nodes.items()
    }
    routes = {}
    for (source, target), steps in places.routes.items():
        between: list[Point] = []
        for layer, row in steps[1:-1]:  # straight through the layer, so that no box beside it is touched
            half = widths[int(layer)] / 2
            between += [
                (middles[int(layer)] - half, -row * row_height),
                (middles[int(layer)] + half, -row * row_height),
            ]
        start, end = boxes[source], boxes[target]
        first, last = (start.x + start.width / 2, start.y), (end.x - end.width / 2, end.y)
        routes[source, target] = [first, *between, last]
    result = Plan(boxes, routes)
    _place_labels(result, labels)
    return result


def _box_size(lines: list[str]) -> tuple[float, float]:
    return max(map(len, lines)) * LETTER_WIDTH + 2 * PADDING, len(lines) * LINE_HEIGHT + 2 * PADDING


def _label(graph: Graph, pair: tuple[str, str]) -> str:
    """One arrow stands for all uses of the source by the target; their derivatives add up."""
    edges = [edge for edge in graph.edges_into(pair[1]) if edge.source == pair[0]]
    return " + ".join(map(edge_label, edges))


def _place_labels(plan: Plan, labels: dict[tuple[str, str], str]) -> None:
    """Gives each label the first place on its arrow where it covers nothing."""
    taken = list(plan.boxes.values())
    for pair, label in labels.items():
        width, height = len(label) * LETTER_WIDTH * LABEL_SIZE / FONT_SIZE + 4, LINE_HEIGHT
        candidates = [Box(x, y, width, height) for x, y in _label_places(plan.routes[pair])]
        free = [box for box in candidates if not any(box.overlaps(other) for other in taken)]
        chosen = free[0] if free else candidates[0]
        taken.append(chosen)
        plan.labels.append((label, chosen))


def _label_places(route: list[Point]) -> Iterator[Point]:
    """Places along the arrow, in the gap before its target and then in the others."""
    segments = list(pairwise(route))
    for (x0, y0), (x1, y1) in reversed(segments):
        for part in LABEL_PLACES:
            yield x0 + part * (x1 - x0), y0 + part * (y1 - y0)


def _draw_arrow(axes: "Axes", route: list[Point], *, dashed: bool) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Outline

    axes.add_patch(
        FancyArrowPatch(
            path=Outline(route),
            arrowstyle="-|>",
            mutation_scale=10,
            linewidth=1.0,
            linestyle=(0, (3, 3)) if dashed else "solid",
            color=FAINT,
            joinstyle="round",
        )
    )


def _draw_box(axes: "Axes", graph: Graph, name: str, box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch

    kind = "output" if name == graph.output else "input" if name in graph.inputs else "other"
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    style = "round,pad=0,rounding_size=4"
    patch = FancyBboxPatch(
        corner, box.width, box.height, boxstyle=style, facecolor=COLOURS[kind], edgecolor=INK, linewidth=1.0, zorder=2
    )
    axes.add_patch(patch)
    first, second = node_lines(graph, name)
    for line, offset, colour in ((first, LINE_HEIGHT / 2, INK), (second, -LINE_HEIGHT / 2, FAINT)):
        _write(axes, box.x, box.y + offset, line, FONT_SIZE, colour)


def _draw_label(axes: "Axes", label: str, box: Box) -> None:
    from matplotlib.patches import Rectangle

    corner = (box.x - box.width / 2, box.y - box.height / 2)
    axes.add_patch(Rectangle(corner, box.width, box.height, facecolor="white", edgecolor="none", zorder=2))
    _write(axes, box.x, box.y, label, LABEL_SIZE, INK)


def _write(axes: "Axes", x: float, y: float, line: str, size: float, colour: str) -> None:
    axes.text(
        x,
        y,
        line,
        size=size,
        color=colour,
        family=["DejaVu Sans Mono", "monospace"],
        ha="center",
        va="center_baseline",
        zorder=3,
        parse_math=False,  # a dollar sign in a name is a dollar sign
    )
