"""Normalisations."""

import numpy as np

from tests.cases.table import P, R, case

IMAGES, ROWS = R(3, 4, 2, 3), R(5, 4)
MEAN, VAR = R(4, seed=3), P(4)

CASES = [
    case("batch_norm", ROWS, None, None, training=True),
    case("batch_norm", ROWS, None, None, R(4), R(4, seed=1), training=True, eps=0.1),
    case("batch_norm", IMAGES, None, None, R(4), R(4, seed=1), training=True),
    case("batch_norm", IMAGES, None, None, R(4), training=True),
    case("batch_norm", IMAGES, running_mean=MEAN, running_var=VAR),
    case("batch_norm", IMAGES, running_mean=MEAN, running_var=VAR, weight=R(4), bias=R(4, seed=1), eps=0.0),
    case("batch_norm", R(3, 4, 5), running_mean=MEAN, running_var=VAR, training=True, momentum=0.3),
    case("batch_norm", R(0, 4), running_mean=MEAN, running_var=VAR, training=True),
    case("instance_norm", IMAGES),
    case("instance_norm", R(3, 4, 5), None, None, R(4), R(4, seed=1), eps=0.1),
    case("instance_norm", IMAGES, running_mean=MEAN, running_var=VAR, momentum=0.3),
    case("instance_norm", IMAGES, running_mean=MEAN, running_var=VAR, weight=R(4), use_input_stats=False),
    case("layer_norm", ROWS, (4,)),
    case("layer_norm", ROWS, (4,), R(4), R(4, seed=1)),
    case("layer_norm", IMAGES, (2, 3), R(2, 3), R(2, 3, seed=1), eps=0.1),
    case("layer_norm", IMAGES, (4, 2, 3), bias=R(4, 2, 3)),
    case("group_norm", IMAGES, 2),
    case("group_norm", IMAGES, 4, R(4), R(4, seed=1)),
    case("group_norm", ROWS, 1, R(4), eps=0.1),
    case("rms_norm", ROWS, (4,)),
    case("rms_norm", IMAGES, (2, 3), R(2, 3), eps=0.1),
    case("local_response_norm", IMAGES, 3, alpha=0.5),
    case("local_response_norm", R(2, 5, 3), 2, 0.5, 0.3, 2.0),
    case("local_response_norm", R(2, 3, 2, 2, 2), 7, alpha=0.5),
    case("normalize", ROWS),
    case("normalize", IMAGES, 1.0, 2),
    case("normalize", IMAGES, 3.0, -1),
    case("normalize", ROWS, float("inf"), 0),
    case("normalize", ROWS, float("-inf"), 0),
    case("normalize", IMAGES, 2.0, (1, 3)),
    case("normalize", ROWS, 0.0),
    case("normalize", ROWS, 2.0, 1, 5.0),  # some norms below eps
    case("normalize", np.zeros((2, 3))),
    case("normalize", np.array([[1.0, -1.0, 0.5]]), float("inf")),  # equal maxima share the derivative
]

ERRORS = [
    (case("batch_norm", R(4), MEAN, VAR), ValueError, r"at least the dimensions \(N, C\), got shape \(4,\)"),
    (case("batch_norm", ROWS, None, None), ValueError, "must be given, or training=True"),
    (case("batch_norm", ROWS, MEAN, None), ValueError, "both or not at all"),
    (case("batch_norm", ROWS, R(3), VAR), ValueError, r"running_mean must have shape \(4,\)"),
    (case("batch_norm", ROWS, MEAN, VAR, R(3)), ValueError, r"weight must have shape \(4,\)"),
    (case("batch_norm", ROWS, MEAN, VAR, eps=-1.0), ValueError, "eps must be at least 0"),
    (case("batch_norm", ROWS, MEAN, VAR, training=True, eps=0.0), ValueError, "eps must be positive in training"),
    (case("batch_norm", R(1, 4), MEAN, VAR, training=True), ValueError, "more than one number a channel"),
    (case("batch_norm", ROWS, MEAN.astype("float16"), VAR), TypeError, "share one dtype"),
    (case("instance_norm", R(3, 4, 1)), ValueError, "more than one number a channel"),
    (case("instance_norm", IMAGES, use_input_stats=False), ValueError, "or use_input_stats=True"),
    (case("instance_norm", IMAGES, bias=R(5)), ValueError, r"bias must have shape \(4,\)"),
    (case("layer_norm", ROWS, 4), TypeError, "must be a sequence of sizes, got 4"),
    (case("layer_norm", ROWS, (5,)), ValueError, r"must be the last dimensions of input \(5, 4\)"),
    (case("layer_norm", ROWS, (4,), R(3)), ValueError, r"weight must have shape \(4,\)"),
    (case("layer_norm", np.ones((2, 3), np.int32), (3,)), TypeError, "must be floating-point"),
    (case("rms_norm", ROWS, ()), ValueError, "at least one"),
    (case("group_norm", IMAGES, 3), ValueError, "num_groups must divide the 4 channels"),
    (case("group_norm", R(4), 2), ValueError, "at least the dimensions"),
    (case("group_norm", R(1, 4), 4), ValueError, "more than one number"),
    (case("local_response_norm", ROWS, 3), ValueError, r"at least the dimensions \(N, C, L\)"),
    (case("local_response_norm", IMAGES, 0), ValueError, "size must be at least 1, got 0"),
    (case("normalize", R(3)), ValueError, "dim must be between -1 and 0"),
    (case("normalize", ROWS, out=ROWS), ValueError, "out must be None"),
]
