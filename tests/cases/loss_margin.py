"""Losses with a margin, of classes, pairs and triplets."""

import numpy as np

from tests.cases.table import C, P, R, case

X, Y, Z = R(5, 3), R(5, 3, seed=1), R(5, 3, seed=2)
SIGNS = np.array([1, -1, 1, -1, -1])
GRID = np.where(R(5, 3, seed=3) > 0, 1, -1)
LISTED = np.array([[0, 2, -1], [1, -1, 0], [-1, 0, 1], [2, 1, 0], [1, 1, -1]])
WEIGHT = np.array([0.5, 1.0, 2.0])
TIED = np.array([[1.0, 2.0, 1.0], [3.0, 2.0, 2.0]])


def manhattan(x, y):
    return abs(x - y).sum(-1)


CASES = [
    case("margin_ranking_loss", X, Y, GRID),
    case("margin_ranking_loss", X, Y, R(5, 3, seed=3), margin=0.5, reduction="sum"),
    case("margin_ranking_loss", X, Y, GRID, margin=1.0, reduction="none"),
    case("margin_ranking_loss", X, X, GRID, reduction="none"),  # the corner
    case("hinge_embedding_loss", X, GRID),
    case("hinge_embedding_loss", X, GRID, margin=0.3, reduction="sum"),
    case("hinge_embedding_loss", TIED, np.array([[-1, 1, 0], [1, -1, 0]]), margin=2.0, reduction="none"),
    case("cosine_embedding_loss", X, Y, SIGNS),
    case("cosine_embedding_loss", X, Y, SIGNS, margin=0.4, reduction="sum"),
    case("cosine_embedding_loss", X, Y, np.array([1, -1, 0, 1, -1]), margin=-0.2, reduction="none"),
    case("cosine_embedding_loss", R(4), R(4, seed=1), np.array(1)),
    case("cosine_embedding_loss", 0 * X, Y, SIGNS),
    case("soft_margin_loss", X, GRID),
    case("soft_margin_loss", X, target=R(5, 3, seed=4), reduction="sum"),
    case("soft_margin_loss", X, GRID, reduction="none"),
    case("multilabel_soft_margin_loss", X, P(5, 3)),
    case("multilabel_soft_margin_loss", X, P(5, 3), weight=WEIGHT, reduction="sum"),
    case("multilabel_soft_margin_loss", R(2, 3, 4), P(2, 3, 4), reduction="none"),
    case("multi_margin_loss", X, C(3, 5)),
    case("multi_margin_loss", X, C(3, 5), p=2, margin=0.5, reduction="sum"),
    case("multi_margin_loss", X, C(3, 5), weight=WEIGHT, reduction="none"),
    case("multi_margin_loss", R(3), np.array(1)),
    case("multi_margin_loss", R(3), np.array([1]), p=2, reduction="none"),
    case("multi_margin_loss", TIED, np.array([1, 0])),  # the corner
    case("multilabel_margin_loss", X, LISTED),
    case("multilabel_margin_loss", X, LISTED, reduction="sum"),
    case("multilabel_margin_loss", X, LISTED, reduction="none"),
    case("multilabel_margin_loss", R(3), np.array([2, -1, 0])),
    case("multilabel_margin_loss", TIED, np.array([[1, -1, -1], [0, -1, -1]])),  # the corner
    case("triplet_margin_loss", X, Y, Z),
    case("triplet_margin_loss", X, Y, Z, margin=2.0, p=1, reduction="sum"),
    case("triplet_margin_loss", X, Y, Z, p=3, eps=1e-3, reduction="none"),
    case("triplet_margin_loss", X, Y, Z, p=float("inf"), swap=True),
    case("triplet_margin_loss", X, Y, Z, p=1.5, swap=True, reduction="none"),
    case("triplet_margin_loss", X, X, X, eps=0.0),  # no distance at all
    case("triplet_margin_loss", R(4), R(4, seed=1), R(4, seed=2)),
    case("triplet_margin_with_distance_loss", X, Y, Z),
    case("triplet_margin_with_distance_loss", X, Y, Z, distance_function=manhattan, margin=2.0, reduction="sum"),
    case("triplet_margin_with_distance_loss", X, Y, Z, swap=True, reduction="none"),
]

ERRORS = [
    (case("margin_ranking_loss", X, Y, SIGNS), ValueError, "equally many dimensions"),
    (case("margin_ranking_loss", X, Y, GRID, reduction="median"), ValueError, "reduction must be one of"),
    (case("hinge_embedding_loss", X, R(2, 2)), ValueError, "can't be broadcast"),
    (case("cosine_embedding_loss", X, Y, GRID), ValueError, r"input1, input2 \(N, D\) and target \(N\)"),
    (case("soft_margin_loss", X, R(2, 2)), ValueError, "can't be broadcast"),
    (case("soft_margin_loss", C(3, 5), SIGNS), TypeError, "input must be floating-point"),
    (case("multilabel_soft_margin_loss", np.array(1.0), np.array(1.0)), ValueError, "last dimension of classes"),
    (case("multi_margin_loss", X, C(3, 5), p=3), ValueError, "p must be 1 or 2, got 3"),
    (case("multi_margin_loss", X, C(3, 4)), ValueError, "one class for each of 5 sample"),
    (case("multi_margin_loss", X, C(3, 5) + 3), ValueError, "target must lie between 0 and 2"),
    (case("multi_margin_loss", X, C(3, 5), weight=P(2)), ValueError, "one factor for each of 3 classes"),
    (case("multi_margin_loss", R(2, 3, 4), C(3, 2)), ValueError, "input must have shape"),
    (case("multilabel_margin_loss", X, P(5, 3)), TypeError, "integer classes"),
    (case("multilabel_margin_loss", X, LISTED[:3]), ValueError, "target must have the shape of input"),
    (case("multilabel_margin_loss", X, LISTED - 1), ValueError, "target must lie between -1 and 2"),
    (case("triplet_margin_loss", X, Y, Z, margin=0.0), ValueError, "margin must be above 0, got 0"),
    (case("triplet_margin_loss", X, Y, R(3)), ValueError, "equally many dimensions"),
    (case("triplet_margin_with_distance_loss", X, Y, Z, margin=-1.0), ValueError, "margin must be above 0"),
]
