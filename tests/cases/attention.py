"""Attention; that of several heads, which has two results, is tested in tests/functional/test_attention.py."""

import numpy as np

from tests.cases.table import R, case

NAME = "scaled_dot_product_attention"
Q, K, V = R(2, 4, 5, 3), R(2, 4, 6, 3, seed=1), R(2, 4, 6, 2, seed=2)
FEW = (R(2, 2, 6, 3, seed=1), R(2, 2, 6, 2, seed=2))
MASK = R(5, 6, seed=3) > -1.5
BLIND = np.array([[True] * 6] * 4 + [[False] * 6])  # the last query sees nothing

CASES = [
    case(NAME, Q, K, V),
    case(NAME, Q, K, V, MASK),
    case(NAME, Q, K, V, R(2, 1, 5, 6, seed=4)),
    case(NAME, Q, K, V, BLIND),
    case(NAME, Q, K, V, attn_mask=np.where(BLIND, 0.0, -np.inf)),
    case(NAME, Q, K, V, is_causal=True),
    case(NAME, Q, K, V, scale=0.3),
    case(NAME, Q * 6, K, V),  # one key has nearly all the weight
    case(NAME, Q, *FEW, enable_gqa=True),
    case(NAME, Q, *FEW, MASK, enable_gqa=True),
    case(NAME, R(5, 3), R(6, 3), R(6, 2)),
    case(NAME, R(2, 5, 3), R(2, 6, 3), R(2, 6, 2), is_causal=True),
]

ERRORS = [
    (case(NAME, Q, K, V, MASK, is_causal=True), ValueError, "exclude each other"),
    (case(NAME, Q, R(2, 4, 6, 2), V), ValueError, "don't fit"),
    (case(NAME, Q, *FEW), ValueError, "other leading shapes"),
    (case(NAME, Q, R(2, 3, 6, 3), R(2, 3, 6, 2), enable_gqa=True), ValueError, "can't be shared"),
    (case(NAME, Q, K, V, R(5, 5) > 0), ValueError, "attn_mask .* can't be broadcast"),
    (case(NAME, Q, K, V, np.ones((5, 6), np.int32)), TypeError, "attn_mask must be boolean or"),
    (case(NAME, Q, K, V, dropout_p=0.1), ValueError, "pass key="),
    (case(NAME, Q, K, V, dropout_p=1.1), ValueError, "dropout_p must be between 0 and 1"),
    (case(NAME, R(3), K, V), ValueError, r"must have shape \(\*, L, E\)"),
]
