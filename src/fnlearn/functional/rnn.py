"""Recurrent networks: one scan a layer and direction, with as little inside the loop as there can be.

The inputs' products with the weights are one product before the loop. The loop's derivative is written by hand (see
`recurrence`): backward, it passes on the state's gradient and leaves the gates', and the weights' gradients are one
product each after it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnlearn.functional import check
from fnlearn.functional.dropout import dropout
from fnlearn.functional.precision import NARROW
from fnlearn.functional.recurrence import GRU, LSTM, RELU, TANH, Cell, project, recur
from fnlearn.functional.typing import ArrayLike
from fnlearn.random import draw

Params = Sequence[ArrayLike] | Mapping[str, ArrayLike]


def lstm(
    input: ArrayLike,
    hx: Sequence[ArrayLike] | None,
    params: Params,
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    *,
    lengths: ArrayLike | None = None,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Long short-term memory over a sequence: the outputs of the last layer, and every layer's final h and c.

    c' = σ(f) · c + σ(i) · tanh(g) and h' = σ(o) · tanh(c'), where (i, f, g, o) = W·x + b + V·h + d; with projection
    h' = P · σ(o) · tanh(c').

    Torch: `torch.lstm`.
    Shape: input (L, N, in), or (N, L, in) when batch_first; hx: h (layers · directions, N, out) and c (layers ·
        directions, N, hidden), where out is hidden unless projected → output (L, N, directions · out), h, c.
    Args: input: floating-point. hx: the initial (h, c), zeros when None. params: for each layer, and in it each
        direction: weight_ih (4 · hidden, in), weight_hh (4 · hidden, out), with biases bias_ih and bias_hh (4 ·
        hidden), and, when projected, weight_hr (out, hidden); or the same by torch's names, weight_ih_l0 to
        weight_hr_l1_reverse. has_biases: whether the biases are there. num_layers: how many. dropout: the
        probability with which an output between layers is zeroed in training. train: whether in training.
        bidirectional: whether each layer also reads backwards. batch_first: whether N comes before L. lengths: (N), of
        the sequences where they differ: outputs beyond are 0, and final states are those at the end; in torch, a packed
        sequence. key: required when dropout draws.
    Raises: ValueError when shapes or the number of params don't fit, or without a key where one is needed; TypeError
        when dtypes differ or are not floating-point.
    Differs: no forward-mode derivatives (`jax.jvp`); float16 and bfloat16 are computed in float32 and rounded at the
        end; lengths instead of a packed sequence; dropout draws from a JAX key.
    Source: ATen `RNN.cpp`; Hochreiter, Schmidhuber: Long Short-Term Memory (1997).
    """
    if hx is not None and len(hx) != 2:
        raise ValueError(f"hx must be (h, c), got {len(hx)} arrays")
    options = Options(has_biases, num_layers, dropout, train, bidirectional, batch_first)
    output, (h, c) = _network(LSTM, input, hx, params, options, lengths, key)
    return output, h, c


