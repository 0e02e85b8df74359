"""Softmax and its relatives."""

from tests.cases.table import R, case

X = R(3, 4)

CASES = [
    case("softmax", X, dim=1),
    case("softmax", X, dim=0),
    case("softmax", R(), dim=0),
    case("softmax", R(6, 5, seed=3) * 8, dim=-1),  # one share is nearly 1
    case("softmin", X, dim=-1),
    case("log_softmax", X, dim=1),
    case("log_softmax", R(2, 3, 4), dim=1),
]

ERRORS = [
    (case("gumbel_softmax", X), ValueError, "pass key="),
    (case("softmax", X, dim=2), ValueError, "dim must be between -2 and 1 .*, got 2"),
]
