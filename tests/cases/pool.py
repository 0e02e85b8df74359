"""Pooling over fixed and adaptive windows, and its inverse."""

import numpy as np

from tests.cases.table import R, case

X1, X2, X3 = R(2, 3, 11), R(2, 3, 7, 9), R(2, 2, 5, 6, 7)
TIES = np.round(R(2, 2, 6, 6) / 2)  # few different numbers: most windows have several maxima
HOLES = np.where(R(2, 2, 6, 6, seed=1) > 1.5, np.nan, np.where(R(2, 2, 6, 6, seed=2) > 0, -np.inf, TIES))
WIDE = R(1, 2, 40)


def places(*shape: int, within: int) -> np.ndarray:
    """Different indices in each channel."""
    rng = np.random.default_rng(0)
    outer, area = int(np.prod(shape[:2])), int(np.prod(shape[2:]))
    return np.stack([rng.permutation(within)[:area] for _ in range(outer)]).reshape(shape)


CASES = [
    case("max_pool1d_with_indices", X1, 3),
    case("max_pool2d_with_indices", X2, 2),
    case("max_pool3d_with_indices", X3, 2),
    case("adaptive_max_pool1d_with_indices", X1, 4),
    case("adaptive_max_pool2d_with_indices", X2, 3),
    case("adaptive_max_pool3d_with_indices", X3, 2),
    case("avg_pool1d", X1, 3),
    case("avg_pool1d", X1[0], 3, 2, 1, count_include_pad=False),
    case("avg_pool1d", X1, 4, 3, 2, ceil_mode=True),
    case("avg_pool1d", WIDE, 20),
    case("avg_pool2d", X2, 2),
    case("avg_pool2d", X2, (3, 2), (2, 3), (1, 0), ceil_mode=True, count_include_pad=False),
    case("avg_pool2d", X2[0], 3, 1, 1, divisor_override=5),
    case("avg_pool3d", X3, 2),
    case("avg_pool3d", X3, (3, 2, 3), 2, (1, 0, 1), True, False),
    case("avg_pool3d", X3[0], 2, 1, divisor_override=3),
    case("lp_pool1d", np.abs(X1), 2.0, 3),
    case("lp_pool1d", np.abs(X1[0]), 3, 2, 1, True),
    case("lp_pool2d", X2, 2.0, (2, 3), 2),
    case("lp_pool2d", np.abs(X2), 1.5, 3, ceil_mode=True),
    case("lp_pool3d", X3, 2, 2),
    case("max_pool1d", X1, 3),
    case("max_pool1d", X1[0], 3, 2, 1, 2, True),
    case("max_pool1d", WIDE, 20),
    case("max_pool1d", WIDE, 18, 3, 9, 1, True),
    case("max_pool2d", X2, 2),
    case("max_pool2d", X2, (3, 2), (2, 1), (1, 1), (2, 1), True),
    case("max_pool2d", X2[0], 3, 2, 1),
    case("max_pool2d", TIES, 3, 2, 1),
    case("max_pool2d", TIES, 2, 1, ceil_mode=True),
    case("max_pool3d", X3, 2),
    case("max_pool3d", X3[0], 3, 2, 1, ceil_mode=True),
    case("max_unpool1d", R(2, 3, 5), places(2, 3, 5, within=10), 2),
    case("max_unpool1d", R(2, 3, 5)[0], places(2, 3, 5, within=11)[0], 2, 2, 0, (11,)),
    case("max_unpool2d", R(2, 3, 3, 4), places(2, 3, 3, 4, within=48), 2),
    case("max_unpool2d", R(2, 3, 3, 4), places(2, 3, 3, 4, within=45), 3, 2, 1, (2, 3, 6, 8)),
    case("max_unpool3d", R(1, 2, 2, 3, 2), places(1, 2, 2, 3, 2, within=96), 2, output_size=(4, 6, 4)),
    case("adaptive_avg_pool1d", X1, 4),
    case("adaptive_avg_pool1d", X1[0], (1,)),
    case("adaptive_avg_pool1d", WIDE, 2),
    case("adaptive_avg_pool1d", R(1, 2, 41), 2),
    case("adaptive_avg_pool2d", X2, (3, None)),
    case("adaptive_avg_pool2d", X2[0], 1),
    case("adaptive_avg_pool2d", X2, 10),
    case("adaptive_avg_pool3d", X3, (2, 3, None)),
    case("adaptive_max_pool1d", X1, 4),
    case("adaptive_max_pool1d", WIDE, 2),
    case("adaptive_max_pool1d", R(1, 2, 41), 2),
    case("adaptive_max_pool2d", X2, (3, None)),
    case("adaptive_max_pool2d", TIES, 4),
    case("adaptive_max_pool2d", TIES[0], 1),
    case("adaptive_max_pool3d", X3, (2, 3, None)),
]

