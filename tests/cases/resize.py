"""Resizing."""

import numpy as np

from tests.cases.table import R, case

LINE, IMAGE, VOLUME = R(2, 3, 7), R(2, 2, 5, 6), R(1, 2, 3, 4, 5)

CASES = [
    case("interpolate", LINE, 11),
    case("interpolate", LINE, 14),
    case("interpolate", LINE, 21),
    case("interpolate", LINE, 3, mode="nearest-exact"),
    case("interpolate", IMAGE, (10, 4)),
    case("interpolate", IMAGE, scale_factor=(1.7, 0.6), mode="nearest"),
    case("interpolate", IMAGE, scale_factor=1.7, mode="nearest-exact"),
    case("interpolate", IMAGE, scale_factor=2),
    case("interpolate", VOLUME, (6, 2, 7)),
    case("interpolate", VOLUME, (6, 2, 7), mode="nearest-exact"),
    case("interpolate", LINE, 11, mode="linear"),
    case("interpolate", LINE, 4, mode="linear", align_corners=True),
    case("interpolate", LINE, 1, mode="linear", align_corners=True),
    case("interpolate", LINE, scale_factor=1.1, mode="linear"),
    case("interpolate", LINE, scale_factor=1.6, mode="linear", recompute_scale_factor=True),
    case("interpolate", IMAGE, (9, 4), mode="bilinear"),
    case("interpolate", IMAGE, (9, 4), mode="bilinear", align_corners=True),
    case("interpolate", IMAGE, scale_factor=(1.7, 0.6), mode="bilinear"),
    case("interpolate", IMAGE, (9, 3), mode="bilinear", antialias=True),
    case("interpolate", IMAGE, (2, 9), mode="bilinear", antialias=True, align_corners=True),
    case("interpolate", IMAGE, scale_factor=0.4, mode="bilinear", antialias=True),
    case("interpolate", R(1, 2, 40, 3), (2, 2), mode="bilinear", antialias=True),  # many taps: a product
    case("interpolate", IMAGE, (9, 4), mode="bicubic"),
    case("interpolate", IMAGE, (9, 4), mode="bicubic", align_corners=True),
    case("interpolate", IMAGE, scale_factor=1.3, mode="bicubic"),
    case("interpolate", IMAGE, (9, 3), mode="bicubic", antialias=True),
    case("interpolate", IMAGE, (3, 9), mode="bicubic", antialias=True, align_corners=True),
    case("interpolate", IMAGE, (9, 3), mode="lanczos", antialias=True),
    case("interpolate", IMAGE, scale_factor=0.7, mode="lanczos", antialias=True),
    case("interpolate", VOLUME, (5, 2, 7), mode="trilinear"),
    case("interpolate", VOLUME, (5, 2, 7), mode="trilinear", align_corners=True),
    case("interpolate", VOLUME, scale_factor=1.3, mode="trilinear", recompute_scale_factor=True),
    case("interpolate", LINE, 3, mode="area"),
    case("interpolate", IMAGE, (2, 9), mode="area"),
    case("interpolate", VOLUME, scale_factor=0.5, mode="area"),
    case("interpolate", R(1, 1, 40), 1, mode="area"),
]

ERRORS = [
    (case("interpolate", IMAGE), ValueError, "exactly one of size and scale_factor"),
    (case("interpolate", IMAGE, 3, 2.0), ValueError, "exactly one of size and scale_factor"),
    (case("interpolate", IMAGE, (3,)), ValueError, "size must have one number for each of 2"),
    (case("interpolate", IMAGE, scale_factor=(1.0,)), ValueError, "scale_factor must have one number for each of 2"),
    (case("interpolate", IMAGE, (3.0, 2.0)), TypeError, "size must be made of integers"),
    (case("interpolate", IMAGE, 0), ValueError, "the new size must be positive"),
    (case("interpolate", IMAGE, 3, mode="cubic"), ValueError, "mode must be one of .*, got 'cubic'"),
    (case("interpolate", IMAGE, 3, mode="linear"), ValueError, r"input must have \(3,\) dimensions"),
    (case("interpolate", R(3, 4), 3), ValueError, r"input must have \(3, 4, 5\) dimensions"),
    (case("interpolate", R(2, 0, 4), 3), ValueError, "must not be empty but for its batch"),
    (case("interpolate", IMAGE, 3, align_corners=False), ValueError, "align_corners must be left out"),
    (case("interpolate", IMAGE, 3, antialias=True), ValueError, "antialias needs mode"),
    (case("interpolate", IMAGE, 3, mode="lanczos"), ValueError, "needs antialias=True"),
    (case("interpolate", IMAGE, 3, recompute_scale_factor=True), ValueError, "recompute_scale_factor needs"),
    (case("interpolate", np.ones((1, 1, 3), np.int32), 3), TypeError, "must be floating-point, got dtype int32"),
]
