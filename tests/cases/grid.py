"""Sampling at the points of a grid."""

import itertools

import numpy as np

from tests.cases.table import R, case

IMAGE, POINTS = R(2, 3, 4, 5), R(2, 3, 2, 2) * 0.8  # some points outside
VOLUME, SPOTS = R(1, 2, 3, 4, 5), R(1, 2, 3, 2, 3) * 0.6
SINGLE = R(1, 1, 1, 1)

OPTIONS = [
    {"mode": mode, "padding_mode": padding_mode, "align_corners": align}
    for mode, padding_mode, align in itertools.product(
        ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (False, True)
    )
]

CASES = [
    *[case("grid_sample", IMAGE, POINTS, **options) for options in OPTIONS],
    *[case("grid_sample", VOLUME, SPOTS, **options) for options in OPTIONS[:12:2]],  # not bicubic
    case("grid_sample", SINGLE, R(1, 2, 2, 2), padding_mode="reflection", align_corners=True),
    case("grid_sample", SINGLE, R(1, 2, 2, 2), padding_mode="reflection", align_corners=False),
    case("affine_grid", R(2, 2, 3), (2, 1, 3, 4), align_corners=False),
    case("affine_grid", R(2, 2, 3), (2, 1, 3, 4), align_corners=True),
    case("affine_grid", R(2, 3, 4), (2, 1, 2, 3, 4), align_corners=False),
    case("affine_grid", R(2, 3, 4), (2, 1, 2, 3, 4), align_corners=True),
    case("affine_grid", R(1, 2, 3), (1, 1, 1, 4), align_corners=False),
]

ERRORS = [
    (case("grid_sample", IMAGE, POINTS, "cubic", align_corners=True), ValueError, "mode must be one of"),
    (case("grid_sample", IMAGE, POINTS, "nearest", "zero", True), ValueError, "padding_mode must be one of"),
    (case("grid_sample", IMAGE, POINTS[:1], align_corners=True), ValueError, r"grid must have shape \(2, …, 2\)"),
    (case("grid_sample", IMAGE, SPOTS, align_corners=True), ValueError, "grid must have shape"),
    (case("grid_sample", VOLUME, SPOTS, "bicubic", align_corners=True), ValueError, "input must have 4 dimensions"),
    (case("grid_sample", R(2, 3), POINTS, align_corners=True), ValueError, "input must have 4 or 5 dimensions"),
    (case("grid_sample", R(2, 3, 0, 5), POINTS, align_corners=True), ValueError, "input must have pixels"),
    (case("grid_sample", np.ones((2, 3, 4, 5), int), POINTS, align_corners=True), TypeError, "must be floating-point"),
    (case("affine_grid", R(2, 2, 3), (2, 1, 3), True), ValueError, "size must be"),
    (case("affine_grid", R(2, 2, 3), (2, 1, 0, 3), True), ValueError, "all positive"),
    (case("affine_grid", R(2, 3, 4), (2, 1, 3, 3), True), ValueError, r"theta must have shape \(2, 2, 3\)"),
    (case("affine_grid", np.ones((2, 2, 3), int), (2, 1, 3, 3), True), TypeError, "theta must be floating-point"),
]