ERRORS = [
    (case("avg_pool1d", R(11), 3), ValueError, r"input must have 2 dimensions, or 3 with a batch, got shape \(11,\)"),
    (case("avg_pool2d", X2, (1, 2, 3)), ValueError, r"kernel_size must be one integer or 2, got \(1, 2, 3\)"),
    (case("avg_pool2d", X2, 2.5), TypeError, "kernel_size must hold integers, got 2.5"),
    (case("avg_pool2d", X2, 2, divisor_override=0), ValueError, "divisor_override must not be 0"),
    (case("avg_pool3d", X3, 2, padding=2), ValueError, "at most half of the kernel, got padding=2, kernel_size=2"),
    (case("lp_pool1d", X1, 0.0, 2), ValueError, "norm_type must not be 0"),
    (case("max_pool1d", X1, 3, 0), ValueError, r"stride must be above 0, got \(0,\)"),
    (case("max_pool1d", X1[:, :0], 3), ValueError, r"must not be empty except for its batch, got shape \(2, 0, 11\)"),
    (case("max_pool2d", X2, 12), ValueError, "input is too small: 7 with padding=0 for kernel_size=12"),
    (case("max_pool3d", "text", 2), TypeError, "input must be an array of numbers"),
    (case("max_unpool1d", X1, X1, 2), TypeError, "indices must be integers, got dtype float"),
    (case("max_unpool1d", X1, np.zeros((2, 3, 5), int), 2), ValueError, "indices must have the shape of input"),
    (
        case("max_unpool2d", X2, np.zeros(X2.shape, int), 2, output_size=(30, 18)),
        ValueError,
        r"less than one stride \(2, 2\) away from \(14, 18\), got \(30, 18\)",
    ),
    (
        case("max_unpool2d", X2, np.zeros(X2.shape, int), 2, output_size=(3,)),
        ValueError,
        "output_size must have 2 or 4 elements",
    ),
    (case("max_unpool2d", X2, np.zeros(X2.shape, int), 2, 0), ValueError, "stride must be above 0"),
    (case("adaptive_avg_pool2d", X2, (1, 2, 3)), ValueError, "output_size must be one integer or 2"),
    (case("adaptive_max_pool1d", X1, -1), ValueError, "output_size must be at least 0, got -1"),
    (case("fractional_max_pool2d", X2, 2, 3), ValueError, "pass key=jax.random.key"),
    (case("fractional_max_pool2d", X2, 2), ValueError, "give output_size or output_ratio"),
    (case("fractional_max_pool2d", X2, 2, output_ratio=1.5), ValueError, "numbers between 0 and 1, got 1.5"),
    (case("fractional_max_pool2d", X2, 2, 7), ValueError, "kernel_size 2 and output_size 7 don't fit .* size 7"),
    (
        case("fractional_max_pool3d", X3, 2, 3, _random_samples=np.zeros((2, 2, 2))),
        ValueError,
        r"_random_samples must have shape \(2, 2, 3\), or more rows, got \(2, 2, 2\)",
    ),
]
