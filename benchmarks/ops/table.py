"""The operations that are measured, family by family, each small and large: plain data, a line or a few each.

Small is what a test or a lesson has, where most of the time goes to launching the work; large is what a real network
has. Positional arrays of floats are differentiated, options are not.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.ops.argument import Drawn, integers, log_probability, normal, uniform, weight


class Op(NamedTuple):
    """An operation with its arguments.

    Args: family: among whose operations it stands. size: "small" or "large". function: its name in
        torch.nn.functional and in fnlearn.functional or, when it is not there, in torch and in jax.numpy. args,
        options: of the call, arrays described by `argument`. variant: what tells it from others of the same function.
        target: how many times PyTorch's speed forward and backward together should at least have. random: whether
        it draws numbers, so that its outputs can't be compared.
    """

    family: str
    size: str
    function: str
    args: tuple[Any, ...]
    options: Mapping[str, Any] = {}
    variant: str = ""
    target: float | None = None
    random: bool = False

    @property
    def title(self) -> str:
        """For the eye."""
        return f"{self.function} {self.variant}".strip()

    @property
    def name(self) -> str:
        """One among all, as a file or a command line may have it."""
        words = (self.family, self.title, self.size)
        return re.sub("[^a-z0-9]+", "_", " ".join(words).replace("×", "x"))


def _conv(
    size: str, batch: int, channels: int, side: int, kernel: int = 3, out: int | None = None, groups: int = 1, **options
) -> Op:
    """A convolution of square images that keeps their size but for the stride, as in every network."""
    out = out or channels
    args = (normal(batch, channels, side, side), weight(out, channels // groups, kernel, kernel))
    options = {"padding": kernel // 2, "groups": groups, **options}
    kind = "depthwise" if groups == channels else f"{groups} groups" if groups > 1 else ""
    words = [f"{kernel}×{kernel}", kind, f"{channels} channels {side}²"]
    target = WITHIN_THREE if size == "large" else None
    return Op("conv", size, "conv2d", args, options, " ".join(word for word in words if word), target)


WITHIN_THREE = 1 / 3  # no convolution may take more than three times as long as PyTorch's
CONV = (
    _conv("small", 1, 16, 8),
    _conv("small", 1, 3, 32, kernel=7, out=16, stride=2),
    _conv("small", 1, 32, 8, groups=8),
    _conv("small", 1, 32, 8, groups=32),
    _conv("small", 1, 32, 8, kernel=7, groups=32),
    _conv("large", 8, 64, 16),
    _conv("large", 8, 64, 56),
    _conv("large", 8, 128, 28),
    _conv("large", 8, 256, 4),
    _conv("large", 8, 512, 7),
    _conv("large", 8, 512, 2),
    _conv("large", 8, 3, 224, kernel=7, out=64, stride=2),
    _conv("large", 8, 128, 28, groups=32),
    _conv("large", 8, 128, 28, groups=128),
    _conv("large", 8, 512, 14, kernel=7, groups=512),
)


def _both(
    family: str,
    function: str,
    small: tuple[Any, ...],
    large: tuple[Any, ...],
    options: Mapping[str, Any] = {},
    variant: str = "",
    random: bool = False,
) -> tuple[Op, Op]:
    """The same operation small and large."""
    sizes = {"small": small, "large": large}
    first, second = (Op(family, s, function, args, options, variant, random=random) for s, args in sizes.items())
    return first, second


CONV_OTHER = (
    *_both("conv_other", "conv2d", (normal(1, 16, 8, 8), weight(32, 16, 1, 1), weight(32)),
           (normal(8, 256, 28, 28), weight(64, 256, 1, 1), weight(64)), {}, "1×1"),
    *_both("conv_other", "conv2d", (normal(1, 16, 8, 8), weight(16, 16, 3, 3)),
           (normal(8, 64, 28, 28), weight(64, 64, 3, 3)), {"padding": 2, "dilation": 2}, "dilated"),
    *_both("conv_other", "conv1d", (normal(1, 16, 32), weight(16, 16, 5)),
           (normal(8, 128, 1024), weight(128, 128, 5)), {"padding": 2}),
    *_both("conv_other", "conv3d", (normal(1, 4, 4, 4, 4), weight(8, 4, 3, 3, 3)),
           (normal(4, 16, 16, 16, 16), weight(32, 16, 3, 3, 3)), {"padding": 1}),
    *_both("conv_other", "conv_transpose2d", (normal(1, 16, 4, 4), weight(16, 8, 4, 4)),
           (normal(8, 128, 14, 14), weight(128, 64, 4, 4)), {"stride": 2, "padding": 1}),
)  # fmt: skip

MATMUL = (
    *_both("matmul", "linear", (normal(32, 64), weight(64, 64), weight(64)),
           (normal(1024, 384), weight(1152, 384), weight(1152))),
    *_both("matmul", "matmul", (normal(64, 64), weight(64, 64)), (normal(1024, 1024), weight(1024, 1024))),
    *_both("matmul", "matmul", (normal(8, 16, 16), normal(8, 16, 16)), (normal(64, 256, 64), normal(64, 64, 256)),
           {}, "batched"),
    *_both("matmul", "bilinear", (normal(8, 16), normal(8, 16), weight(4, 16, 16)),
           (normal(128, 128), normal(128, 128), weight(32, 128, 128))),
)  # fmt: skip

FEW_HEADS, HEADS, LONG = (normal(2, 4, 32, 32),) * 3, (normal(8, 8, 512, 64),) * 3, (normal(1, 8, 4096, 64),) * 3
ATTENTION = (
    *_both("attention", "scaled_dot_product_attention", FEW_HEADS, HEADS),
    *_both("attention", "scaled_dot_product_attention", FEW_HEADS, HEADS, {"is_causal": True}, "causal"),
    Op("attention", "large", "scaled_dot_product_attention", LONG, variant="long"),
)

FEATURES, ROWS = normal(16, 64), normal(8, 512, 768)
IMAGES, MAPS = normal(2, 16, 8, 8), normal(8, 64, 56, 56)
TRAINING = {"training": True}
NORM = (
    *_both("norm", "layer_norm", (FEATURES, (64,), normal(64), normal(64)), (ROWS, (768,), normal(768), normal(768))),
    *_both("norm", "rms_norm", (FEATURES, (64,), normal(64)), (ROWS, (768,), normal(768))),
    *_both("norm", "normalize", (FEATURES,), (ROWS,), {"dim": -1}),
    *_both("norm", "batch_norm", (IMAGES, None, None, normal(16), normal(16)),
           (MAPS, None, None, normal(64), normal(64)), TRAINING),
    *_both("norm", "group_norm", (IMAGES, 8, normal(16), normal(16)), (MAPS, 8, normal(64), normal(64))),
    *_both("norm", "instance_norm", (IMAGES, None, None, normal(16), normal(16)),
           (MAPS, None, None, normal(64), normal(64))),
)  # fmt: skip

WINDOW = {"kernel_size": 3, "stride": 2, "padding": 1}
POOL = (
    *_both("pool", "max_pool2d", (IMAGES,), (MAPS,), WINDOW),
    *_both("pool", "avg_pool2d", (IMAGES,), (MAPS,), WINDOW),
    *_both("pool", "lp_pool2d", (IMAGES,), (MAPS,), {"norm_type": 2, "kernel_size": 2}),
    *_both("pool", "max_pool1d", (normal(2, 16, 64),), (normal(8, 64, 4096),), {"kernel_size": 2}),
    *_both("pool", "adaptive_avg_pool2d", (IMAGES,), (MAPS,), {"output_size": 1}, "to 1²"),
    *_both("pool", "adaptive_avg_pool2d", (IMAGES,), (MAPS,), {"output_size": 5}, "to 5²"),
    *_both("pool", "adaptive_max_pool2d", (IMAGES,), (MAPS,), {"output_size": 5}, "to 5²"),
)

FEW, MANY = (normal(32, 128),), (normal(4096, 512),)
ACTIVATION = (
    *_both("activation", "relu", FEW, MANY),
    *_both("activation", "gelu", FEW, MANY),
    *_both("activation", "gelu", FEW, MANY, {"approximate": "tanh"}, "tanh"),
    *_both("activation", "silu", FEW, MANY),
    *_both("activation", "softmax", FEW, MANY, {"dim": -1}),
    *_both("activation", "log_softmax", FEW, MANY, {"dim": -1}),
    *_both("activation", "glu", FEW, MANY),
    *_both("activation", "dropout", FEW, MANY, {"p": 0.1}, random=True),
)


def _ctc(size: str, steps: int, batch: int, classes: int, labels: int) -> Op:
    lengths = {"input_lengths": (steps,) * batch, "target_lengths": (labels,) * batch}
    return Op(
        "loss", size, "ctc_loss", (log_probability(steps, batch, classes), integers(1, classes, batch, labels)), lengths
    )


PAIRS, MANY_PAIRS = (normal(32, 16), normal(32, 16)), (normal(1024, 1024), normal(1024, 1024))
PROBABILITY = {"small": uniform(0.01, 0.99, 32, 16), "large": uniform(0.01, 0.99, 1024, 1024)}
CLASSES, MANY_CLASSES = integers(0, 10, 32), integers(0, 8192, 512)
LOSS = (
    *_both("loss", "cross_entropy", (normal(32, 10), CLASSES), (normal(512, 8192), MANY_CLASSES)),
    *_both("loss", "nll_loss", (log_probability(32, 10), CLASSES), (log_probability(512, 8192), MANY_CLASSES)),
    *_both("loss", "mse_loss", PAIRS, MANY_PAIRS),
    *_both("loss", "smooth_l1_loss", PAIRS, MANY_PAIRS),
    *(Op("loss", size, "binary_cross_entropy", (p,), {"target": p}) for size, p in PROBABILITY.items()),
    *(
        Op("loss", size, "binary_cross_entropy_with_logits", (normal(*p.shape),), {"target": p})
        for size, p in PROBABILITY.items()
    ),
    _ctc("small", 20, 4, 10, 5),
    _ctc("large", 200, 16, 64, 30),
)

EMBEDDING = (
    *_both("embedding", "embedding", (integers(0, 100, 4, 8), normal(100, 16)),
           (integers(0, 10_000, 32, 128), normal(10_000, 256))),
    *_both("embedding", "embedding_bag", (integers(0, 100, 4, 8), normal(100, 16)),
           (integers(0, 10_000, 512, 32), normal(10_000, 128))),
    *_both("embedding", "embedding_bag", (integers(0, 100, 4, 8), normal(100, 16)),
           (integers(0, 10_000, 512, 32), normal(10_000, 128)), {"mode": "max"}, "max"),
)  # fmt: skip

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def _rnn(size: str, function: str, layers: int, hidden: int, batch: int, steps: int) -> Op:
    """In training, without dropout, both biases, as wide as its inputs."""
    out, bound = GATES[function] * hidden, hidden**-0.5
    kinds = (weight(out, hidden), weight(out, hidden), uniform(-bound, bound, out), uniform(-bound, bound, out))
    h = normal(layers, batch, hidden)
    state: Drawn | tuple[Drawn, Drawn] = (h, h) if function == "lstm" else h
    args = (normal(steps, batch, hidden), state, list(kinds * layers), True, layers, 0.0, True, False, False)
    return Op("rnn", size, function, args, variant=f"{layers}×{hidden}", target=0.8 if size == "large" else None)


RNN = (
    *(_rnn("small", function, 1, 16, 4, 8) for function in GATES),
    *(_rnn("large", function, 2, 256, 32, 64) for function in GATES),
)

GRID, LARGE_GRID = uniform(-1, 1, 2, 8, 8, 2), uniform(-1, 1, 8, 56, 56, 2)
CORNERS = {"align_corners": False}
DOUBLE = {"scale_factor": 2}
HALF_MAPS = normal(8, 64, 28, 28)
IMAGE = (
    *_both("image", "interpolate", (IMAGES,), (HALF_MAPS,), {**DOUBLE, "mode": "nearest"}, "nearest"),
    *_both("image", "interpolate", (IMAGES,), (HALF_MAPS,), {**DOUBLE, **CORNERS, "mode": "bilinear"}, "bilinear"),
    *_both("image", "interpolate", (IMAGES,), (HALF_MAPS,), {**DOUBLE, **CORNERS, "mode": "bicubic"}, "bicubic"),
    *_both("image", "grid_sample", (IMAGES, GRID), (normal(8, 32, 56, 56), LARGE_GRID), CORNERS),
    *_both("image", "pad", (IMAGES,), (MAPS,), {"pad": (1, 1, 1, 1), "mode": "reflect"}, "reflect"),
    *_both("image", "unfold", (IMAGES,), (HALF_MAPS,), {"kernel_size": 3, "padding": 1}),
    Op("image", "small", "fold", (normal(2, 36, 64),), {"output_size": 8, "kernel_size": 3, "padding": 1}),
    Op("image", "large", "fold", (normal(8, 576, 784),), {"output_size": 28, "kernel_size": 3, "padding": 1}),
)

OPS = (*CONV, *CONV_OTHER, *MATMUL, *ATTENTION, *NORM, *POOL, *ACTIVATION, *LOSS, *EMBEDDING, *RNN, *IMAGE)
