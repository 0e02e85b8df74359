"""Linear maps."""

import numpy as np

from tests.cases.table import R, case

X = R(3, 4)

CASES = [
    case("linear", X, R(2, 4)),
    case("linear", X, R(2, 4), R(2)),
    case("linear", R(2, 3, 4), R(5, 4), R(5)),
    case("linear", R(64, 8), R(6, 8), R(6)),  # few features, many samples: a form of its own on a CPU
    case("linear", R(3, 20), R(18, 20), R(18)),
    case("linear", R(4), R(2, 4), R(2)),
    case("linear", R(4), R(4, seed=1)),
    case("linear", X, R(4, seed=1)),
    case("bilinear", R(3, 4), R(3, 5), R(2, 4, 5)),
    case("bilinear", R(3, 4), R(3, 5), R(2, 4, 5), R(2)),
]

ERRORS = [
    (case("linear", X, R(2, 3)), ValueError, "last dimensions must be equal"),
    (case("linear", X, R(2, 4), R(3)), ValueError, r"bias must have shape \(2,\)"),
    (case("linear", X, R(2, 2, 4)), ValueError, "weight must have shape"),
    (case("linear", X, np.ones((2, 4), np.int32)), TypeError, "must share one dtype"),
    (case("bilinear", X, X, R(2, 4, 5)), ValueError, "don't fit"),
]
