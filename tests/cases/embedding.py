"""Embeddings."""

import numpy as np

from tests.cases.table import C, P, R, case

TABLE, INDEX, FLAT = R(6, 4), C(6, 3, 5), C(6, 9)
BEGINS = np.array([0, 2, 2, 5])  # the second bag is empty
ENDS = np.array([0, 2, 2, 5, 9])
TWICE = np.array([[0, 4, 2], [2, 4, 0]])  # equally often: torch's CPU kernel divides by the count of another row
PADDED = np.array([3, 3, 1, 3, 0, 2, 1, 1, 3])  # the first bag holds nothing but padding

CASES = [
    case("embedding", INDEX, TABLE),
    case("embedding", np.array(3), TABLE),
    case("embedding", INDEX, TABLE, padding_idx=-2),
    case("embedding", INDEX, TABLE, scale_grad_by_freq=True),
    case("embedding", INDEX, TABLE, padding_idx=1, scale_grad_by_freq=True, sparse=False),
    case("embedding", INDEX, TABLE, max_norm=3.0),
    case("embedding", INDEX, TABLE, max_norm=2.0, norm_type=1.0),
    *[case("embedding_bag", INDEX, TABLE, mode=mode) for mode in ("sum", "mean", "max")],
    *[case("embedding_bag", FLAT, TABLE, BEGINS, mode=mode) for mode in ("sum", "mean", "max")],
    *[case("embedding_bag", PADDED, TABLE, BEGINS, mode=mode, padding_idx=3) for mode in ("sum", "mean", "max")],
    *[case("embedding_bag", INDEX, TABLE, mode=mode, padding_idx=-1) for mode in ("sum", "mean", "max")],
    case("embedding_bag", FLAT, TABLE, ENDS, include_last_offset=True),
    case("embedding_bag", FLAT, TABLE, ENDS, include_last_offset=True, mode="max"),
    case("embedding_bag", INDEX, TABLE, None, None, 2.0, False, "sum", False, P(3, 5)),
    case("embedding_bag", PADDED, TABLE, BEGINS, None, 2.0, False, "sum", False, P(9), padding_idx=3),
    case("embedding_bag", TWICE, TABLE, scale_grad_by_freq=True),
    case("embedding_bag", INDEX, TABLE, max_norm=2.0),
    case("embedding_bag", FLAT, np.ones((6, 4)), BEGINS, mode="max"),  # the first of equal rows has the gradient
    case("one_hot", INDEX, 6),
    case("one_hot", INDEX, num_classes=8),
]

ERRORS = [
    (case("embedding", INDEX, R(6)), ValueError, r"weight must have the dimensions \(V, D\)"),
    (case("embedding", R(3), TABLE), TypeError, "input must hold integers, got dtype float"),
    (case("embedding", INDEX, TABLE, padding_idx=6), ValueError, "padding_idx must be between -6 and 5, got 6"),
    (case("embedding_bag", INDEX, TABLE, BEGINS), ValueError, "offsets must be None"),
    (case("embedding_bag", FLAT, TABLE), ValueError, "offsets must have one dimension"),
    (case("embedding_bag", FLAT[None, None], TABLE), ValueError, "one or two dimensions"),
    (case("embedding_bag", FLAT, TABLE, BEGINS[:0], include_last_offset=True), ValueError, "at least the end"),
    (
        case("embedding_bag", INDEX, TABLE, mode="min"),
        ValueError,
        "mode must be one of 'sum', 'mean', 'max', got 'min'",
    ),
    (case("embedding_bag", INDEX, TABLE, mode="max", sparse=True), ValueError, "must be False for mode='max'"),
    (case("embedding_bag", INDEX, TABLE, per_sample_weights=R(3, 5)), ValueError, "unless mode is 'sum'"),
    (
        case("embedding_bag", INDEX, TABLE, mode="sum", per_sample_weights=R(5)),
        ValueError,
        r"the shape of input, got \(5,\)",
    ),
    (case("one_hot", R(3)), TypeError, "input must hold integers"),
    (case("one_hot", INDEX, 0), ValueError, "num_classes must be -1 or at least 1, got 0"),
    (case("one_hot", INDEX, 3), ValueError, "must hold classes from 0 to 2"),
    (case("one_hot", -INDEX - 1), ValueError, "must hold classes|num_classes"),
    (case("one_hot", INDEX[:0]), ValueError, "num_classes must be given for an empty input"),
]
