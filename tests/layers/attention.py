"""Attention and Transformers, without dropout; stacks of layers are tested in tests/nn/test_transformer.py."""

import numpy as np

from tests.cases.table import R
from tests.layers.table import layer

Q, K, V = R(5, 2, 4), R(6, 2, 4, seed=1), R(6, 2, 4, seed=2)
PADDED = np.array([[False] * 6, [False] * 4 + [True] * 2])
CAUSAL = np.triu(np.ones((5, 5), bool), 1)

LAYERS = [
    layer("MultiheadAttention", 4, 2, inputs=(Q, K, V)),
    layer("MultiheadAttention", 4, 2, add_bias_kv=True, add_zero_attn=True, inputs=(Q, K, V, PADDED)),
    layer("MultiheadAttention", 4, 2, bias=False, batch_first=True, inputs=(Q, Q, Q, None, False)),
    layer("MultiheadAttention", 4, 2, kdim=3, vdim=2, inputs=(Q, R(6, 2, 3), R(6, 2, 2), PADDED, True, None, False)),
    layer("MultiheadAttention", 4, 2, inputs=(Q[:, 0], Q[:, 0], Q[:, 0], None, False, CAUSAL, True, True)),
    layer("TransformerEncoderLayer", 4, 2, 8, 0.0, "gelu", inputs=(Q, CAUSAL)),
    layer("TransformerEncoderLayer", 4, 2, 8, 0.0, norm_first=True, batch_first=True, bias=False, inputs=(Q,)),
    layer("TransformerDecoderLayer", 4, 2, 8, 0.0, inputs=(Q, K, CAUSAL, None, None, PADDED)),
    layer("TransformerDecoderLayer", 4, 2, 8, 0.0, norm_first=True, inputs=(Q, K)),
]
