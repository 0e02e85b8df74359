"""Rearrangements."""

import numpy as np

from tests.cases.table import R, case

CASES = [
    case("pixel_shuffle", R(2, 8, 3, 2), 2),
    case("pixel_shuffle", R(9, 2, 3), 3),
    case("pixel_unshuffle", R(2, 3, 4, 6), 2),
    case("pixel_unshuffle", R(2, 1, 1, 6, 3), 3),
    case("channel_shuffle", R(2, 6, 3, 2), 3),
    case("channel_shuffle", R(1, 6, 3), 2),
    case("native_channel_shuffle", np.arange(72).reshape(2, 6, 3, 2), 3),
]

ERRORS = [
    (case("pixel_shuffle", R(2, 6, 3, 2), 2), ValueError, "its square divide 6 channels, got 2"),
    (case("pixel_shuffle", R(2, 6, 3, 2), 0), ValueError, "upscale_factor must be positive"),
    (case("pixel_shuffle", R(2, 6), 1), ValueError, "three or more dimensions"),
    (case("pixel_unshuffle", R(2, 6, 3, 2), 2), ValueError, "divide height 3 and width 2, got 2"),
    (case("channel_shuffle", R(2, 6, 3), 4), ValueError, "divide 6 channels, got 4"),
    (case("channel_shuffle", R(2, 6), 2), ValueError, "three or more dimensions"),
]
