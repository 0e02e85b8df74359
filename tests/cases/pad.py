"""Padding."""

from tests.cases.table import R, case

X = R(2, 3, 4, 5)

CASES = [
    case("pad", X, (1, 2)),
    case("pad", X, (1, 2, 0, 3), "constant", 1.5),
    case("pad", X, (-1, 2, 3, -2, 1, 1, 0, 1), value=-1.0),
    case("pad", X, ()),
    case("pad", R(4), (2, 1)),
    case("pad", R(2, 5), (4, 3), "reflect"),
    case("pad", X, (1, 2, 3, 0), "reflect"),
    case("pad", X, (-2, 3, 2, -1), "reflect"),
    case("pad", R(2, 3, 4, 5, 3), (2, 1, 0, 1, 1, 1), "reflect"),
    case("pad", R(2, 5), (6, 3), "replicate"),
    case("pad", X, (7, 2, 0, 1), "replicate"),
    case("pad", X, (-2, 3, 2, -1), "replicate"),
    case("pad", R(2, 3, 4, 5, 3), (2, 1, 0, 1, 1, 1), "replicate"),
    case("pad", R(2, 5), (5, 3), "circular"),
    case("pad", X, (1, 2, 3, 0), "circular"),
    case("pad", X, (-2, 1, 2, -1), "circular"),
    case("pad", R(2, 3, 4, 5, 3), (2, 1, 0, 1, 1, 1), "circular"),
]

ERRORS = [
    (case("pad", X, (1, 2), "edge"), ValueError, "mode must be one of .*, got 'edge'"),
    (case("pad", X, (1,)), ValueError, r"two amounts a dimension, at most 8, got \(1,\)"),
    (case("pad", R(4), (1, 1, 1, 1)), ValueError, "at most 2"),
    (case("pad", R(4), (-3, -2)), ValueError, r"must not shorten a dimension below 0, got \[\(-3, -2\)\]"),
    (case("pad", X, (1, 1), "reflect", 1.0), ValueError, "value belongs to mode 'constant', got value=1.0"),
    (case("pad", X, (1, 1), "reflect"), ValueError, "mode 'reflect' pads the last 1, 2 or 3 dimensions"),
    (case("pad", X, (5, 0, 0, 0), "reflect"), ValueError, "pad must be at most 4 for size 5 in mode 'reflect'"),
    (case("pad", X, (6, 0, 0, 0), "circular"), ValueError, "pad must be at most 5 for size 5 in mode 'circular'"),
    (case("pad", X, (5, -3, 0, 0), "circular"), ValueError, "pad must be at most 2 after shortening"),
    (case("pad", X, (-3, -2, 0, 0), "replicate"), ValueError, "can't pad size 5"),
    (case("pad", "abc", (1, 1)), TypeError, "input must be an array, got str"),
]
