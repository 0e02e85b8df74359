"""Losses."""

import numpy as np

from tests.cases.table import C, P, R, case

X = R(3, 4)
LOGP = np.log(P(5, 3) / P(5, 3).sum(1, keepdims=True))
DIST = P(5, 3, seed=3) / P(5, 3, seed=3).sum(1, keepdims=True)
IGNORED = np.array([0, 2, -100, 1, 2])
WEIGHT = np.array([0.5, 1.0, 2.0])

CASES = [
    case("mse_loss", X, R(3, 4, seed=1)),
    case("mse_loss", X, R(3, 4, seed=1), reduction="sum"),
    case("mse_loss", X, R(3, 4, seed=1), reduction="none"),
    case("mse_loss", X, R(3, 4, seed=1), weight=P(3, 4)),
    case("l1_loss", X, R(3, 4, seed=1)),
    case("l1_loss", X, R(3, 4, seed=1), reduction="sum"),
    case("l1_loss", X, R(3, 4, seed=1), reduction="none"),
    case("l1_loss", X, R(3, 4, seed=1), weight=P(3, 4)),
    case("smooth_l1_loss", X, R(3, 4, seed=1)),
    case("smooth_l1_loss", X, R(3, 4, seed=1), beta=0.5, reduction="sum"),
    case("smooth_l1_loss", X, R(3, 4, seed=1), beta=0.0, reduction="none"),
    case("huber_loss", X, R(3, 4, seed=1)),
    case("huber_loss", X, R(3, 4, seed=1), delta=0.5, reduction="sum"),
    case("huber_loss", X, R(3, 4, seed=1), weight=P(3, 4)),
    case("binary_cross_entropy", P(3, 4), P(3, 4, seed=4)),
    case("binary_cross_entropy", P(3, 4), P(3, 4, seed=4), reduction="sum"),
    case("binary_cross_entropy", P(3, 4), P(3, 4, seed=4), reduction="none"),
    case("binary_cross_entropy_with_logits", X, P(3, 4)),
    case("binary_cross_entropy_with_logits", X, P(3, 4), reduction="sum"),
    case("binary_cross_entropy_with_logits", X, P(3, 4), pos_weight=P(4)),
    case("nll_loss", LOGP, C(3, 5)),
    case("nll_loss", LOGP, C(3, 5), reduction="sum"),
    case("nll_loss", LOGP, IGNORED, reduction="none"),
    case("nll_loss", R(2, 3, 4), C(3, 2, 4)),
    case("nll_loss", R(3), C(3)),
    case("cross_entropy", R(5, 3), C(3, 5)),
    case("cross_entropy", R(5, 3), C(3, 5), reduction="sum"),
    case("cross_entropy", R(5, 3), IGNORED),
    case("cross_entropy", R(5, 3), IGNORED, label_smoothing=0.1),
    case("cross_entropy", R(5, 3), IGNORED, label_smoothing=0.1, reduction="none"),
    case("cross_entropy", R(5, 3), C(3, 5), ignore_index=1),
    case("cross_entropy", R(2, 3, 4), C(3, 2, 4)),
    case("cross_entropy", R(3), C(3)),
    case("cross_entropy", R(5, 3), DIST),
    case("cross_entropy", R(5, 3), DIST, label_smoothing=0.2, reduction="none"),
    case("kl_div", LOGP, DIST, reduction="batchmean"),
    case("kl_div", LOGP, DIST, reduction="sum"),
    case("kl_div", LOGP, DIST, reduction="none"),
    case("kl_div", LOGP, np.log(DIST), reduction="batchmean", log_target=True),
    case("binary_cross_entropy", P(3, 4), P(3, 4, seed=4), weight=P(4)),
    case("binary_cross_entropy_with_logits", X, P(3, 4), weight=P(4)),
    case("nll_loss", LOGP, C(3, 5), weight=WEIGHT),
    case("cross_entropy", R(5, 3), C(3, 5), weight=WEIGHT),
    case("cross_entropy", R(5, 3), IGNORED, weight=WEIGHT, label_smoothing=0.1),
    case("cross_entropy", R(5, 3), DIST, weight=WEIGHT),
    case("l1_loss", X, X),  # no error anywhere: the kink
    case("smooth_l1_loss", X, X, beta=0.0, reduction="sum"),
]

ERRORS = [
    (case("mse_loss", X, X, reduction="median"), ValueError, "reduction must be one of .*, got 'median'"),
    (case("mse_loss", X, X, weight=R(3)), ValueError, "weight must have the shape of input"),
    (case("smooth_l1_loss", X, X, beta=-1.0), ValueError, "beta must be at least 0, got -1"),
    (case("huber_loss", X, X, delta=0.0), ValueError, "delta must be above 0, got 0"),
    (case("binary_cross_entropy", P(3, 1), P(3)), ValueError, "target must have the shape of input"),
    (case("binary_cross_entropy_with_logits", X, P(3)), ValueError, "target must have the shape of input"),
    (case("nll_loss", LOGP, P(5)), TypeError, "integer classes, got dtype float"),
    (case("nll_loss", LOGP, C(3, 4)), ValueError, "don't fit"),
    (
        case("cross_entropy", R(5, 3), C(3, 5), label_smoothing=2.0),
        ValueError,
        "label_smoothing must be between 0 and 1",
    ),
    (case("cross_entropy", R(5, 3), C(3, 5), weight=P(2)), ValueError, "one factor for each of 3 classes"),
    (case("cross_entropy", R(5, 3), P(5, 2)), ValueError, "must have the shape of input"),
    (case("kl_div", LOGP, P(5, 2)), ValueError, "can't be broadcast"),
]
