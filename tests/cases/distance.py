"""Distances and similarities."""

import math

import numpy as np

from tests.cases.table import R, case

A, B = R(3, 4), R(3, 4, seed=1)
ZERO = np.array([[0.0, 0.0], [1.0, 2.0]])
EQUAL = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [1.0, 0.0]])  # distances of 0, and two equal maxima

CASES = [
    case("cosine_similarity", A, B),
    case("cosine_similarity", R(3, 4, 2), R(4, 1), dim=-2),
    case("cosine_similarity", A, B, 0, 3.0),  # some norms below eps
    case("cosine_similarity", ZERO, ZERO[::-1].copy()),
    case("pairwise_distance", A, B),
    case("pairwise_distance", A, R(4), p=1.0, keepdim=True),
    case("pairwise_distance", A, A, 2.0, 0.0),  # no distance anywhere: derivative 0
    *[case("pairwise_distance", A, B, p) for p in (0.5, 1.5, 3.0, math.inf, -math.inf)],
    case("pairwise_distance", EQUAL, EQUAL[::-1].copy(), math.inf, 0.0),
    *[case("pdist", R(4, 3), p) for p in (0.0, 1.0, 1.5, 2.0, 3.0, math.inf)],
    *[case("pdist", EQUAL, p) for p in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, math.inf)],
    case("pdist", R(1, 3)),
]

ERRORS = [
    (case("cosine_similarity", A, R(3)), ValueError, "can't be broadcast"),
    (case("cosine_similarity", A, B, dim=2), ValueError, "dim must be between -2 and 1"),
    (case("cosine_similarity", np.ones((2, 2), int), np.ones((2, 2), int)), TypeError, "must be floating-point"),
    (case("pairwise_distance", A, R(3)), ValueError, "x2 .* can't be broadcast"),
    (case("pdist", R(3)), ValueError, "must have two dimensions"),
    (case("pdist", A, -1.0), ValueError, "p must be at least 0, got -1"),
    (case("pdist", np.ones((2, 2), int)), TypeError, "must be floating-point"),
]
