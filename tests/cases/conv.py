"""Convolutions and their transposes."""

import numpy as np

from tests.cases.table import R, case

X1, X2, X3 = R(2, 4, 9), R(2, 4, 7, 6), R(1, 2, 4, 5, 3)
W1, W2, W3 = R(6, 4, 3), R(6, 4, 3, 2), R(2, 2, 2, 3, 2)

CASES = [
    case("conv1d", X1, W1),
    case("conv1d", X1, W1, R(6), stride=2, padding=1),
    case("conv1d", X1, R(6, 2, 3), R(6), dilation=2, groups=2),
    case("conv1d", X1, R(6, 4, 3), R(6), padding="same", dilation=3),
    case("conv1d", X1, W1, padding="valid", stride=(3,)),
    case("conv1d", R(4, 9), W1, R(6)),  # one sample
    case("conv2d", X2, W2),
    case("conv2d", X2, W2, R(6), stride=(2, 1), padding=(0, 2)),
    case("conv2d", X2, R(8, 2, 3, 2), R(8), 1, "same", 2, 2),
    case("conv2d", X2, R(4, 1, 3, 3), R(4), padding=1, groups=4),
    case("conv2d", X2, R(8, 1, 3, 3), padding=1, groups=4),  # two outputs for each input channel
    case("conv2d", X2, R(4, 1, 3, 3), stride=2, padding=1, groups=4),
    case("conv2d", X2, R(5, 4, 1, 1), R(5)),
    case("conv2d", X2, R(5, 4, 1, 1), stride=2),
    case("conv2d", R(4, 7, 6), W2, R(6), dilation=(2, 1)),
    case("conv2d", R(2, 32, 6, 5), R(16, 32, 3, 3), R(16), padding=1),  # forms of their own on a CPU, from here
    case("conv2d", R(2, 32, 6, 5), R(16, 32, 3, 3), stride=2, padding=1),
    case("conv2d", R(2, 32, 2, 2), R(16, 32, 3, 3), R(16), padding=1),
    case("conv2d", R(2, 32, 6, 5), R(32, 4, 3, 3), padding=1, groups=8),
    case("conv2d", R(2, 32, 6, 5), R(32, 4, 3, 3), stride=2, groups=8),
    case("conv2d", R(2, 16, 6, 5), R(16, 1, 5, 5), padding=2, groups=16),
    case("conv2d", R(2, 3, 12, 12), R(8, 3, 7, 7), stride=2, padding=3),
    case("conv3d", X3, W3),
    case("conv3d", X3, W3, R(2), stride=(2, 1, 1), padding=(1, 0, 2)),
    case("conv3d", X3, R(2, 1, 3, 2, 1), R(2), padding="same", dilation=(1, 2, 1), groups=2),
    case("conv3d", R(2, 4, 5, 3), W3, R(2)),
    case("conv_transpose1d", R(2, 4, 5), R(4, 3, 3)),
    case("conv_transpose1d", R(2, 4, 5), R(4, 3, 3), R(6), 3, 1, 2, 2, 2),
    case("conv_transpose1d", R(4, 5), R(4, 3, 3), R(3), dilation=2),
    case("conv_transpose2d", R(2, 4, 3, 4), R(4, 3, 3, 2), R(3)),
    case("conv_transpose2d", R(2, 4, 3, 4), R(4, 3, 3, 2), R(6), (2, 1), (1, 0), (1, 0), 2, (1, 2)),
    case("conv_transpose2d", R(2, 4, 3, 4), R(4, 1, 3, 3), stride=2, padding=1, groups=4),
    case("conv_transpose2d", R(4, 3, 4), R(4, 3, 3, 2), stride=2, padding=2),
    case("conv_transpose3d", R(1, 2, 3, 2, 3), R(2, 3, 2, 2, 3), R(3)),
    case("conv_transpose3d", R(1, 2, 3, 2, 3), R(2, 1, 2, 2, 3), R(2), (1, 2, 3), 1, (0, 1, 2), 2),
    case("conv_transpose3d", R(2, 3, 2, 3), R(2, 3, 2, 2, 3), R(3), dilation=2),
    case("conv_tbc", R(7, 2, 3), R(3, 3, 4), R(4)),
    case("conv_tbc", R(7, 2, 3), R(3, 3, 4), R(4), pad=2),
]

ERRORS = [
    (case("conv1d", X1, R(6, 4)), ValueError, "weight must have 3 dimensions"),
    (case("conv1d", R(2, 2, 4, 9), W1), ValueError, "input must have 2 or 3 dimensions"),
    (case("conv1d", X1, np.ones((6, 4, 3), np.int32)), TypeError, "must share one dtype"),
    (case("conv1d", X1, R(6, 3, 3)), ValueError, "must have 3 channels .* got 4"),
    (case("conv1d", X1, W1, R(5)), ValueError, r"bias must have shape \(6,\), got \(5,\)"),
    (case("conv1d", X1, W1, stride=0), ValueError, "stride must be at least 1"),
    (case("conv1d", X1, W1, padding=-1), ValueError, "padding must be at least 0"),
    (case("conv1d", X1, W1, dilation=(1, 2)), ValueError, r"dilation must be .* got \(1, 2\)"),
    (case("conv1d", X1, W1, padding="full"), ValueError, "padding must be one of .*, got 'full'"),
    (case("conv1d", X1, W1, padding="same", stride=2), ValueError, "padding='same' needs stride 1"),
    (case("conv1d", X1, W1, dilation=5), ValueError, "must not exceed the padded input"),
    (case("conv1d", X1, R(6, 4, 0)), ValueError, "kernel must not be empty"),
    (case("conv2d", X2, W2, groups=0), ValueError, "groups must be positive"),
    (case("conv2d", X2, W2, groups=4), ValueError, "groups must be positive and divide the 6 outputs"),
    (case("conv_transpose1d", X1, R(3, 3, 3)), ValueError, "must have the 3 channels"),
    (case("conv_transpose1d", X1, R(4, 3, 3), output_padding=1), ValueError, "output_padding must be below"),
    (case("conv_transpose1d", R(2, 4, 1), R(4, 3, 3), padding=2), ValueError, "leaves no output"),
    (case("conv_tbc", R(7, 2, 3), R(3, 4, 4), R(4)), ValueError, "don't fit"),
]
