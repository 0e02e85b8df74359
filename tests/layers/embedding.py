"""Embedding layers."""

import numpy as np

from tests.cases.table import C
from tests.layers.table import layer

INDEX, FLAT = C(6, 3, 5), C(6, 9)
TWICE = np.array([0, 4, 2, 2, 4, 0])
BEGINS = np.array([0, 2, 2, 5])

LAYERS = [
    layer("Embedding", 6, 4, inputs=(INDEX,)),
    layer("Embedding", 6, 4, -2, inputs=(INDEX,)),
    layer("Embedding", 6, 4, scale_grad_by_freq=True, inputs=(INDEX,)),
    *[layer("EmbeddingBag", 6, 4, mode=mode, inputs=(INDEX,)) for mode in ("sum", "mean", "max")],
    layer("EmbeddingBag", 6, 4, padding_idx=2, inputs=(FLAT, BEGINS)),
    layer("EmbeddingBag", 6, 4, scale_grad_by_freq=True, include_last_offset=True, inputs=(TWICE, np.array([0, 2, 6]))),
]
