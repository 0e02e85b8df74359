"""Proof, side by side: whether two answers are the same, judged by how wrong each is against float64."""

from fnlearn.equivalence.answer import Answer
from fnlearn.equivalence.asked import Inputs
from fnlearn.equivalence.check import check, first
from fnlearn.equivalence.compare import Leaf, assert_equivalent, compare
from fnlearn.equivalence.golden import load, record
from fnlearn.equivalence.layers import layers
from fnlearn.equivalence.optimizer import optimizer
from fnlearn.equivalence.outputs import backward, forward
from fnlearn.equivalence.pair import Pair, pair
from fnlearn.equivalence.report import as_json, html, tables, worst_ratio
from fnlearn.equivalence.setup import setup
from fnlearn.equivalence.torch_side import Recording
from fnlearn.equivalence.training import training
from fnlearn.equivalence.watch import tap

__all__ = [
    "Answer",
    "Inputs",
    "Leaf",
    "Pair",
    "Recording",
    "as_json",
    "assert_equivalent",
    "backward",
    "check",
    "compare",
    "first",
    "forward",
    "html",
    "layers",
    "load",
    "optimizer",
    "pair",
    "record",
    "setup",
    "tables",
    "tap",
    "training",
    "worst_ratio",
]
