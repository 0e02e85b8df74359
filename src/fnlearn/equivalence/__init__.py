"""Proof, side by side: whether two answers are the same, judged by how wrong each is against float64."""

from fnlearn.equivalence.compare import Leaf, assert_equivalent, compare

__all__ = ["Leaf", "assert_equivalent", "compare"]
