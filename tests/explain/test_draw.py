"""The graph as text, Mermaid and SVG: the notes' example as it is shown, and labels that could break a format."""

import functools
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib as mpl
import pytest

from fnlearn import explain
from fnlearn.explain import picture

NOTES = """\
values
  a          input  2
  b          input  1
  c = a + b  add    3
  d = b + 1  add    2
  e = c * d  mul    6

local derivatives
  ∂c/∂a  1
  ∂c/∂b  1
  ∂d/∂b  1
  ∂e/∂c  2
  ∂e/∂d  3

∂e/∂a
  a → c → e      1 · 2 = 2
  sum of 1 path  = 2
  jax.grad       = 2  (the same)

∂e/∂b
  b → c → e       1 · 2 = 2
  b → d → e       1 · 3 = 3
  sum of 2 paths  = 5
  jax.grad        = 5  (the same)"""

NOTES_MERMAID = """\
flowchart LR
    n0["a<br/>2"]
    n1["b<br/>1"]
    n2["c = a + b<br/>3"]
    n3["d = b + 1<br/>2"]
    n4["e = c * d<br/>6"]
    n0 -->|"1"| n2
    n1 -->|"1"| n2
    n1 -->|"1"| n3
    n2 -->|"2"| n4
    n3 -->|"3"| n4"""


def notes() -> explain.Graph:
    return explain.graph(lambda a, b: (a + b) * (b + 1), 2.0, 1.0)


def neuron() -> explain.Graph:
    def loss(w: Any, x: Any, b: Any, y: Any) -> Any:
        return (jax.nn.sigmoid(w * x + b) - y) ** 2 * jnp.where(w > 0, w * w, 0)

    return explain.graph(loss, 0.5, 3.0, -1.0, 1.0)


def network() -> explain.Graph:
    def loss(params: Any, x: Any) -> Any:
        return jnp.sum(jax.nn.softmax(jnp.tanh(x @ params["w"] + params["b"][None])) ** 2)

    return explain.graph(loss, {"w": jnp.ones((3, 2)), "b": jnp.arange(2.0)}, jnp.ones((4, 3)))


def crossing() -> explain.Graph:
    """Two arrows that cross in the middle, where both their labels would stand."""
    return explain.graph(lambda a, b: (a * b) + (a / b), 3.0, 2.0)


def hostile() -> explain.Graph:
    """Names that would end a label, open a tag, a formula or a comment."""
    names = ['"] --> n9', "<b>&amp;", "a|b`c`", "$x_1$", "#quot;\n%%"]
    return explain.graph(lambda p: functools.reduce(jnp.add, p.values()), dict.fromkeys(names, 1.0))


GRAPHS = {"notes": notes, "neuron": neuron, "network": network, "crossing": crossing, "hostile": hostile}


@functools.cache
def drawn(name: str) -> explain.Graph:
    return GRAPHS[name]()


@pytest.fixture(params=GRAPHS)
def graph(request: pytest.FixtureRequest) -> explain.Graph:
    return drawn(request.param)


def test_text_of_the_notes_example() -> None:
    assert explain.text(notes()) == NOTES


def test_text_of_arrays_shows_shapes() -> None:
    text = explain.text(drawn("network"))
    assert "∂a/∂params.w  [4,2]×[3,2]" in text
    assert "[4,1]×[4]" in text
    assert "0 (nothing flows back)" in text
    assert text.count("(the same)") == 3
    assert "different" not in text


def test_text_of_a_vector_output_names_jax_vjp() -> None:
    assert "jax.vjp with ones  = [4, 4]" in explain.text(explain.graph(lambda x: 4 * x, jnp.ones(2)))


def test_text_with_integers_and_without_floats_in_the_output() -> None:
    text = explain.text(explain.graph(lambda x, n: x * n, 2.0, 3))
    assert "∂b/∂n\n  none: n is i32[], not floating-point" in text
    assert "none: the output b is i32[], not floating-point" in explain.text(explain.graph(jnp.argmax, jnp.ones(3)))


def test_text_with_many_paths() -> None:
    def doubled(times: int) -> explain.Graph:
        return explain.graph(lambda a: functools.reduce(lambda x, _: x + x, range(times), a), 1.0)

    assert "and 44 paths more" in explain.text(doubled(6))
    assert "sum of 64 paths" in explain.text(doubled(6))
    assert "1,048,576 paths, too many to walk; jax.grad 1.04858e+06" in explain.text(doubled(20))


def test_mermaid_of_the_notes_example() -> None:
    assert explain.mermaid(notes()) == NOTES_MERMAID


LABEL = r'"(?:[^"#&<>`]|#\d+;|<br/>)*"'
NODE = re.compile(rf"    (n\d+)\[{LABEL}\]")
EDGE = re.compile(rf"    (n\d+) (?:-->|-\.->)\|{LABEL}\| (n\d+)")


def test_mermaid_is_nothing_but_nodes_and_edges(graph: explain.Graph) -> None:
    first, *lines = explain.mermaid(graph).splitlines()
    assert first == "flowchart LR"
    nodes = [match[1] for line in lines if (match := NODE.fullmatch(line))]
    arrows = [match.groups() for line in lines if (match := EDGE.fullmatch(line))]
    assert len(nodes) == len(graph.nodes)
    assert len(arrows) == len(graph.edges)
    assert len(lines) == len(nodes) + len(arrows)
    assert {name for arrow in arrows for name in arrow} <= set(nodes)


def test_svg_is_xml_with_every_node_and_always_the_same(graph: explain.Graph, tmp_path: Path) -> None:
    target = explain.svg(graph, tmp_path / "graph.svg")
    first = target.read_bytes()
    assert explain.svg(graph, str(target)) == target
    assert target.read_bytes() == first
    assert list(tmp_path.iterdir()) == [target]  # nothing temporary is left
    texts = [" ".join(text.split()) for text in ET.fromstring(first).itertext() if text.strip()]
    for node in graph.nodes:
        label = " ".join(node.name.split())
        assert any(text == label or text.startswith(f"{label} = ") for text in texts), node.name


def test_svg_leaves_matplotlib_as_it_was_and_ignores_its_settings(tmp_path: Path) -> None:
    first = explain.svg(notes(), tmp_path / "one.svg").read_bytes()
    backend = dict.__getitem__(mpl.rcParams, "backend")  # without choosing one, as rcParams["backend"] would
    with mpl.rc_context({"svg.fonttype": "path", "font.size": 30, "figure.facecolor": "red"}):
        assert explain.svg(notes(), tmp_path / "two.svg").read_bytes() == first
        assert mpl.rcParams["svg.fonttype"] == "path"
    assert dict.__getitem__(mpl.rcParams, "backend") is backend


def test_svg_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        explain.svg(notes(), tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_no_box_or_label_covers_another(graph: explain.Graph) -> None:
    plan = picture.plan(graph)
    boxes = [*plan.boxes.values(), *(box for _, box in plan.labels)]
    assert not [(one, other) for index, one in enumerate(boxes) for other in boxes[:index] if one.overlaps(other)]
    assert len(plan.labels) == len({(edge.source, edge.target) for edge in graph.edges})
