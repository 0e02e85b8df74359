"""Likelihoods: of normal and Poisson distributions, of alignments, and of the classes of a linear map."""

import numpy as np
import torch

from tests.cases.table import C, P, R, case

X = R(3, 4)
COUNTS = np.array([[0.0, 1.0, 2.0, 5.0]] * 3)


def log_p(*shape):
    x = R(*shape)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


LABELS = np.array([[1, 2, 2], [3, 1, 0], [2, 0, 0]])
CHUNKS = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=2, chunking_method=None)
RATIO = torch.nn.LinearCrossEntropyOptions(chunking_method="aspect_ratio:2")
IGNORED = np.array([0, 2, -100, 1, 2])

CASES = [
    case("gaussian_nll_loss", X, R(3, 4, seed=1), P(3, 4)),
    case("gaussian_nll_loss", X, R(3, 4, seed=1), P(3, 4), full=True, reduction="sum"),
    case("gaussian_nll_loss", X, R(3, 4, seed=1), P(3), reduction="none"),
    case("gaussian_nll_loss", X, R(3, 4, seed=1), P(3, 1), eps=0.5),
    case("gaussian_nll_loss", X, R(3, 4, seed=1), 0.5),
    case("poisson_nll_loss", X, COUNTS),
    case("poisson_nll_loss", X, COUNTS + 0.5, full=True, reduction="sum"),
    case("poisson_nll_loss", X, COUNTS, full=True),  # the gradient of a target of 0 is NaN
    case("poisson_nll_loss", P(3, 4), COUNTS, log_input=False, eps=1e-3),
    case("poisson_nll_loss", P(3, 4), COUNTS + 0.5, log_input=False, full=True, reduction="none"),
    case("ctc_loss", log_p(8, 3, 4), LABELS, (8, 6, 5), (3, 2, 1)),
    case("ctc_loss", log_p(8, 3, 4), LABELS, np.array([8, 6, 5]), np.array([3, 2, 0]), reduction="sum"),
    case("ctc_loss", log_p(8, 3, 4), np.array([1, 2, 2, 3, 1, 2]), (8, 6, 5), (3, 2, 1), reduction="none"),
    case("ctc_loss", log_p(8, 3, 4), LABELS % 3, (8, 6, 5), (3, 2, 1), blank=3),
    case("ctc_loss", log_p(8, 3, 4), LABELS, (8, 1, 5), (3, 2, 1), zero_infinity=True),
    case("ctc_loss", log_p(8, 3, 4), LABELS, (8, 1, 5), (3, 2, 1), reduction="none"),  # one is infinite
    case("ctc_loss", log_p(8, 4), LABELS[0], np.array(7), np.array(3)),
    case("linear_cross_entropy", R(5, 4), R(3, 4, seed=1), C(3, 5)),
    case("linear_cross_entropy", R(5, 4), R(3, 4, seed=1), C(3, 5), linear_bias=R(3), reduction="sum"),
    case("linear_cross_entropy", R(4), R(3, 4, seed=1), np.array(1), weight=P(3)),
    case("linear_cross_entropy", R(5, 4), R(3, 4, seed=1), IGNORED, label_smoothing=0.1, reduction="none"),
    case("linear_cross_entropy", R(5, 4), R(3, 2, 4, seed=1), C(3, 5, 2), linear_bias=R(3, 2), ignore_index=1),
    case("linear_cross_entropy", R(5, 4), R(3, 4, seed=1), P(5, 3)),
    case("linear_cross_entropy", R(5, 4), R(3, 4, seed=1), IGNORED, linear_bias=R(3), weight=P(3), options=CHUNKS),
    case("linear_cross_entropy", R(5, 4), R(3, 4, seed=1), IGNORED, reduction="none", options=CHUNKS),
    case("linear_cross_entropy", R(9, 4), R(30, 4, seed=1), C(30, 9), reduction="sum", options=RATIO),
]

ERRORS = [
    (case("gaussian_nll_loss", X, X, P(2, 4)), ValueError, "var must have input's shape"),
    (case("gaussian_nll_loss", X, X, -P(3, 4)), ValueError, "var must be at least 0"),
    (case("gaussian_nll_loss", X, X, P(3, 4), reduction="median"), ValueError, "reduction must be one of"),
    (case("poisson_nll_loss", X, R(2, 2)), ValueError, "can't be broadcast"),
    (case("ctc_loss", log_p(8, 3, 4), LABELS, (8, 6), (3, 2, 1)), ValueError, "one length for each of 3 sample"),
    (
        case("ctc_loss", log_p(8, 3, 4), LABELS, (9, 6, 5), (3, 2, 1)),
        ValueError,
        "input_lengths must lie",
    ),
    (case("ctc_loss", log_p(8, 3, 4), LABELS, (8, 6, 5), (4, 2, 1)), ValueError, "target_lengths must lie between"),
    (
        case("ctc_loss", log_p(8, 3, 4), LABELS, (8, 6, 5), (3, 2, 1), blank=4),
        ValueError,
        "blank must be between",
    ),
    (case("ctc_loss", log_p(8, 3, 4), P(3, 3), (8, 6, 5), (3, 2, 1)), TypeError, "integer classes"),
    (
        case("ctc_loss", log_p(8, 3, 4), C(3, 5), (8, 6, 5), (3, 2, 1)),
        ValueError,
        "the sum of target_lengths",
    ),
    (case("ctc_loss", R(4), LABELS, (8,), (3,)), ValueError, "log_probs must have shape"),
    (case("ctc_loss", log_p(8, 3, 4), LABELS, P(3), (3, 2, 1)), TypeError, "input_lengths must be integers"),
    (case("linear_cross_entropy", R(5, 4), R(3, 5), C(3, 5)), ValueError, "linear_weight must have shape"),
    (case("linear_cross_entropy", R(2, 5, 4), R(3, 4), C(3, 5)), ValueError, "input must have shape"),
    (case("linear_cross_entropy", R(4), R(3, 2, 4), C(3, 2)), ValueError, "needs input"),
    (
        case("linear_cross_entropy", R(5, 4), R(3, 4), P(5, 3), ignore_index=1),
        ValueError,
        "a target of classes",
    ),
    (
        case("linear_cross_entropy", R(5, 4), R(3, 4), C(3, 5), linear_bias=R(4)),
        ValueError,
        "linear_bias must",
    ),
    (case("linear_cross_entropy", R(5, 4), R(3, 4), C(3, 5), weight=R(4)), ValueError, "one factor for each of 3"),
]
