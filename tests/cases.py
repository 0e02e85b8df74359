"""One table of calls to `fnlearn.functional`; every test over functions asks its question of each line.

A line is the function's name, its arguments and its options. Arrays are written as recipes, so that each test gets
the same numbers: `R` normal, `P` probabilities, `C` classes. Positional arrays of floats are differentiated; keyword
arrays, such as a loss's weight, are constants.
"""

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def __str__(self) -> str:
        shapes = [str(list(x.shape)).replace(" ", "") if isinstance(x, np.ndarray) else str(x) for x in self.args]
        options = [f"{k}={list(v.shape) if isinstance(v, np.ndarray) else v}" for k, v in self.kwargs.items()]
        return f"{self.name}({','.join(shapes + options)})".replace(" ", "")


def case(name: str, *args: Any, **kwargs: Any) -> Case:
    return Case(name, args, kwargs)


def _rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng([len(seed), *seed])


def R(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, wide enough to reach both tails of every activation."""
    return np.asarray(2 * _rng(seed, *shape).standard_normal(shape))


def P(*shape: int, seed: int = 1) -> np.ndarray:
    """Probabilities, away from 0 and 1."""
    return _rng(seed, *shape).uniform(0.05, 0.95, shape)


def C(classes: int, *shape: int) -> np.ndarray:
    """Classes below a number."""
    return _rng(2, *shape).integers(0, classes, shape, dtype=np.int64)


X = R(3, 4)
LOGP = np.log(P(5, 3) / P(5, 3).sum(1, keepdims=True))
DIST = P(5, 3, seed=3) / P(5, 3, seed=3).sum(1, keepdims=True)
IGNORED = np.array([0, 2, -100, 1, 2])
WEIGHT = np.array([0.5, 1.0, 2.0])

ACTIVATIONS = [
    case("sigmoid", X),
    case("tanh", X),
    case("relu", X),
    case("relu6", X),
    case("hardtanh", X),
    case("hardtanh", X, min_val=-2.0, max_val=0.5),
    case("threshold", X, 0.5, -1.0),
    case("leaky_relu", X),
    case("leaky_relu", X, negative_slope=0.3),
    case("elu", X),
    case("elu", X, alpha=2.0),
    case("selu", X),
    case("celu", X),
    case("celu", X, alpha=0.5),
    case("gelu", X),
    case("gelu", X, approximate="tanh"),
    case("silu", X),
    case("mish", X),
    case("hardsigmoid", X),
    case("hardswish", X),
    case("logsigmoid", X),
    case("softplus", X),
    case("softplus", X, beta=3, threshold=2),
    case("softsign", X),
    case("hardshrink", X),
    case("hardshrink", X, lambd=1.0),
    case("softshrink", X),
    case("softshrink", X, lambd=1.0),
    case("tanhshrink", X),
    case("rrelu", X),
]

CASES = [
    *ACTIVATIONS,
    case("prelu", X, np.array([0.25])),
    case("prelu", X, np.array([0.25, 0.1, 0.3, 0.2])),
    case("prelu", R(2, 3, 4), np.array([0.25, 0.1, 0.3])),
    case("glu", X),
    case("glu", R(4, 3), dim=0),
    case("softmax", X, dim=1),
    case("softmax", X, dim=0),
    case("softmax", R(), dim=0),
    case("softmin", X, dim=-1),
    case("log_softmax", X, dim=1),
    case("log_softmax", R(2, 3, 4), dim=1),
    case("linear", X, R(2, 4)),
    case("linear", X, R(2, 4), R(2)),
    case("linear", R(2, 3, 4), R(5, 4), R(5)),
    case("linear", R(64, 8), R(6, 8), R(6)),  # few features, many samples: a form of its own on a CPU
    case("linear", R(3, 20), R(18, 20), R(18)),
    case("linear", R(4), R(2, 4), R(2)),
    case("linear", R(4), R(4, seed=1)),
    case("linear", X, R(4, seed=1)),
    case("bilinear", R(3, 4), R(3, 5), R(2, 4, 5)),
    case("bilinear", R(3, 4), R(3, 5), R(2, 4, 5), R(2)),
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
    (case("relu", "text"), TypeError, "input must be an array of numbers"),
    (case("elu", np.array([1, 2])), TypeError, "input must be floating-point, got dtype int"),
    (case("gelu", X, approximate="fast"), ValueError, "approximate must be one of 'none', 'tanh', got 'fast'"),
    (case("celu", X, alpha=0), ValueError, "alpha cannot be 0"),
    (case("hardtanh", X, 1.0, -1.0), ValueError, "min_val cannot be greater than max_val"),
    (case("softshrink", X, lambd=-1.0), ValueError, "lambd must be at least 0, got -1"),
    (case("rrelu", X, 0.5, 0.1), ValueError, "lower must not exceed upper"),
    (case("rrelu", X, training=True), ValueError, "pass key="),
    (case("gumbel_softmax", X), ValueError, "pass key="),
    (case("glu", R(3, 3)), ValueError, "must be even, got size 3"),
    (case("glu", R()), ValueError, "does not support a scalar"),
    (case("prelu", X, np.array([0.1, 0.2])), ValueError, "one for each of 4 channel"),
    (case("prelu", X, R(1, 1)), ValueError, "weight must be a scalar or one-dimensional"),
    (case("softmax", X, dim=2), ValueError, "dim must be between -2 and 1 .*, got 2"),
    (case("linear", X, R(2, 3)), ValueError, "last dimensions must be equal"),
    (case("linear", X, R(2, 4), R(3)), ValueError, r"bias must have shape \(2,\)"),
    (case("linear", X, R(2, 2, 4)), ValueError, "weight must have shape"),
    (case("linear", X, np.ones((2, 4), np.int32)), TypeError, "must share one dtype"),
    (case("bilinear", X, X, R(2, 4, 5)), ValueError, "don't fit"),
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
