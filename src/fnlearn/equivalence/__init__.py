"""Proof, side by side: whether two answers are the same, judged by how wrong each is against float64."""

from fnlearn.equivalence.answer import Answer
from fnlearn.equivalence.compare import Leaf, assert_equivalent, compare
from fnlearn.equivalence.layers import layers
from fnlearn.equivalence.optimizer import optimizer
from fnlearn.equivalence.outputs import backward, forward
from fnlearn.equivalence.pair import Pair, pair
from fnlearn.equivalence.setup import setup
from fnlearn.equivalence.training import training
from fnlearn.equivalence.watch import tap

__all__ = [
    "Answer",
    "Leaf",
    "Pair",
    "assert_equivalent",
    "backward",
    "compare",
    "forward",
    "layers",
    "optimizer",
    "pair",
    "setup",
    "tap",
    "training",
]