def gru(
    input: ArrayLike,
    hx: ArrayLike | None,
    params: Params,
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    *,
    lengths: ArrayLike | None = None,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Gated recurrent units over a sequence: the outputs of the last layer, and every layer's final h.

    h' = (1 − z) · n + z · h, where r and z are σ(W·x + b + V·h + d) and n is tanh(W·x + b + r · (V·h + d)).

    Torch: `torch.gru`.
    Shape: input (L, N, in), or (N, L, in) when batch_first; hx (layers · directions, N, hidden) → output (L, N,
        directions · hidden), h.
    Args: input, num_layers, dropout, train, bidirectional, batch_first, lengths, key: as for `lstm`. hx: the initial h,
        zeros when None. params: as for `lstm`, with 3 · hidden for the gates r, z and n. has_biases: whether
        the biases are there.
    Raises: as `lstm`.
    Differs: as `lstm`.
    Source: ATen `RNN.cpp`; Cho et al.: Learning Phrase Representations using RNN Encoder–Decoder (2014).
    """
    options = Options(has_biases, num_layers, dropout, train, bidirectional, batch_first)
    output, (h,) = _network(GRU, input, None if hx is None else [hx], params, options, lengths, key)
    return output, h


def rnn_tanh(
    input: ArrayLike,
    hx: ArrayLike | None,
    params: Params,
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    *,
    lengths: ArrayLike | None = None,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Elman's network over a sequence, h' = tanh(W·x + b + V·h + d): the last layer's outputs, and every final h.

    Torch: `torch.rnn_tanh`.
    Shape: as `gru`.
    Args: input, num_layers, dropout, train, bidirectional, batch_first, lengths, key: as for `lstm`. hx: the initial h,
        zeros when None. params: as for `lstm`, with hidden instead of 4 · hidden. has_biases: whether the biases are
        there.
    Raises: as `lstm`.
    Differs: as `lstm`.
    Source: ATen `RNN.cpp`; Elman: Finding Structure in Time (1990).
    """
    options = Options(has_biases, num_layers, dropout, train, bidirectional, batch_first)
    output, (h,) = _network(TANH, input, None if hx is None else [hx], params, options, lengths, key)
    return output, h


def rnn_relu(
    input: ArrayLike,
    hx: ArrayLike | None,
    params: Params,
    has_biases: bool = True,
    num_layers: int = 1,
    dropout: float = 0.0,
    train: bool = False,
    bidirectional: bool = False,
    batch_first: bool = False,
    *,
    lengths: ArrayLike | None = None,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Elman's network with a rectifier, h' = max(0, W·x + b + V·h + d): the last layer's outputs, and every final h.

    Torch: `torch.rnn_relu`.
    Shape: as `gru`.
    Args: input, num_layers, dropout, train, bidirectional, batch_first, lengths, key: as for `lstm`. hx: the initial h,
        zeros when None. params: as for `lstm`, with hidden instead of 4 · hidden. has_biases: whether the biases are
        there.
    Raises: as `lstm`.
    Differs: as `lstm`.
    Source: ATen `RNN.cpp`.
    """
    options = Options(has_biases, num_layers, dropout, train, bidirectional, batch_first)
    output, (h,) = _network(RELU, input, None if hx is None else [hx], params, options, lengths, key)
    return output, h


class Options(NamedTuple):
    """What the four networks have in common."""

    has_biases: bool
    num_layers: int
    dropout: float
    train: bool
    bidirectional: bool
    batch_first: bool


class Weights(NamedTuple):
    """One layer's in one direction."""

    ih: jax.Array
    hh: jax.Array
    bias_ih: jax.Array | None
    bias_hh: jax.Array | None
    hr: jax.Array | None


def _network(
    cell: Cell,
    input: ArrayLike,
    hx: Sequence[ArrayLike] | None,
    params: Params,
    options: Options,
    lengths: ArrayLike | None,
    key: jax.Array | None,
) -> tuple[jax.Array, list[jax.Array]]:
    x = check.floating("input", input)
    flat = [check.floating("params", p) for p in _listed(params, options)]
    check.same_dtype(input=x, **{f"params[{i}]": p for i, p in enumerate(flat)})
    layers = _grouped(flat, options)
    if x.ndim != 3:
        raise ValueError(f"input must have shape (L, N, in), or (N, L, in) when batch_first, got {x.shape}")
    x = jnp.swapaxes(x, 0, 1) if options.batch_first else x
    state = _zeros(cell, x, layers) if hx is None else [check.floating("hx", h) for h in hx]
    check.same_dtype(input=x, **{f"hx[{i}]": h for i, h in enumerate(state)})
    _check_shapes(cell, x, state, layers, options)
    mask = None if lengths is None else _mask(lengths, *x.shape[:2])
    if x.dtype in NARROW:
        wide: Any = jax.tree.map(lambda a: a.astype(jnp.float32), (x, state, layers))
        output, final = jax.tree.map(
            lambda a: a.astype(x.dtype), _layers(cell, wide[0], wide[1], wide[2], options, mask, key)
        )
    else:
        output, final = _layers(cell, x, state, layers, options, mask, key)
    return jnp.swapaxes(output, 0, 1) if options.batch_first else output, final


def _layers(
    cell: Cell,
    x: jax.Array,
    state: list[jax.Array],
    layers: list[Weights],
    options: Options,
    mask: jax.Array | None,
    key: jax.Array | None,
) -> tuple[jax.Array, list[jax.Array]]:
    directions = 1 + options.bidirectional
    final = []
    for i in range(options.num_layers):
        if i and options.train and options.dropout:
            x = dropout(x, options.dropout, key=None if key is None else draw.fold_in(key, i))
        outputs = []
        for j in range(i * directions, (i + 1) * directions):
            output, last = _direction(cell, x, tuple(h[j] for h in state), layers[j], mask, bool(j % directions))
            outputs.append(output)
            final.append(last)
        x = outputs[0] if directions == 1 else jnp.concatenate(outputs, -1)
    return x, [jnp.stack(parts) for parts in zip(*final, strict=True)]


def _direction(
    cell: Cell, x: jax.Array, state: tuple[jax.Array, ...], weights: Weights, mask: jax.Array | None, reverse: bool
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    gates = project(x, weights.ih)
    if weights.bias_ih is not None and weights.bias_hh is not None:
        before, inside = cell.biases(weights.bias_ih, weights.bias_hh)
        gates = gates + jnp.broadcast_to(before, gates.shape)
    else:
        inside = None
    outputs, final = recur(cell, reverse, gates, state, weights.hh, inside, weights.hr, mask)
    if mask is not None:
        outputs = jnp.where(jnp.broadcast_to(mask[:, :, None], outputs.shape), outputs, jnp.zeros_like(outputs))
    return outputs, final


def _listed(params: Params, options: Options) -> Sequence[ArrayLike]:
    """Weights by torch's names, in the order in which torch lists them."""
    if not isinstance(params, Mapping):
        return params
    cells = [f"l{i}{reverse}" for i in range(options.num_layers) for reverse in ("", "_reverse")]
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    names = [f"{kind}_{cell}" for cell in cells for kind in kinds]
    unknown = sorted(params.keys() - set(names))
    if unknown:
        raise ValueError(f"params must have torch's names, as weight_ih_l0, got {unknown}")
    return [params[name] for name in names if name in params]


def _zeros(cell: Cell, x: jax.Array, layers: list[Weights]) -> list[jax.Array]:
    widths = _widths(cell, layers) if cell is LSTM else _widths(cell, layers)[:1]
    return [jnp.zeros((len(layers), x.shape[1], width), x.dtype) for width in widths]


def _widths(cell: Cell, layers: list[Weights]) -> tuple[int, int]:
    """Of what comes out, which may be projected, and of what is inside."""
    hidden = layers[0].hh.shape[0] // cell.gates
    return hidden if layers[0].hr is None else layers[0].hr.shape[0], hidden


def _grouped(params: list[jax.Array], options: Options) -> list[Weights]:
    cells = options.num_layers * (1 + options.bidirectional)
    fixed = 4 if options.has_biases else 2
    each = len(params) // cells if options.num_layers > 0 else 0
    if not 0 <= options.dropout <= 1:
        raise ValueError(f"dropout must be between 0 and 1, got {options.dropout}")
    if each not in (fixed, fixed + 1) or len(params) != each * cells:
        raise ValueError(
            f"params must be {fixed} arrays ({fixed + 1} when projected) for each of {cells} cells, got {len(params)}"
        )
    return [_named(params[i * each : (i + 1) * each], options.has_biases) for i in range(cells)]


def _named(params: list[jax.Array], has_biases: bool) -> Weights:
    ih, hh, *rest = params
    bias_ih, bias_hh = rest[:2] if has_biases else (None, None)
    hr = rest[2 if has_biases else 0 :]
    return Weights(ih, hh, bias_ih, bias_hh, hr[0] if hr else None)


def _check_shapes(cell: Cell, x: jax.Array, state: list[jax.Array], layers: list[Weights], options: Options) -> None:
    directions = 1 + options.bidirectional
    width, batch = x.shape[2], x.shape[1]
    out, hidden = _widths(cell, layers)
    if layers[0].hr is not None and len(state) == 1:
        raise ValueError("params must not have a projection: only lstm has one")
    if x.shape[0] < 1:
        raise ValueError(f"input must have at least one step, got shape {tuple(x.shape)} (L, N, in)")
    for i, weights in enumerate(layers):
        wide = cell.gates * hidden
        narrow = width if i < directions else out * directions
        expected = ((wide, narrow), (wide, out), (wide,), (wide,), (out, hidden))
        for name, array, shape in zip(Weights._fields, weights, expected, strict=True):
            if array is not None and array.shape != shape:
                raise ValueError(f"params of cell {i}: {name} must have shape {shape}, got {array.shape}")
    for name, h, size in zip(("h", "c"), state, (out, hidden), strict=False):
        if h.shape != (len(layers), batch, size):
            raise ValueError(f"hx: {name} must have shape {(len(layers), batch, size)}, got {h.shape}")


def _mask(lengths: ArrayLike, steps: int, batch: int) -> jax.Array:
    ends = check.number("lengths", lengths)
    if ends.shape != (batch,) or not jnp.issubdtype(ends.dtype, jnp.integer):
        raise ValueError(f"lengths must be {batch} integers, got shape {ends.shape} and dtype {ends.dtype}")
    return jnp.arange(steps, dtype=ends.dtype)[:, None] < ends[None, :]


def lstm_cell(
    input: ArrayLike,
    hx: Sequence[ArrayLike],
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> tuple[jax.Array, jax.Array]:
    """One step of long short-term memory: the new h and c.

    Torch: `torch.lstm_cell`.
    Shape: input (N, in) or (in), hx: h and c (N, hidden) or (hidden) → h, c.
    Args: input: floating-point. hx: (h, c). w_ih: (4 · hidden, in). w_hh: (4 · hidden, hidden). b_ih, b_hh: (4 ·
        hidden) each.
    Raises: ValueError when the shapes don't fit; TypeError when dtypes differ or are not floating-point.
    Differs: float16 and bfloat16 are computed in float32 and rounded at the end.
    Source: ATen `RNN.cpp`.
    """
    if len(hx) != 2:
        raise ValueError(f"hx must be (h, c), got {len(hx)} arrays")
    h, c = _cell(LSTM, input, hx, w_ih, w_hh, b_ih, b_hh)
    return h, c


def gru_cell(
    input: ArrayLike,
    hx: ArrayLike,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> jax.Array:
    """One step of gated recurrent units: the new h.

    Torch: `torch.gru_cell`.
    Shape: input (N, in) or (in), hx (N, hidden) or (hidden) → h.
    Args: input, b_ih, b_hh: as for `lstm_cell`, with 3 · hidden. hx: h. w_ih: (3 · hidden, in). w_hh: (3 · hidden,
        hidden).
    Raises: as `lstm_cell`.
    Differs: as `lstm_cell`.
    Source: ATen `RNN.cpp`.
    """
    return _cell(GRU, input, [hx], w_ih, w_hh, b_ih, b_hh)[0]


def rnn_tanh_cell(
    input: ArrayLike,
    hx: ArrayLike,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> jax.Array:
    """One step of Elman's network: the new h.

    Torch: `torch.rnn_tanh_cell`.
    Shape: input (N, in) or (in), hx (N, hidden) or (hidden) → h.
    Args: input, b_ih, b_hh: as for `lstm_cell`, with 1 · hidden. hx: h. w_ih: (hidden, in). w_hh: (hidden, hidden).
    Raises: as `lstm_cell`.
    Differs: as `lstm_cell`.
    Source: ATen `RNN.cpp`.
    """
    return _cell(TANH, input, [hx], w_ih, w_hh, b_ih, b_hh)[0]


def rnn_relu_cell(
    input: ArrayLike,
    hx: ArrayLike,
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None = None,
    b_hh: ArrayLike | None = None,
) -> jax.Array:
    """One step of Elman's network with a rectifier: the new h.

    Torch: `torch.rnn_relu_cell`.
    Shape: input (N, in) or (in), hx (N, hidden) or (hidden) → h.
    Args: input, b_ih, b_hh: as for `lstm_cell`, with 1 · hidden. hx: h. w_ih: (hidden, in). w_hh: (hidden, hidden).
    Raises: as `lstm_cell`.
    Differs: as `lstm_cell`.
    Source: ATen `RNN.cpp`.
    """
    return _cell(RELU, input, [hx], w_ih, w_hh, b_ih, b_hh)[0]


def _cell(
    cell: Cell,
    input: ArrayLike,
    hx: Sequence[ArrayLike],
    w_ih: ArrayLike,
    w_hh: ArrayLike,
    b_ih: ArrayLike | None,
    b_hh: ArrayLike | None,
) -> tuple[jax.Array, ...]:
    """One step, differentiated by JAX."""
    named = {"input": input, "w_ih": w_ih, "w_hh": w_hh, "b_ih": b_ih, "b_hh": b_hh}
    named |= {name: h for name, h in zip(("hx", "hx[1]"), hx, strict=False)}
    arrays = {name: check.floating(name, value) for name, value in named.items() if value is not None}
    check.same_dtype(**arrays)
    _check_cell(cell, arrays)
    dtype = arrays["input"].dtype
    wide = {name: a.astype(jnp.float32) if dtype in NARROW else a for name, a in arrays.items()}
    given, hidden = wide["input"] @ wide["w_ih"].T, wide["hx"] @ wide["w_hh"].T
    if b_ih is not None:
        given = given + jnp.broadcast_to(wide["b_ih"], given.shape)
    if b_hh is not None:
        hidden = hidden + jnp.broadcast_to(wide["b_hh"], hidden.shape)
    state, *_ = cell.step(given, hidden, tuple(wide[name] for name in ("hx", "hx[1]") if name in wide))
    return tuple(a.astype(dtype) for a in state)


def _check_cell(cell: Cell, arrays: dict[str, jax.Array]) -> None:
    x, w_hh = arrays["input"], arrays["w_hh"]
    if x.ndim not in (1, 2):
        raise ValueError(f"input must have shape (N, in) or (in), got {x.shape}")
    hidden = w_hh.shape[-1] if w_hh.ndim == 2 else 0
    wide, state = cell.gates * hidden, (*x.shape[:-1], hidden)
    expected = {
        "w_ih": (wide, x.shape[-1]),
        "w_hh": (wide, hidden),
        "b_ih": (wide,),
        "b_hh": (wide,),
        "hx": state,
        "hx[1]": state,
    }
    for name, shape in expected.items():
        if name in arrays and arrays[name].shape != shape:
            raise ValueError(
                f"{name} must have shape {shape} for input {x.shape} and w_hh {w_hh.shape}, got {arrays[name].shape}"
            )
