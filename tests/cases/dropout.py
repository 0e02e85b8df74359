"""Dropouts in the cases that draw nothing; what is drawn is tested beside the cases."""

from tests.cases.table import R, case

X = R(2, 3, 4)

CASES = [
    case("dropout", X, training=False),
    case("dropout", X, 0.0),
    case("dropout", X, 1.0),
    case("dropout1d", X, 0.3, False),
    case("dropout1d", R(3, 4), 1.0),
    case("dropout2d", R(2, 3, 2, 2), 0.3, training=False),
    case("dropout2d", R(2, 3, 2, 2), 1.0),
    case("dropout3d", R(2, 3, 2, 2, 2), 0.3, training=False),
    case("dropout3d", R(3, 2, 2, 2), 1.0),
    case("alpha_dropout", X, 0.3),
    case("alpha_dropout", X, 1.0, True),
    case("feature_alpha_dropout", X, 0.3),
    case("feature_alpha_dropout", X, 1.0, True),
]

ERRORS = [
    (case("dropout", X, 1.5), ValueError, "p must be a probability between 0 and 1, got 1.5"),
    (case("dropout", X), ValueError, r"dropout draws its mask when training=True: pass key=jax.random.key\(...\)"),
    (case("dropout1d", R(3)), ValueError, "pass key="),
    (case("dropout1d", R(3), training=False), ValueError, r"must have the dimensions \(N, C, L\)"),
    (case("alpha_dropout", X, training=True), ValueError, "pass key="),
    (case("feature_alpha_dropout", R(3), 1.0, True), ValueError, "at least 2 dimensions"),
]
