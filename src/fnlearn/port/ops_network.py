"""Rows of whole functions under other names than those of `torch.nn.functional`."""

from functools import partial
from typing import Any

from fnlearn.port.graph import RECURRENT, values
from fnlearn.port.table import Weights, dropping, ndim, row, sizes, with_

# whole functions under other names

row(
    "softmax special.softmax F.softmax",
    "input, dim=None, _stacklevel=3, dtype=None",
    "F.softmax(input, dim, dtype=dtype)",
)
row(
    "log_softmax special.log_softmax F.log_softmax",
    "input, dim=None, _stacklevel=3, dtype=None",
    "F.log_softmax(input, dim, dtype=dtype)",
)
row("dropout", "input, p=0.5, train=True", dropping("F.dropout(input, p, train)", "train"), random=True)
row(
    "einsum",
    "equation, *operands",
    lambda a: with_(a, operands=sizes(a.operands), then="jnp.einsum(equation, *operands)"),
)
row("tensordot", "a, b, dims=2, out=None", "jnp.tensordot(a, b, dims)")
row("cosine_similarity", "x1, x2, dim=1, eps=1e-8", "F.cosine_similarity(x1, x2, dim, eps)")
row("bilinear", "input1, input2, weight, bias=None", "F.bilinear(input1, input2, weight, bias)")
row(
    "_grouped_mm",
    "mat_a, mat_b, offs=None, bias=None, out_dtype=None",
    lambda a: f"F.grouped_mm(mat_a, mat_b{', offs=offs' * (a.offs is not None)})",
)
row(
    "layer_norm",
    "input, normalized_shape, weight=None, bias=None, eps=1e-05, cudnn_enable=True",
    "F.layer_norm(input, normalized_shape, weight, bias, eps=eps)",
)
row(
    "group_norm",
    "input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True",
    "F.group_norm(input, num_groups, weight, bias, eps=eps)",
)
row(
    "_weight_norm",
    "v, g, dim=0",
    lambda a: with_(
        a,
        axes=tuple(i for i in range(ndim(a.v)) if i != a.dim % ndim(a.v)),
        then="v * (g / jnp.linalg.vector_norm(v, axis=axes, keepdims=True))",
    ),
)
row("cross", "input, other, dim=-1", "jnp.cross(input, other, axis=dim)")
row("linalg.cross", "input, other, *, dim=-1", "jnp.cross(input, other, axis=dim)")
row(
    "cdist _cdist_forward",
    "x1, x2, p=2.0, compute_mode=None",
    "jnp.linalg.vector_norm(x1[..., :, None, :] - x2[..., None, :, :], axis=-1, ord=p)",
)

# recurrent networks: torch passes the weights as a list; lengths are those of sequences that were packed

OPTIONS = {
    "has_biases": True,
    "num_layers": 1,
    "dropout": 0.0,
    "train": False,
    "bidirectional": False,
    "batch_first": False,
}


def _recurrent(name: str, a: Any) -> str:
    if a.dropout == 0:
        a.train = False
    if all(h.zeros for h in values(a.hx)):  # the module's own, when it is given none
        a.hx = None
    a.params = Weights(a.params)
    lengths = "" if a.lengths is None else ", lengths=lengths"
    return f"F.{name}(input, hx, params, {', '.join(f'{n}={n}' for n in OPTIONS)}{lengths})"


for _name in RECURRENT:
    row(
        _name,
        f"input, hx, params, {', '.join(f'{n}={default}' for n, default in OPTIONS.items())}, lengths=None",
        partial(_recurrent, _name),
        random=True,
    )
for _name in ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"):
    row(_name, "input, hx, w_ih, w_hh, b_ih=None, b_hh=None", f"F.{_name}(input, hx, w_ih, w_hh, b_ih, b_hh)")

row(
    "grid_sampler_2d grid_sampler_3d grid_sampler",
    "input, grid, interpolation_mode, padding_mode, align_corners",
    lambda a: _grid(a),
)
row(
    "_safe_softmax",
    "input, dim, dtype=None",
    "jnp.where((input == -jnp.inf).all(dim, keepdims=True), 0.0, "
    "F.softmax(jnp.where((input == -jnp.inf).all(dim, keepdims=True), 0.0, input), dim))",
)


def _grid(a: Any) -> str:
    mode, padding = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")
    return f"F.grid_sample(input, grid, '{mode[a.interpolation_mode]}', '{padding[a.padding_mode]}', align_corners)"
