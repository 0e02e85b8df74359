"""Activation functions."""

import numpy as np

from tests.cases.table import R, case

X = R(3, 4)

# of one argument, element by element: also asked about kinks, infinities and NaN
ELEMENTWISE = [
    case("sigmoid", X),
    case("tanh", X),
    case("relu", X),
    case("relu6", X),
    case("hardtanh", X),
    case("hardtanh", X, min_val=-2.0, max_val=0.5),
    case("threshold", X, 0.5, -1.0),
    case("leaky_relu", X),
    case("leaky_relu", X, negative_slope=0.3),
    case("elu", X),
    case("elu", X, alpha=2.0),
    case("selu", X),
    case("celu", X),
    case("celu", X, alpha=0.5),
    case("gelu", X),
    case("gelu", X, approximate="tanh"),
    case("silu", X),
    case("mish", X),
    case("hardsigmoid", X),
    case("hardswish", X),
    case("logsigmoid", X),
    case("softplus", X),
    case("softplus", X, beta=3, threshold=2),
    case("softsign", X),
    case("hardshrink", X),
    case("hardshrink", X, lambd=1.0),
    case("softshrink", X),
    case("softshrink", X, lambd=1.0),
    case("tanhshrink", X),
    case("rrelu", X),
]

CASES = [
    *ELEMENTWISE,
    case("prelu", X, np.array([0.25])),
    case("prelu", X, np.array([0.25, 0.1, 0.3, 0.2])),
    case("prelu", R(2, 3, 4), np.array([0.25, 0.1, 0.3])),
    case("glu", X),
    case("glu", R(4, 3), dim=0),
]

ERRORS = [
    (case("relu", "text"), TypeError, "input must be an array of numbers"),
    (case("elu", np.array([1, 2])), TypeError, "input must be floating-point, got dtype int"),
    (case("gelu", X, approximate="fast"), ValueError, "approximate must be one of 'none', 'tanh', got 'fast'"),
    (case("celu", X, alpha=0), ValueError, "alpha cannot be 0"),
    (case("hardtanh", X, 1.0, -1.0), ValueError, "min_val cannot be greater than max_val"),
    (case("softshrink", X, lambd=-1.0), ValueError, "lambd must be at least 0, got -1"),
    (case("rrelu", X, 0.5, 0.1), ValueError, "lower must not exceed upper"),
    (case("rrelu", X, training=True), ValueError, "pass key="),
    (case("glu", R(3, 3)), ValueError, "must be even, got size 3"),
    (case("glu", R()), ValueError, "does not support a scalar"),
    (case("prelu", X, np.array([0.1, 0.2])), ValueError, "one for each of 4 channel"),
    (case("prelu", X, R(1, 1)), ValueError, "weight must be a scalar or one-dimensional"),
]
