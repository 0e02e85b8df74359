"""Layers of distances and similarities."""

from tests.cases.table import R
from tests.layers.table import layer

A, B = R(3, 4), R(3, 4, seed=1)

LAYERS = [
    layer("CosineSimilarity", inputs=(A, B)),
    layer("CosineSimilarity", 0, 0.1, inputs=(A, B)),
    layer("PairwiseDistance", inputs=(A, B)),
    layer("PairwiseDistance", 1.0, 0.1, True, inputs=(A, B)),
]
