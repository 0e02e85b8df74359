"""Sliding windows of images as columns, and back."""

from tests.cases.table import R
from tests.layers.table import layer

LAYERS = [
    layer("Unfold", (2, 3), padding=1, inputs=(R(2, 3, 5, 6),)),
    layer("Fold", (4, 5), 2, inputs=(R(2, 12, 12),)),
]
