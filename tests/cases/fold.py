"""Sliding windows of images as columns, and back."""

import numpy as np

from tests.cases.table import R, case

CASES = [
    case("unfold", R(2, 3, 5, 6), 3),
    case("unfold", R(2, 3, 5, 6), (2, 3), padding=(1, 2), stride=(2, 1)),
    case("unfold", R(2, 3, 5, 6), 2, (2, 1), 1),
    case("unfold", R(2, 3, 4, 6), 2, stride=2),  # windows side by side
    case("unfold", R(2, 3, 5, 7), 2, stride=2),
    case("unfold", R(2, 1, 6, 6), 2, stride=3),  # elements that no window sees
    case("unfold", R(3, 4, 4), (2, 2)),
    case("fold", R(2, 12, 12), (4, 5), 2),
    case("fold", R(2, 18, 12), (5, 6), (2, 3), padding=(1, 0), stride=(2, 1)),
    case("fold", R(2, 12, 6), (4, 6), 2, stride=2),
    case("fold", R(2, 4, 9), 5, 2, dilation=2),
    case("fold", R(12, 6), (4, 6), (2, 2), stride=2),
]

ERRORS = [
    (case("unfold", R(5, 6), 2), ValueError, "input must have shape"),
    (case("unfold", R(1, 1, 5, 6), 7), ValueError, "has no window"),
    (case("unfold", R(1, 1, 5, 6), (2, 2, 2)), ValueError, "kernel_size must be"),
    (case("unfold", R(1, 1, 5, 6), 2, stride=0), ValueError, "stride must be at least 1"),
    (case("fold", R(12), 4, 2), ValueError, "input must have shape"),
    (case("fold", R(2, 12, 12), (4, 4), 2), ValueError, "12 rows|multiple of 4 rows and 9 columns"),
    (case("fold", R(2, 13, 9), (4, 4), 2), ValueError, "multiple of 4 rows and 9 columns"),
    (case("fold", np.ones((1, 4, 9), np.int32), 4, 2), TypeError, "must be floating-point"),
    (case("fold", R(1, 4, 1), 1, 2), ValueError, "output_size .* has no window"),
]
